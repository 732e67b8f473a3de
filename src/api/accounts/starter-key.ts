import { join } from 'node:path'

import { createApiKey, formatApiKey, hashSecret, parseApiKey, secretMatches } from '../../credentials/api-key.ts'
import { readSecretFile, writeSecretFile } from '../../credentials/secret-file.ts'
import type { ApiKeyRepository } from './api-keys.ts'

/** The built-in subject that may add films until there is an admin. */
const subject = 'starter'

/**
 * The key that makes the printed curl line work: `<dataDir>/starter.key`, mode 0600. A file that is lost, damaged or of another database is
 * replaced, and the key that it held is revoked. Returns the path.
 */
export const openStarterKey = async (dataDir: string, keys: ApiKeyRepository): Promise<string> => {
  const path = join(dataDir, 'starter.key')
  const kept = parseApiKey(readSecretFile(path) ?? '')
  const stored = kept && (await keys.byId(kept.id))
  if (kept && stored && stored.subject === subject && secretMatches(kept.secret, stored.secretHash)) return path
  const key = createApiKey()
  // The file first: a crash in between leaves a file without a row, which the next start replaces, and never a key that nobody holds.
  writeSecretFile(path, formatApiKey(key))
  await keys.replaceAll({ id: key.id, subject, name: 'starter', secretHash: hashSecret(key.secret), permissions: new Set(['films:write']) })
  return path
}
