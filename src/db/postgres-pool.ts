import { createHash } from 'node:crypto'
import type { Writable } from 'node:stream'

import type pg from 'pg'

import type { PostgresAddress } from './postgres-url.ts'

/** A client that gets no answer from the store within this time is refused (503); waiting for a free connection is part of it. */
export const storageDeadlineMs = 5000
const connectMs = 1500
/** On the server: what nobody waits for any more shall not hold locks. Shorter than the time that is left after a wait for a connection. */
const statementMs = 3000
const lockMs = 2500
const idleMs = 30_000
/** So that connections find their way to another server after its name has moved. */
const maxLifetimeSeconds = 1800
/** More than this many waiting means that the store is far behind: refusing at once is kinder than an answer after the deadline. */
const maxWaiting = 5000

export interface PoolOptions {
  readonly address: PostgresAddress
  readonly max: number
  readonly readOnly: boolean
}

/** A connection lent by the pool; `broken` closes it instead of lending it again. */
export interface Lent {
  query(sql: string, parameters: readonly unknown[], deadlineMs: number): Promise<pg.QueryResult<Record<string, unknown>>>
  /** What `work` sends leaves as one packet: a system call and a waking of the server for all instead of for each. */
  together<T>(work: () => T): T
  release(broken: boolean): void
}

export interface PostgresPool {
  /** Rejects when no connection comes free or can be made within 1.5 s. */
  lend(): Promise<Lent>
  end(): Promise<void>
}

/** Loaded only when it is configured: embedded SQLite needs nothing of it. */
export const loadDriver = async (): Promise<typeof pg> => (await import('pg')).default

export const connectionOptions = (address: PostgresAddress): pg.ClientConfig => ({
  ...address,
  application_name: 'filmgate',
  connectionTimeoutMillis: connectMs,
  keepAlive: true,
  // SCRAM then proves the certificate too: a password that is relayed over another TLS connection is worth nothing (RFC 5929).
  enableChannelBinding: address.ssl !== false,
})

export const openPool = (driver: typeof pg, { address, max, readOnly }: PoolOptions): PostgresPool => {
  const pool = new driver.Pool({
    ...connectionOptions(address),
    max,
    // Statements are sent without waiting for the answer to the one before.
    pipeline: true,
    idleTimeoutMillis: idleMs,
    maxLifetimeSeconds,
    types: createTypes(driver),
    onConnect: prepareSession(readOnly ? [...deadlines, readingOnly] : [...deadlines, durable]),
  })
  // A connection that breaks while nobody uses it: the pool replaces it. Without a listener the event would end the process.
  pool.on('error', () => undefined)
  const nameOf = createNames()
  return {
    lend: async () => {
      if (pool.waitingCount >= maxWaiting) throw new Error('too many are waiting for a connection')
      const client = await pool.connect()
      // The client emits what befalls it between two queries; the next query, or this one, rejects with the same.
      client.on('error', ignore)
      return {
        query: (text, values, deadlineMs) =>
          client.query<Record<string, unknown>>(timed({ ...nameOf(text), text, values: [...values] }, deadlineMs)),
        together: (work) => {
          const { stream } = (client as unknown as WithStream).connection
          stream.cork()
          try {
            return work()
          } finally {
            stream.uncork()
          }
        },
        release: (broken) => {
          client.off('error', ignore)
          client.release(broken)
        },
      }
    },
    end: () => pool.end(),
  }
}

/** `query_timeout` of a single query is missing in the published types; the connection is closed when it is over. */
export const timed = (query: pg.QueryConfig, deadlineMs: number): pg.QueryConfig =>
  Object.assign(query, { query_timeout: Math.max(1, deadlineMs - performance.now()) })

/** Of pg's client, missing in its published types. */
interface WithStream {
  readonly connection: { readonly stream: Writable }
}

const ignore = (): void => undefined

const deadlines = [
  `set statement_timeout = ${statementMs}`,
  `set lock_timeout = ${lockMs}`,
  `set idle_in_transaction_session_timeout = ${storageDeadlineMs}`,
]
/** Writers of one row queue. At the stricter levels, which a server may have as its default, all but the first would fail. */
const readCommitted = "set default_transaction_isolation = 'read committed'"
/** A session that reads cannot write. */
const readingOnly = 'set default_transaction_read_only = on'
/**
 * Where it is off, a commit returns before it is on the disk, and an acknowledged write could be lost. Set whatever it is, so that a server
 * which is switched over later does not take this session along.
 */
const durable = "select set_config('synchronous_commit', coalesce(nullif(current_setting('synchronous_commit'), 'off'), 'on'), false)"

/**
 * What a new connection is told before it is lent, in one go. As statements: a pool in between (PgBouncer) refuses settings that come with
 * the connection itself. The driver's pool waits for the promise, which its published type does not say, and knows no deadline here.
 */
export const prepareSession =
  (statements: readonly string[]): ((client: pg.ClientBase) => void) =>
  (client) =>
    client.query(timed({ text: [readCommitted, ...statements].join('; ') }, performance.now() + connectMs)) as unknown

/** int8 and numeric come as text; all of ours fit a double exactly (ids and counts below 2^53, epoch milliseconds). */
const createTypes = (driver: typeof pg): pg.CustomTypesConfig => {
  const asNumber: ReadonlySet<number> = new Set([driver.types.builtins.INT8, driver.types.builtins.NUMERIC])
  return {
    getTypeParser: (oid: number, format?: 'text' | 'binary') =>
      asNumber.has(oid) && format !== 'binary' ? Number : driver.types.getTypeParser(oid, format),
  }
}

/** Parsed and planned once for each connection. Bounded: texts that are long or come late in great variety go unnamed. */
const createNames = (): ((sql: string) => { readonly name?: string }) => {
  const known = new Map<string, { readonly name?: string }>()
  return (sql) => {
    const found = known.get(sql)
    if (found) return found
    if (known.size >= 200 || sql.length > 50_000) return {}
    const named = { name: createHash('sha256').update(sql).digest('base64url').slice(0, 22) }
    known.set(sql, named)
    return named
  }
}
