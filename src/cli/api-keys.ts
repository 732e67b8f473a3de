import { maxKeys, type OwnedKey } from '../api/accounts/keys/api-keys.ts'
import { formatNullable, formatTimestamp } from '../api/timestamp.ts'
import { written } from '../api/written.ts'
import { parseDuration } from '../config.ts'
import { allPermissions, isPermission, type Permission, permissionsOf } from '../core/access.ts'
import { createApiKey, formatApiKey, hashSecret } from '../credentials/api-key.ts'
import { type Command, UsageError } from './command.ts'
import { accountNamed, byCli, openAccounts } from './open-accounts.ts'
import { print, printJson, table, tell } from './output.ts'

export const keyList: Command = {
  name: 'key list',
  operands: ['[NAME]'],
  summary: 'Prints the API keys of a user, or of everybody, without their secrets',
  example: 'filmgate key list',
  run: async (call) => {
    await using open = await openAccounts(call.loadConfig())
    const [name] = call.operands
    const owner = name === undefined ? undefined : (await accountNamed(open, name)).username
    const found = (await open.keys.listAll()).filter((key) => owner === undefined || key.owner === owner)
    if (call.json) await printJson(found.map(shown))
    else {
      const rows = found
        .map(shown)
        .map((key) => [key.id, key.owner, key.name, key.scopes.join(' '), key.expiresAt ?? 'never', key.lastUsedAt ?? 'never'])
      await print(table([['ID', 'OWNER', 'NAME', 'SCOPES', 'EXPIRES', 'LAST USED'], ...rows]))
    }
    return 0
  },
}

const shown = ({ id, owner, subject, name, permissions, createdAt, expiresAt, lastUsedAt }: OwnedKey) => ({
  id,
  owner: owner ?? subject,
  name,
  scopes: [...permissions],
  createdAt: formatTimestamp(createdAt),
  expiresAt: formatNullable(expiresAt),
  lastUsedAt: formatNullable(lastUsedAt),
})

export const keyAdd: Command = {
  name: 'key add',
  operands: ['NAME'],
  summary: 'Makes an API key for a user and prints it, this once',
  details: `The key alone goes to standard output, so that it can go straight into a file or a secret store. It may do
what its scopes say, as long as its owner may. The server may be running.
Scopes: ${allPermissions.slice(0, 5).join(', ')},
${allPermissions.slice(5).join(', ')}.`,
  options: {
    name: { value: 'TEXT', text: 'what it is for' },
    scopes: { value: 'LIST', text: 'what it may do, with blanks between them' },
    expires: { value: 'TIME', text: 'how long it is good for, such as 12h or 90d; default: until it is revoked' },
  },
  example: 'filmgate key add ada --name "nightly import" --scopes "films:read films:write" --expires 90d',
  run: async (call) => {
    const config = call.loadConfig()
    const name = readName(call.options['name'])
    const scopes = readScopes(call.options['scopes'])
    const lifeMs = readExpiry(call.options['expires'])
    await using open = await openAccounts(config)
    const account = await accountNamed(open, call.operands[0] ?? '')
    const lacking = scopes.filter((scope) => !permissionsOf(account.role).has(scope))
    if (lacking.length > 0) throw new Error(`${account.username} has the role ${account.role}, which lacks ${lacking.join(', ')}`)
    const { id, secret } = createApiKey()
    const expiresAt = lifeMs === null ? null : open.epochMs() + lifeMs
    const key = { id, subject: account.id, name, secretHash: hashSecret(secret), permissions: new Set(scopes), expiresAt }
    const details = { owner: account.id, name, scopes: scopes.join(' '), expires_at: formatNullable(expiresAt) }
    const outcome = await open.changes.commit(open.keyStatements.add(key), [
      { ...byCli, action: 'key.create', target: `key:${id}`, details },
    ])
    if (outcome.result === 'conflict')
      throw new Error(`${account.username} is disabled, or has ${maxKeys} keys already: revoke one that nobody uses`)
    written(outcome)
    const text = formatApiKey({ id, secret })
    await (call.json ? printJson({ id, name, scopes, expiresAt: formatNullable(expiresAt), key: text }) : print(`${text}\n`))
    if (!call.json) tell('That is the key. It is stored nowhere but there: keep it.\n')
    return 0
  },
}

export const keyRevoke: Command = {
  name: 'key revoke',
  operands: ['ID'],
  summary: 'Revokes an API key; a running server refuses it within a second',
  details: 'The ID is what stands between the two underlines of a key, so a leaked key says what to revoke.',
  example: 'filmgate key revoke 4fGh7Kq2LmZx',
  run: async (call) => {
    const config = call.loadConfig()
    const id = readId(call.operands[0] ?? '')
    await using open = await openAccounts(config)
    const key = await open.keys.byId(id)
    if (key === undefined) throw new Error(`there is no key ${id}, or it is revoked already: filmgate key list shows all`)
    const { subject, name } = key
    const entry = { ...byCli, action: 'key.revoke', target: `key:${id}`, details: { owner: subject, name } }
    const outcome = await open.changes.commit([open.keyStatements.revoke(id, subject)], [entry])
    if (outcome.result === 'conflict') throw new Error(`the key ${id} was revoked at this moment`)
    written(outcome)
    await (call.json ? printJson({ id, owner: subject, name, revoked: true }) : print(`${id} is revoked\n`))
    return 0
  },
}

/** A whole key would be in the history of the shell: its id is enough. */
const readId = (text: string): string => {
  if (/^[0-9A-Za-z]{12}$/.test(text)) return text
  throw new UsageError('key revoke needs the ID alone: what stands between the two underlines of the key')
}

const readName = (text: string | true | undefined): string => {
  if (typeof text === 'string' && /^[\p{L}\p{N}\p{P}\p{S} ]{1,60}$/u.test(text) && text.trim() === text) return text
  throw new UsageError('key add needs --name TEXT, at most 60 characters: what the key is for')
}

const readScopes = (text: string | true | undefined): readonly Permission[] => {
  const words = typeof text === 'string' ? [...new Set(text.split(/[ ,]+/).filter((word) => word !== ''))] : []
  const unknown = words.filter((word) => !isPermission(word))
  if (unknown.length > 0) throw new UsageError(`--scopes has no ${unknown.join(', ')}. There are ${allPermissions.join(' ')}`)
  if (words.length === 0) throw new UsageError('key add needs --scopes LIST, such as --scopes "films:read films:write"')
  return words.filter(isPermission)
}

const readExpiry = (text: string | true | undefined): number | null => {
  if (text === undefined) return null
  const ms = typeof text === 'string' ? parseDuration(text) : undefined
  // Beyond that there are no dates (ECMA-262 section 21.4.1.1).
  if (ms === undefined || ms > 3_650 * 86_400_000) throw new UsageError('--expires needs a time such as 12h or 90d, at most 3650d')
  return ms
}
