import { randomBytes } from 'node:crypto'

import pg from 'pg'

const limitMs = 20_000

export type Row = Readonly<Record<string, unknown>>

export interface DatabaseServer extends AsyncDisposable {
  /** The URL of a new, empty database. */
  createDatabase(): Promise<string>
}

/** Ids and counts come as text from the driver, because they need not fit a number; those of tests do. */
const int8: number = pg.types.builtins.INT8
const types: pg.CustomTypesConfig = { getTypeParser: (oid: number) => (oid === int8 ? Number : pg.types.getTypeParser(oid)) }

/** One query on a connection of its own. */
export const queryOnce = async (config: pg.ClientConfig, sql: string, parameters: readonly unknown[]): Promise<Row[]> => {
  const client = new pg.Client({ ...config, types, connectionTimeoutMillis: limitMs, query_timeout: limitMs })
  // Without a listener the death of the server would be the death of the test's process.
  client.on('error', () => undefined)
  await client.connect()
  try {
    return (await client.query<Row>(sql, [...parameters])).rows
  } finally {
    await client.end().catch(() => undefined)
  }
}

export const queryUrl = (url: string, sql: string, parameters: readonly unknown[] = []): Promise<Row[]> =>
  queryOnce({ connectionString: url }, sql, parameters)

/** A server that somebody else runs: databases are made there and dropped in the end. Its role must be allowed to make them. */
export const useServer = (url: string): DatabaseServer => {
  const created: string[] = []
  return {
    createDatabase: async () => {
      const name = `filmgate_test_${randomBytes(8).toString('hex')}`
      await queryUrl(url, `create database ${name}`)
      created.push(name)
      return Object.assign(new URL(url), { pathname: `/${name}` }).href
    },
    [Symbol.asyncDispose]: async () => {
      for (const name of created) await queryUrl(url, `drop database if exists ${name} with (force)`)
    },
  }
}
