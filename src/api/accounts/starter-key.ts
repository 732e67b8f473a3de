import { join } from 'node:path'

import { type ApiKey, createApiKey, deriveSecret, formatApiKey, hashSecret, parseApiKey, secretMatches } from '../../credentials/api-key.ts'
import type { MasterKey } from '../../credentials/master-key.ts'
import { readSecretFile, writeSecretFile } from '../../credentials/secret-file.ts'
import type { ApiKeyRepository, NewKey, StoredKey } from './api-keys.ts'

/** The built-in subject that may add films until there is an admin. */
const subject = 'starter'

export interface StarterKeyOptions {
  readonly dataDir: string
  readonly keys: ApiKeyRepository
  /** The master key that all instances on one database have; undefined where there is one instance, with a database of its own. */
  readonly sharedKey: MasterKey | undefined
}

/**
 * The key that makes the printed curl line work: `<dataDir>/starter.key`, mode 0600. A file that is lost, damaged or of another database is
 * replaced, and the key that it held is revoked. Where instances share a database they share the key too: its secret follows from its id and
 * the master key, so that an instance with a new data folder writes the file that the others have. Returns the path.
 */
export const openStarterKey = async ({ dataDir, keys, sharedKey }: StarterKeyOptions): Promise<string> => {
  const path = join(dataDir, 'starter.key')
  const kept = parseApiKey(readSecretFile(path) ?? '')
  if (kept && isStored(kept, await keys.byId(kept.id))) return path
  const material = sharedKey?.derive('starter')
  const stored = material && (await keys.oldestOf(subject))
  const shared = material && stored && { id: stored.id, secret: deriveSecret(material, stored.id) }
  if (shared && isStored(shared, stored)) {
    writeSecretFile(path, formatApiKey(shared))
    return path
  }
  const fresh = createApiKey()
  const key = material ? { id: fresh.id, secret: deriveSecret(material, fresh.id) } : fresh
  // The file first: a crash in between leaves a file without a row, which the next start replaces, and never a key that nobody holds.
  writeSecretFile(path, formatApiKey(key))
  // Others that start at this moment add theirs: revoking would take it away from them.
  await (material && stored === undefined ? keys.add(toStore(key)) : keys.replaceAll(toStore(key)))
  return path
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
