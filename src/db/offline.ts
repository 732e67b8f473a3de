import { Kysely, PostgresDialect, SqliteDialect } from 'kysely'

import { silentChannel } from './channel.ts'
import type { Database } from './database.ts'

/** A database that is not there: queries can be built and compiled for it, as the program does when it starts, and running one rejects. */
export const createOfflineDatabase = (url: string): Database => {
  const dialect = url === 'sqlite' ? new SqliteDialect({ database: refuse }) : new PostgresDialect({ pool: refuse })
  return {
    reader: new Kysely({ dialect }),
    commit: () => Promise.resolve({ result: 'unavailable', reason: 'the database is not open' }),
    channel: silentChannel,
    warnings: [],
    probe: refuse,
    close: () => Promise.resolve(),
  }
}

const refuse = (): Promise<never> => Promise.reject(new Error('the database is not open'))
