import { existsSync } from 'node:fs'

import { Kysely, PostgresDialect, sql } from 'kysely'
import { type Migration, Migrator } from 'kysely/migration'

import { DatabaseError, type DatabaseLocation } from './database.ts'
import { films } from './migrations/0001-films.ts'
import { installation } from './migrations/0002-installation.ts'
import { accounts } from './migrations/0003-accounts.ts'
import { audit } from './migrations/0004-audit.ts'
import { decisions } from './migrations/0005-decisions.ts'
import { explainConnectFailure } from './postgres-failure.ts'
import { connectionOptions, loadDriver, prepareSession } from './postgres-pool.ts'
import { parsePostgresUrl } from './postgres-url.ts'
import { sqliteFile } from './sqlite-database.ts'
import { createSqliteDialect, openConnection } from './sqlite.ts'
import type { Dialect } from './unit.ts'

const migrationsFor = (dialect: Dialect): Record<string, Migration> => ({
  '0001-films': films(dialect),
  '0002-installation': installation(dialect),
  '0003-accounts': accounts(dialect),
  '0004-audit': audit(dialect),
  '0005-decisions': decisions(dialect),
})

/** Names of migrations, oldest first. */
export interface SchemaState {
  readonly applied: readonly string[]
  readonly pending: readonly string[]
  /** Applied by a newer program. */
  readonly unknown: readonly string[]
}

/** How far the schema is, without changing anything. Throws a `DatabaseError` where the database cannot be reached. */
export const schemaState = async (location: DatabaseLocation): Promise<SchemaState> => {
  const known = Object.keys(migrationsFor(dialectOf(location)))
  // Opening it would create it.
  if (location.url === 'sqlite' && !existsSync(sqliteFile(location))) return { applied: [], pending: known, unknown: [] }
  return withSchemaConnection(location, (db) => readState(db, known))
}

/**
 * Brings the schema to the newest form and returns what it was before. All migrations are one transaction, and on PostgreSQL an advisory lock
 * lets one of several instances that start at once do it. A schema of a newer program is refused.
 */
export const migrate = async (location: DatabaseLocation): Promise<SchemaState> =>
  withSchemaConnection(location, async (db) => {
    const migrations = migrationsFor(dialectOf(location))
    const before = await readState(db, Object.keys(migrations))
    if (before.unknown.length > 0) {
      const newest = before.unknown.at(-1)
      throw new DatabaseError(
        location,
        `holds a schema that is newer than this program (${newest}): run the newer release on it, or restore a backup`,
      )
    }
    const { error } = await new Migrator({ db, provider: { getMigrations: async () => migrations } }).migrateToLatest()
    if (error) throw error
    return before
  })

const dialectOf = ({ url }: DatabaseLocation): Dialect => (url === 'sqlite' ? 'sqlite' : 'postgres')

const readState = async (db: Kysely<unknown>, known: readonly string[]): Promise<SchemaState> => {
  const tables = await db.introspection.getTables({ withInternalKyselyTables: true })
  if (!tables.some(({ name }) => name === 'kysely_migration')) return { applied: [], pending: known, unknown: [] }
  const { rows } = await sql<{ name: string }>`select name from kysely_migration order by name`.execute(db)
  const applied = rows.map(({ name }) => name)
  return {
    applied: applied.filter((name) => known.includes(name)),
    pending: known.filter((name) => !applied.includes(name)),
    unknown: applied.filter((name) => !known.includes(name)),
  }
}

/** Another instance may be migrating; longer than any migration should take. */
const migrationLockMs = 60_000
/** Longer than that wait: a server that says nothing for so long, over a connection that it took, does not answer any more. */
const stepMs = 70_000

const withSchemaConnection = async <T>(location: DatabaseLocation, work: (db: Kysely<unknown>) => Promise<T>): Promise<T> => {
  const isFile = location.url === 'sqlite'
  try {
    await using db = isFile ? openSqliteForSchema(location) : await openPostgresForSchema(location)
    if (!isFile) await refuseOtherEncodings(location, db)
    return await work(db)
  } catch (error) {
    throw isFile ? error : explainConnectFailure(location, error)
  }
}

const openSqliteForSchema = (location: DatabaseLocation): Kysely<unknown> => {
  try {
    return new Kysely({ dialect: createSqliteDialect(openConnection(sqliteFile(location), false)) })
  } catch (error) {
    throw new DatabaseError(
      location,
      `holds a filmgate.db that cannot be opened: ${error instanceof Error ? error.message : 'unknown error'}`,
      error,
    )
  }
}

/** In any other a film's name may have no characters to be stored in, or be counted in bytes. */
const refuseOtherEncodings = async (location: DatabaseLocation, db: Kysely<unknown>): Promise<void> => {
  const { rows } = await sql<{ encoding: string }>`select current_setting('server_encoding') as encoding`.execute(db)
  const encoding = rows[0]?.encoding
  if (encoding === 'UTF8') return
  throw new DatabaseError(
    location,
    `names a database with the encoding ${encoding}, which cannot hold every film: make one with createdb --encoding=UTF8 --template=template0`,
  )
}

/** Without the time-outs of the request path: a migration may take its time. */
const openPostgresForSchema = async (location: DatabaseLocation): Promise<Kysely<unknown>> => {
  const driver = await loadDriver()
  const pool = new driver.Pool({
    ...connectionOptions(parsePostgresUrl(location.url)),
    max: 1,
    // Then a step that takes too long closes the connection, and nothing waits behind it.
    pipeline: true,
    query_timeout: stepMs,
    onConnect: prepareSession([`set lock_timeout = ${migrationLockMs}`]),
  })
  pool.on('error', () => undefined)
  return new Kysely({ dialect: new PostgresDialect({ pool }) })
}
