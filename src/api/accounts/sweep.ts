import { type Kysely, type RawBuilder, sql } from 'kysely'

import type { Timers } from '../../core/clock.ts'
import type { Database } from '../../db/open.ts'
import type { Tables } from '../../db/tables.ts'
import { statement, template } from '../../db/unit.ts'
import { written } from '../written.ts'
import type { SessionTimes } from './sessions/session-repository.ts'

export interface SweepOptions extends Omit<SessionTimes, 'maxAgeMs'> {
  readonly database: Pick<Database, 'reader' | 'commit'>
  readonly timers: Timers
  /** For people; the next sweep tries again. */
  readonly warn: (message: string) => void
}

export interface Sweep {
  /** Deletes what is good for nothing any more; resolves with how many rows. */
  run(): Promise<number>
  /** No more by the timer. */
  close(): void
}

const everyMs = 10 * 60_000
/** What was ended is kept so long, for those who look why. */
const keptMs = 24 * 60 * 60_000
/** API keys that are good for nothing any more; the audit trail knows of them for longer. */
const keysKeptMs = 90 * 24 * 60 * 60_000
/** Decisions that are over, for those who ask why they were refused. */
const decisionsKeptMs = 30 * 24 * 60 * 60_000
/** Of those that are over, so many of the newest at most: a client with many addresses can bring about many. */
const mostDecisions = 100_000
/** Rows in one statement: none holds up other writers for long. */
const batchRows = 500

/**
 * Old sessions with their tokens, half-done logins, answered challenges, claim codes, and API keys and decisions that ended long ago. Used refresh tokens
 * of a session that lives stay as long as it does: that one of them comes again is how a theft is seen.
 */
export const openSweep = ({ database, epochMs, idleMs, timers, warn }: SweepOptions): Sweep => {
  const deletions = compileDeletions(database.reader)
  let callOff: () => void
  let isClosed = false

  const deleteAll = async (deletion: (typeof deletions)[number], moments: Moments): Promise<number> => {
    let all = 0
    for (;;) {
      const rows = written(await database.commit([statement(deletion(moments))]))[0]?.length ?? 0
      all += rows
      if (rows < batchRows || isClosed) return all
    }
  }
  const run = async (): Promise<number> => {
    const now = epochMs()
    const moments = { now, idle: now - idleMs, kept: now - keptMs, keysKept: now - keysKeptMs, decisionsKept: now - decisionsKeptMs }
    let all = 0
    for (const deletion of deletions) {
      // The store may close next.
      if (isClosed) break
      all += await deleteAll(deletion, moments)
    }
    return all
  }
  const schedule = (): void => {
    callOff = timers.after(everyMs, () => {
      run()
        .catch((error: unknown) => warn(`old sessions are not deleted: ${error instanceof Error ? error.message : String(error)}`))
        .finally(() => isClosed || schedule())
    })
  }
  schedule()
  return {
    run,
    close: () => {
      isClosed = true
      callOff()
    },
  }
}

interface Moments extends Record<string, number> {
  now: number
  /** Sessions that were not used since then have ended. */
  idle: number
  /** Sessions that somebody ended before then are not kept any more. */
  kept: number
  /** API keys that ended before then are not kept any more. */
  keysKept: number
  /** Decisions that were over before then are not kept any more. */
  decisionsKept: number
}

const isOver = ({ now, idle, kept }: Moments) => sql`(s.revoked_at <= ${kept} or s.expires_at <= ${now} or s.last_used_at <= ${idle})`

const compileDeletions = (db: Kysely<Tables>) => {
  /** Of one table, by its key. */
  const batch = (table: string, key: string, rows: (moments: Moments) => RawBuilder<unknown>) =>
    template<Moments>(['now', 'idle', 'kept', 'keysKept', 'decisionsKept'], (moments) => ({
      compile: () =>
        sql`delete from ${sql.table(table)} where ${sql.ref(key)} in (${rows(moments)} limit ${sql.lit(batchRows)}) returning ${sql.ref(key)}`.compile(
          db,
        ),
    }))
  const expired = (table: string) =>
    batch(table, 'hash', ({ now }) => sql`select t.hash from ${sql.table(table)} t where t.expires_at <= ${now}`)
  return [
    // Before the sessions: one of those may have thousands, which would go with it in one statement.
    batch(
      'refresh_token',
      'hash',
      (at) => sql`select t.hash from refresh_token t join session s on s.id = t.session_id where ${isOver(at)}`,
    ),
    batch('session', 'id', (at) => sql`select s.id from session s where ${isOver(at)}`),
    batch(
      'api_key',
      'id',
      ({ keysKept }) => sql`select k.id from api_key k where k.revoked_at <= ${keysKept} or k.expires_at <= ${keysKept}`,
    ),
    ...['pending_login', 'spent_challenge', 'claim_code'].map(expired),
    batch('decision', 'id', ({ decisionsKept }) => sql`select d.id from decision d where d.expires_at <= ${decisionsKept}`),
    batch(
      'decision',
      'id',
      ({ now }) =>
        sql`select d.id from decision d where d.expires_at <= ${now} and d.seq <= (select n.seq from decision n order by n.seq desc limit 1 offset ${sql.lit(mostDecisions)})`,
    ),
  ]
}
