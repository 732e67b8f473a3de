import { type AuditTrail, createAuditTrail } from '../api/audit/trail.ts'
import { agreeOnKey } from '../api/installation.ts'
import type { Config } from '../config.ts'
import { systemClock } from '../core/clock.ts'
import { type MasterKey, openMasterKey } from '../credentials/master-key.ts'
import { type Database, openDatabase } from '../db/open.ts'
import { openDataDir } from '../serve/data-folder.ts'

export interface Installation extends AsyncDisposable {
  readonly database: Database
  readonly masterKey: MasterKey
  readonly trail: AuditTrail
}

/** What a command needs that changes something, beside a server that may be running. */
export const openInstallation = async (config: Config): Promise<Installation> => {
  const dataDir = openDataDir(config)
  const masterKey = openMasterKey(dataDir, config.secrets.key)
  const { url } = config.database
  const database = await openDatabase({ url, dataDir })
  try {
    // With another key the trail would go on with links that no server takes for its own, and no server could open what is sealed.
    if (url !== 'sqlite') await agreeOnKey(database, masterKey, url)
  } catch (error) {
    await database.close()
    throw error
  }
  const trail = createAuditTrail(database, systemClock.epochMs, masterKey.derive('audit'))
  return { database, masterKey, trail, [Symbol.asyncDispose]: () => database.close() }
}
