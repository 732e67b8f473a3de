import { Kysely, PostgresDialect, type PostgresPool as KyselyPool } from 'kysely'
import type pg from 'pg'

import type { DatabaseLocation, OpenedDialect, Reads } from './database.ts'
import { openPostgresChannel } from './postgres-channel.ts'
import { loadDriver, openPool, type PostgresPool, storageDeadlineMs } from './postgres-pool.ts'
import { describeAddress, isExposed, parsePostgresUrl } from './postgres-url.ts'
import { createPostgresWriter } from './postgres-writer.ts'
import { queryName } from './timed.ts'

/** Per instance, with the one of the channel: fifteen, so that six instances fit the server's default of 100. */
const readers = 4
const writers = 10

/** Two pools, so that slow writes never keep a read waiting for a connection, and a read can never write. */
export const openPostgres = async ({ url }: DatabaseLocation, reads: Reads): Promise<OpenedDialect> => {
  const driver: typeof pg = await loadDriver()
  const address = parsePostgresUrl(url)
  const writer = createPostgresWriter(openPool(driver, { address, max: writers, readOnly: false }))
  const readPool = openPool(driver, { address, max: readers, readOnly: true })
  const reader: OpenedDialect['reader'] = new Kysely({ dialect: new PostgresDialect({ pool: forKysely(readPool, reads) }) })
  const channel = openPostgresChannel(driver, address)
  let closing: Promise<unknown> | undefined
  return {
    reader,
    commit: writer.commit,
    channel,
    warnings: isExposed(address) ? [exposed(describeAddress(address))] : [],
    close: async () => {
      closing ??= Promise.all([channel.close(), writer.close(), reader.destroy()])
      await closing
    },
  }
}

const exposed = (where: string): string =>
  `what is sent to ${where} can be read and changed on its way: add sslmode=verify-full (and sslrootcert=FILE for an authority of your own) to database.url`

/** The pool as Kysely asks for it. What fails is thrown as `onError` says, and its connection is not used again. */
const forKysely = (pool: PostgresPool, { onReadError: onError, timed }: Reads): KyselyPool => {
  const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      throw onError(error)
    }
  }
  const connect = async () => {
    const deadlineMs = performance.now() + storageDeadlineMs
    const lent = await guarded(() => pool.lend())
    let broken = false
    return {
      query: (sql: string, parameters: readonly unknown[]) =>
        guarded(
          timed.async(queryName(sql), async () => {
            broken = true
            const result = await lent.query(sql, parameters, deadlineMs)
            broken = false
            return result
          }),
        ),
      release: () => lent.release(broken),
    }
  }
  return { connect, end: () => pool.end(), options: {} } as unknown as KyselyPool
}
