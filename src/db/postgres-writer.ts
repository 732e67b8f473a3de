import type pg from 'pg'

import { type Lent, type PostgresPool, storageDeadlineMs } from './postgres-pool.ts'
import type { Commit, Outcome, Row, Statement, Unit } from './unit.ts'

export interface PostgresWriter {
  readonly commit: Commit
  /** Waits for what is under way; what comes later is refused. */
  close(): Promise<void>
}

/** A deadlock or a serialization failure: the server has undone the whole transaction, so it may be tried again (section 13.5). */
const undone = /^40/
/** Data and integrity errors: the unit's own fault (appendix A of the manual). Everything else means that the store cannot write. */
const unitFault = /^2[23]/
const maxAttempts = 3

const unavailable = (reason: string): Outcome => ({ result: 'unavailable', reason })

/** Units as transactions, each on a connection of its own: a slow one delays no other. */
export const createPostgresWriter = (pool: PostgresPool): PostgresWriter => {
  const underWay = new Set<Promise<Outcome>>()
  let closed: Promise<void> | undefined

  const end = async (): Promise<void> => {
    await Promise.all(underWay)
    await pool.end()
  }

  const commitUnit = async (unit: Unit): Promise<Outcome> => {
    const deadlineMs = performance.now() + storageDeadlineMs
    for (let attempt = 1; ; attempt++) {
      const outcome = await commitOnce(pool, unit, deadlineMs)
      if (outcome !== 'undone') return outcome
      if (attempt === maxAttempts) return unavailable('other writers were in the way three times')
    }
  }

  return {
    commit: (unit) => {
      if (closed) return Promise.resolve(unavailable('closing'))
      if (unit.length === 0) return Promise.resolve({ result: 'committed', rows: [] })
      const outcome = commitUnit(unit)
      underWay.add(outcome)
      return outcome.finally(() => underWay.delete(outcome))
    },
    close: () => (closed ??= end()),
  }
}

const commitOnce = async (pool: PostgresPool, unit: Unit, deadlineMs: number): Promise<Outcome | 'undone'> => {
  let lent: Lent
  try {
    lent = await pool.lend()
  } catch (error) {
    return unavailable(messageOf(error))
  }
  const outcome = await runUnit(lent, unit, deadlineMs)
  // A connection that met anything but the unit's own fault is not trusted with another: it may lead to a server that is no longer the one.
  lent.release(outcome !== 'undone' && outcome.result === 'unavailable')
  return outcome
}

type Result = pg.QueryResult<Record<string, unknown>>

/**
 * BEGIN and all statements leave in one go. Where the unit does not depend on row counts, COMMIT goes with them: if one of the statements
 * fails, the server takes that COMMIT as ROLLBACK. Else the counts are looked at first.
 */
const runUnit = async (lent: Lent, unit: Unit, deadlineMs: number): Promise<Outcome | 'undone'> => {
  const conditional = unit.some((statement) => statement.rows !== undefined)
  const send = (sql: string, parameters: Statement['parameters'] = []) => lent.query(sql, parameters, deadlineMs)
  const answers = lent.together(() => [
    send('begin'),
    ...unit.map(({ sql, parameters }) => send(sql, parameters)),
    ...(conditional ? [] : [send('commit')]),
  ])
  const settled = await Promise.allSettled(answers)
  const failed = settled.findIndex(({ status }) => status === 'rejected')
  if (failed !== -1) {
    const { reason } = settled[failed] as PromiseRejectedResult
    if (!(await endFailed(conditional, send))) return unavailable(messageOf(reason))
    // The statement behind BEGIN is the unit's first. It may have failed only because one before it did not find its rows.
    const wrong = wrongCount(unit, resultsOf(settled.slice(1, failed)))
    return wrong === -1 ? outcomeOf(reason, failed - 1) : { result: 'conflict', statement: wrong }
  }
  const results = resultsOf(settled.slice(1, unit.length + 1))
  if (!conditional) return { result: 'committed', rows: results.map(rowsOf) }
  const wrong = wrongCount(unit, results)
  return finish(send, wrong, results)
}

const resultsOf = (settled: readonly PromiseSettledResult<Result>[]): Result[] =>
  settled.map((answer) => (answer as PromiseFulfilledResult<Result>).value)

/** The first statement that touched another number of rows than it must; -1 where none of those with a result did. */
const wrongCount = (unit: Unit, results: readonly Result[]): number =>
  results.findIndex(({ rowCount }, i) => unit[i]?.rows !== undefined && rowCount !== unit[i].rows)

type Send = (sql: string) => Promise<Result>

const finish = async (send: Send, wrong: number, results: readonly Result[]): Promise<Outcome | 'undone'> => {
  try {
    await send(wrong === -1 ? 'commit' : 'rollback')
  } catch (error) {
    return outcomeOf(error, results.length - 1)
  }
  return wrong === -1 ? { result: 'committed', rows: results.map(rowsOf) } : { result: 'conflict', statement: wrong }
}

/** Whether the failed transaction is over, so that the connection is good for another. */
const endFailed = async (conditional: boolean, send: Send): Promise<boolean> => {
  if (!conditional) return true
  return send('rollback').then(
    () => true,
    () => false,
  )
}

const outcomeOf = (error: unknown, statement: number): Outcome | 'undone' => {
  const code = String((error as { code?: unknown }).code)
  // The codes of Node (ECONNRESET) are longer than SQLSTATE's five characters.
  if (code.length === 5 && undone.test(code)) return 'undone'
  return code.length === 5 && unitFault.test(code) ? { result: 'conflict', statement } : unavailable(messageOf(error))
}

const rowsOf = ({ rows }: Result): readonly Row[] => rows as Row[]

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message || String((error as { code?: unknown }).code) : String(error)
