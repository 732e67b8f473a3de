import { existsSync } from 'node:fs'
import { join } from 'node:path'

import type { Config } from '../config.ts'
import { type MasterKey, openMasterKey } from '../credentials/master-key.ts'

/** The key is only looked for: making one here would be another than the server's. */
export const openExistingKey = ({ data, secrets }: Config): MasterKey => {
  if (secrets.key === '' && !existsSync(join(data.dir, 'master.key')))
    throw new Error(`there is no master.key in ${data.dir}: no server was ever started with this data folder`)
  return openMasterKey(data.dir, secrets.key)
}
