import { usernamePattern } from '../schema.ts'

/** Who acts in the audit trail without an account: an account of that name would be taken for it. */
const actors: ReadonlySet<string> = new Set(['starter', 'operator', 'cli', 'system', 'anonymous'])

/** Names that people believe (RFC 2142 has some). Only an admin gives them away, and the first admin may take one. */
const official: ReadonlySet<string> = new Set([
  'abuse',
  'admin',
  'administrator',
  'api',
  'filmgate',
  'help',
  'hostmaster',
  'info',
  'moderator',
  'noc',
  'official',
  'owner',
  'postmaster',
  'root',
  'security',
  'staff',
  'support',
  'webmaster',
])

const plain = (username: string): string => username.replace(/[._-]/g, '')

/** Why nobody may have that name; undefined: it may be had. */
export const usernameMistake = (username: string): string | undefined => {
  if (!new RegExp(usernamePattern).test(username)) return 'must be 2 to 64 of a-z 0-9 . _ -'
  return actors.has(plain(username)) ? 'is a name that this server uses itself' : undefined
}

/** As `usernameMistake`, of names that people give themselves. */
export const ownUsernameMistake = (username: string): string | undefined =>
  usernameMistake(username) ?? (official.has(plain(username)) ? 'is a name that only an admin can give' : undefined)
