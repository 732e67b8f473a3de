import type { Config } from '../config.ts'
import { schemaState } from '../db/migrate.ts'
import { type Database, openDatabase } from '../db/open.ts'

/** The database of a trail that is there already: to look at one must change nothing. */
export const openAudited = async ({ database: { url }, data }: Config): Promise<Database> => {
  const location = { url, dataDir: data.dir }
  const { applied, pending } = await schemaState(location)
  if (applied.length === 0) throw new Error('there is no audit trail: no server was ever started with this database')
  if (pending.length > 0) throw new Error(`the schema is of an older release: run filmgate migrate`)
  return openDatabase(location)
}
