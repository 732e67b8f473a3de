import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'

import { CompiledQuery, type DatabaseConnection, SqliteAdapter, SqliteDialect, SqliteDriver, type SqliteStatement } from 'kysely'

import type { Timed } from './timed.ts'

/** How every connection is opened: constraints on, no writable schema or shadow tables (defensive), wait for a lock instead of failing. */
export const openConnection = (file: string, readOnly: boolean, lockWaitMs = 5000): DatabaseSync => {
  const connection = new DatabaseSync(file, { timeout: lockWaitMs, enableForeignKeyConstraints: true, defensive: true, readOnly })
  if (readOnly) return connection
  // FULL: a commit is on the disk when it returns, so an acknowledged write survives power loss (sqlite.org/pragma.html#pragma_synchronous).
  connection.exec('pragma journal_mode = wal; pragma synchronous = full; pragma trusted_schema = off')
  return connection
}

/** node:sqlite behind the shape that Kysely expects of a driver, with each SQL text prepared once. What fails is thrown as `onError` says. */
export const createSqliteDialect = (
  connection: DatabaseSync,
  onError: (error: unknown) => unknown = (error) => error,
  timed?: Timed,
): SqliteDialect => {
  const prepared = new Map<string, SqliteStatement>()
  const guarded = <T>(work: () => T): T => {
    try {
      return work()
    } catch (error) {
      throw onError(error)
    }
  }
  const prepare = (sql: string): SqliteStatement => {
    const known = prepared.get(sql)
    if (known) return known
    const bare = guarded(() => wrap(connection.prepare(sql)))
    const all: SqliteStatement['all'] = (parameters) => guarded(() => bare.all(parameters))
    const fresh: SqliteStatement = {
      ...bare,
      all: timed === undefined ? all : timed.sync(sql, all),
      run: (parameters) => guarded(() => bare.run(parameters)),
    }
    if (prepared.size >= 500) prepared.clear()
    prepared.set(sql, fresh)
    return fresh
  }
  return new ImmediateDialect({ database: { close: () => connection.close(), prepare } })
}

/**
 * Rows as ordinary objects of one shape. Those that node:sqlite makes have no prototype, which V8 stores as hash tables of their own: every
 * later read of such a row (serialising it above all) misses every inline cache, which cost more than the query.
 */
const wrap = (statement: StatementSync): SqliteStatement => {
  const names = statement.columns().map((column) => column.name)
  statement.setReturnArrays(true)
  const toRow = (values: readonly unknown[]): Record<string, unknown> => {
    const row: Record<string, unknown> = {}
    for (let i = 0; i < names.length; i++) row[names[i] ?? ''] = values[i]
    return row
  }
  const rowsOf = (parameters: readonly unknown[]) => statement.all(...(parameters as SQLInputValue[])) as unknown as unknown[][]
  return {
    reader: names.length > 0,
    all: (parameters) => rowsOf(parameters).map(toRow),
    run: (parameters) => statement.run(...(parameters as SQLInputValue[])),
    iterate: (parameters) => (statement.iterate(...(parameters as SQLInputValue[])) as unknown as IteratorObject<unknown[]>).map(toRow),
  }
}

/** Takes the write lock at BEGIN: two processes that migrate at once then queue instead of deadlocking on an upgrade. */
class ImmediateDriver extends SqliteDriver {
  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('begin immediate'))
  }
}

/** Without this Kysely believes that SQLite cannot roll back DDL, and a failed migration leaves half its tables behind. */
class TransactionalAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true
  }
}

class ImmediateDialect extends SqliteDialect {
  readonly #config: ConstructorParameters<typeof SqliteDialect>[0]

  constructor(config: ConstructorParameters<typeof SqliteDialect>[0]) {
    super(config)
    this.#config = config
  }

  override createDriver(): SqliteDriver {
    return new ImmediateDriver(this.#config)
  }

  override createAdapter(): SqliteAdapter {
    return new TransactionalAdapter()
  }
}
