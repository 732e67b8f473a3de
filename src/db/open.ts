import type { Kysely } from 'kysely'

import type { Observe } from '../core/events.ts'
import type { Database, DatabaseLocation, OnQuery } from './database.ts'
import { migrate } from './migrate.ts'
import { openPostgres } from './postgres.ts'
import { openSqlite } from './sqlite-database.ts'
import type { Tables } from './tables.ts'
import { createTimed } from './timed.ts'
import { type Statement, statement } from './unit.ts'
import { createWatch, readFailure, watchCommits } from './watch.ts'

export { type Database, DatabaseError, type DatabaseLocation, type OnQuery } from './database.ts'
export { explainConnectFailure } from './postgres-failure.ts'

export interface DatabaseOptions extends DatabaseLocation {
  readonly observe?: Observe
  readonly onQuery?: OnQuery
}

/** Opens the database and migrates it to the newest schema. Throws a `DatabaseError` where it cannot be used as it is configured. */
export const openDatabase = async ({ observe = () => undefined, onQuery, ...location }: DatabaseOptions): Promise<Database> => {
  await migrate(location)
  const name = location.url === 'sqlite' ? 'sqlite' : 'postgres'
  const reads = createWatch(`${name} reads`, observe)
  const open = name === 'sqlite' ? openSqlite : openPostgres
  const timed = createTimed(onQuery)
  const opened = await open(location, { onReadError: readFailure(reads), timed })
  const commit = watchCommits(opened.commit, createWatch(`${name} writes`, observe))
  const { reader } = opened
  const probe = compileProbe(reader)
  return {
    ...opened,
    commit: timed.async('commit', commit),
    probe: timed.async('probe', async () => {
      const outcome = await commit(probe)
      if (outcome.result !== 'committed') throw new Error(outcome.result === 'unavailable' ? outcome.reason : outcome.result)
      await reader.selectFrom('film').selectAll().where('slot', '=', 1).execute()
      reads.worked()
    }),
  }
}

/** There and back again: a page that ends as it began, within one statement, would never reach the disk and prove nothing. */
const compileProbe = (reader: Kysely<Tables>): readonly Statement[] => {
  const step = (by: 1 | -1): Statement =>
    statement(
      reader
        .updateTable('catalogue')
        .set((e) => ({ films: e('films', '+', by) }))
        .compile(),
      1,
    )
  return [step(1), step(-1)]
}
