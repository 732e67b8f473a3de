import { join } from 'node:path'

import { Kysely } from 'kysely'
import { Migrator } from 'kysely/migration'

import type { Observe } from '../core/events.ts'
import { openGroupCommit } from './group-commit.ts'
import { films } from './migrations/0001-films.ts'
import { createSqliteDialect, openConnection } from './sqlite.ts'
import type { Tables } from './tables.ts'
import { type Commit, type Dialect, statement } from './unit.ts'
import { createWatch, readFailure, watchCommits } from './watch.ts'

export interface Database {
  /** Reads only: its connection cannot write. */
  readonly reader: Kysely<Tables>
  readonly commit: Commit
  /** Resolves when a durable write and a read went through just now, else rejects with the reason. */
  probe(): Promise<void>
  close(): Promise<void>
}

/** Opens, and migrates to the newest schema, the SQLite file in `dataDir`. The folder must exist. */
export const openDatabase = async (dataDir: string, observe: Observe = () => undefined): Promise<Database> => {
  const file = join(dataDir, 'filmgate.db')
  await migrate(file)
  const writer = await openGroupCommit(file)
  const commit = watchCommits(writer.commit, createWatch('sqlite writes', observe))
  const reads = createWatch('sqlite reads', observe)
  const reader = new Kysely<Tables>({ dialect: createSqliteDialect(openConnection(file, true), readFailure(reads)) })
  const step = (by: 1 | -1) =>
    statement(
      reader
        .updateTable('catalogue')
        .set((e) => ({ films: e('films', '+', by) }))
        .compile(),
      1,
    )
  // There and back again: a page that ends as it began, within one statement, would never reach the disk and prove nothing.
  const probe = [step(1), step(-1)]
  return {
    reader,
    commit,
    probe: async () => {
      const outcome = await commit(probe)
      if (outcome.result !== 'committed') throw new Error(outcome.result === 'unavailable' ? outcome.reason : outcome.result)
      await reader.selectFrom('film').selectAll().where('slot', '=', 1).execute()
      reads.worked()
    },
    close: async () => {
      await reader.destroy()
      await writer.close()
    },
  }
}

const migrationsFor = (dialect: Dialect) => ({ '0001-films': films(dialect) })

/** A file written by a newer program is refused by the migrator: it knows a migration that is not here. */
const migrate = async (file: string): Promise<void> => {
  const db = new Kysely<Tables>({ dialect: createSqliteDialect(openConnection(file, false)) })
  try {
    const migrator = new Migrator({ db, provider: { getMigrations: async () => migrationsFor('sqlite') } })
    const { error } = await migrator.migrateToLatest()
    if (error) throw error
  } finally {
    await db.destroy()
  }
}
