import { Type } from 'typebox'
import { nearest } from './errors.ts'
import type { ExternalIssuer } from './keys.ts'
import { isLoopback } from './networks.ts'
import { shapeMistake } from './shape.ts'
import { isTable, type Entry } from './tables.ts'
import { pathName } from './toml-lines.ts'

/** One entry of [[auth.issuers]]; `roles` is a table of its own. */
const issuerSchema = {
  url: Type.String(),
  audience: Type.String(),
  role_claim: Type.String({ default: '' }),
  allow_private: Type.Boolean({ default: false }),
} as const

type Member = keyof typeof issuerSchema

const memberNames = [...Object.keys(issuerSchema), 'roles']

/** Each is asked for its keys every ten minutes, and holds some of the memory. */
const maxIssuers = 20
const maxRoles = 100

export const issuersName = 'auth.issuers'

/** How an issuer is named in `Config.origins` and in errors: `auth.issuers[0]`. */
export const issuerName = (index: number): string => `${issuersName}[${index}]`

export const roleNames = ['viewer', 'editor', 'moderator', 'admin'] as const

/** Reads [[auth.issuers]]; `keep` is given what is right, everything wrong is reported. */
export function readIssuers(found: Entry, keep: (issuer: ExternalIssuer, at: Entry) => void): void {
  if (!Array.isArray(found.value) || !found.value.every(isTable)) return found.fail('must be tables, each under [[auth.issuers]]')
  if (found.value.length > maxIssuers) return found.fail(`must be at most ${maxIssuers}, but are ${found.value.length}`)
  const urls = new Set<unknown>()
  for (const [index, table] of found.value.entries()) {
    const entry = found.inner(index, table)
    if (urls.has(table['url'])) entry.inner('url', undefined).fail('is that of another entry: each issuer may stand here once')
    urls.add(table['url'])
    const issuer = readIssuer(entry, table)
    if (issuer !== undefined) keep(issuer, entry)
  }
}

function readIssuer(entry: Entry, table: Readonly<Record<string, unknown>>): ExternalIssuer | undefined {
  let mistakes = 0
  const check = (member: string, mistake: string | undefined): void => {
    if (mistake === undefined) return
    mistakes++
    entry.inner(member, undefined).fail(mistake)
  }
  for (const [member, value] of Object.entries(table)) check(member, memberMistake(pathName([...entry.path, member]), member, value))
  for (const member of ['url', 'audience']) if (!Object.hasOwn(table, member)) check(member, 'must be set')
  const { url, audience, role_claim: roleClaim = '', allow_private: allowPrivate = false, roles = {} } = table
  if (typeof url === 'string' && typeof allowPrivate === 'boolean') check('url', urlMistake(url, allowPrivate))
  for (const [role, value] of Object.entries(isTable(roles) ? roles : {})) {
    if ((roleNames as readonly unknown[]).includes(value)) continue
    mistakes++
    entry
      .inner('roles', roles)
      .inner(role, value)
      .fail(`must be one of ${roleNames.join(', ')}`)
  }
  const isUseless = (roleClaim === '') !== (isTable(roles) && Object.keys(roles).length === 0)
  if (isUseless)
    check(roleClaim === '' ? 'role_claim' : 'roles', 'must be set too: role_claim says where the roles are, roles what they are here')
  return mistakes === 0 ? ({ url, audience, roleClaim, roles: { ...(roles as object) }, allowPrivate } as ExternalIssuer) : undefined
}

function memberMistake(name: string, member: string, value: unknown): string | undefined {
  if (member === 'roles') return rolesMistake(value)
  if (!Object.hasOwn(issuerSchema, member)) return `is not a known key; the nearest is ${nearest(member, memberNames)}`
  const mistake = shapeMistake({ name, schema: issuerSchema[member as Member] }, value)
  return mistake ?? textMistakes[member as Member]?.(value as string)
}

function rolesMistake(value: unknown): string | undefined {
  if (!isTable(value)) return 'must be a table: { "role of the issuer" = "editor" }'
  const names = Object.keys(value)
  if (names.includes('')) return 'must not name an empty role'
  return names.length > maxRoles ? `must be at most ${maxRoles}` : undefined
}

const textMistakes: { readonly [M in Member]?: (text: string) => string | undefined } = {
  audience: (text) =>
    /^[\x21-\x7e]{1,255}$/.test(text) ? undefined : 'must not be empty, and have no spaces: it is what tokens are held against',
  role_claim: (text) =>
    text === '' || /:\/\//.test(text) || text.split('.').every((name) => name !== '')
      ? undefined
      : 'must be the name of a claim such as "groups", or names with dots between them such as "realm_access.roles"',
}

/** Issuers are compared letter by letter, so theirs must have one spelling: as URL() has it, which also undoes 2130706433 and the like. */
function urlMistake(text: string, allowPrivate: boolean): string | undefined {
  const isUrl = text.length <= 2048 && /^https?:\/\/[^\s/?#@\\]+(?:\/[^\s?#\\]*)?$/.test(text) && URL.canParse(text)
  if (!isUrl) return 'must be an https URL without a query, fragment, user or password, as in the claim iss of its tokens'
  const { href, protocol, hostname } = new URL(text)
  if (href !== text && href !== `${text}/`) return `must be spelled in the one usual way: lower case, no default port, no dots in the path`
  const isHere = isLoopback(hostname.replace(/^\[(.*)\]$/, '$1'))
  if (protocol === 'http:' && !isHere) return 'must be https: what answers in its place would choose who everybody is'
  if (isHere && !allowPrivate) return 'is on this machine: say allow_private = true'
  return undefined
}
