import { rmSync } from 'node:fs'
import { join } from 'node:path'

import {
  type ApiKey,
  createApiKey,
  deriveSecret,
  formatApiKey,
  hashSecret,
  parseApiKey,
  secretMatches,
} from '../../../credentials/api-key.ts'
import type { MasterKey } from '../../../credentials/master-key.ts'
import { readSecretFile, writeSecretFile } from '../../../credentials/secret-file.ts'
import type { AuditTrail } from '../../audit/trail.ts'
import { written } from '../../written.ts'
import type { AccountRepository } from '../accounts.ts'
import { type ApiKeyRepository, type ApiKeyStatements, type NewKey, starterSubject as subject, type StoredKey } from './api-keys.ts'

export interface StarterKeyOptions {
  readonly dataDir: string
  readonly accounts: Pick<AccountRepository, 'hasAdmin'>
  readonly keys: Pick<ApiKeyRepository, 'byId' | 'oldestOf'>
  readonly statements: Pick<ApiKeyStatements, 'addWithoutAdmin' | 'revokeAll'>
  readonly trail: AuditTrail
  /** The master key that all instances on one database have; undefined where there is one instance, with a database of its own. */
  readonly sharedKey: MasterKey | undefined
}

/**
 * The key that makes the printed curl line work, until there is an admin: `<dataDir>/starter.key`, mode 0600. A file that is lost, damaged or
 * of another database is replaced, and the key that it held is revoked. Where instances share a database they share the key too: its secret
 * follows from its id and the master key, so that an instance with a new data folder writes the file that the others have. Returns the path;
 * undefined where there is an admin, who revoked it and makes better ones: then the file goes.
 */
export const openStarterKey = async (options: StarterKeyOptions): Promise<string | undefined> => {
  const path = join(options.dataDir, 'starter.key')
  const key = (await options.accounts.hasAdmin()) ? undefined : await currentKey(options, path)
  if (key !== undefined) return path
  rmSync(path, { force: true })
  return undefined
}

const currentKey = async ({ keys, statements, trail, sharedKey }: StarterKeyOptions, path: string): Promise<ApiKey | undefined> => {
  const kept = parseApiKey(readSecretFile(path) ?? '')
  if (kept && isStored(kept, await keys.byId(kept.id))) return kept
  const material = sharedKey?.derive('starter')
  const stored = material && (await keys.oldestOf(subject))
  const shared = material && stored && { id: stored.id, secret: deriveSecret(material, stored.id) }
  if (shared && isStored(shared, stored)) {
    writeSecretFile(path, formatApiKey(shared))
    return shared
  }
  const fresh = createApiKey()
  const key = material ? { id: fresh.id, secret: deriveSecret(material, fresh.id) } : fresh
  // The file first: a crash in between leaves a file without a row, which the next start replaces, and never a key that nobody holds.
  writeSecretFile(path, formatApiKey(key))
  // Others that start at this moment add theirs: revoking would take it away from them.
  const replaced = material && stored === undefined ? [] : [statements.revokeAll(subject)]
  const details = { owner: subject, scopes: 'films:write' }
  const entry = { actor: 'system', action: 'key.create', target: `key:${key.id}`, details }
  // Audited units come one after the other: one that makes an admin revokes what was before it, and what is behind it finds the admin.
  const outcome = await trail.commit([...replaced, statements.addWithoutAdmin(toStore(key))], [entry])
  if (outcome.result === 'conflict') return undefined
  written(outcome)
  return key
}

const isStored = (key: ApiKey, stored: StoredKey | undefined): boolean =>
  stored !== undefined && stored.subject === subject && secretMatches(key.secret, stored.secretHash)

const toStore = ({ id, secret }: ApiKey): NewKey => ({
  id,
  subject,
  name: 'starter',
  secretHash: hashSecret(secret),
  permissions: new Set(['films:write']),
})
