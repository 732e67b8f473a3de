/**
 * The only thread that writes to the SQLite file. One message is one group: all its units in one durable transaction, a savepoint each, so
 * that many writers share one fsync, a failed unit hurts no other, and a slow disk never stalls a read on the main thread.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'

import { openConnection } from './sqlite.ts'
import type { Outcome, Row, Statement, Unit } from './unit.ts'

/** SQLITE_CONSTRAINT and SQLITE_MISMATCH: the unit's own fault (sqlite.org/rescode.html). Everything else means the store cannot write. */
const unitFaults: ReadonlySet<number> = new Set([19, 20])

const createGroupWriter = (connection: DatabaseSync) => {
  const prepared = new Map<string, StatementSync>()

  const prepare = (sql: string): StatementSync => {
    const known = prepared.get(sql)
    if (known) return known
    const fresh = connection.prepare(sql)
    if (prepared.size >= 500) prepared.clear()
    prepared.set(sql, fresh)
    return fresh
  }

  const run = (statement: Statement): readonly Row[] | undefined => {
    const compiled = prepare(statement.sql)
    if (compiled.columns().length > 0) {
      const rows = compiled.all(...statement.parameters) as Row[]
      return statement.rows === undefined || rows.length === statement.rows ? rows : undefined
    }
    const { changes } = compiled.run(...statement.parameters)
    return statement.rows === undefined || Number(changes) === statement.rows ? [] : undefined
  }

  const runUnit = (unit: Unit): Outcome => {
    connection.exec('savepoint unit')
    const rows: (readonly Row[])[] = []
    for (const [index, statement] of unit.entries()) {
      const returned = attempt(() => run(statement))
      if (returned === undefined) {
        connection.exec('rollback to unit; release unit')
        return { result: 'conflict', statement: index }
      }
      rows.push(returned)
    }
    connection.exec('release unit')
    return { result: 'committed', rows }
  }

  return (units: readonly Unit[]): Outcome[] => {
    try {
      connection.exec('begin immediate')
      const outcomes = units.map(runUnit)
      connection.exec('commit')
      return outcomes
    } catch (error) {
      rollback(connection)
      const reason = describe(error)
      return units.map(() => ({ result: 'unavailable', reason }))
    }
  }
}

/** Undefined for the unit's own fault; anything else is thrown and fails the group. */
const attempt = <T>(work: () => T): T | undefined => {
  try {
    return work()
  } catch (error) {
    // The extended code keeps the primary one in its low byte.
    if (error instanceof Error && 'errcode' in error && unitFaults.has(Number(error.errcode) & 0xff)) return undefined
    throw error
  }
}

/** A full disk may already have rolled the transaction back; a second rollback would hide the first error. */
const rollback = (connection: DatabaseSync): void => {
  if (connection.isTransaction) attemptQuietly(() => connection.exec('rollback'))
}

const attemptQuietly = (work: () => void): void => {
  try {
    work()
  } catch {
    // The next group begins anew and reports what is still wrong.
  }
}

const describe = (error: unknown): string => (error instanceof Error ? error.message : String(error))

if (parentPort) {
  const port = parentPort
  const connection = openConnection((workerData as { file: string }).file, false)
  const write = createGroupWriter(connection)
  port.on('message', (units: readonly Unit[] | 'close') => {
    if (units === 'close') {
      connection.close()
      port.close()
      return
    }
    port.postMessage(write(units))
  })
  port.postMessage('ready')
}
