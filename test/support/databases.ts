import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after } from 'node:test'

import { type Database, openDatabase } from '../../src/db/open.ts'
import { eventually } from './deadline.ts'
import { type DatabaseServer, queryUrl, useServer } from './postgres-client.ts'
import { startPostgres } from './postgres.ts'
import { servicesMissing } from './services.ts'
import { storedAt, storedInFolder, type Stored } from './stored.ts'

/** Where data can be kept: what a program is started with, and a look inside past it. */
export interface Place extends Stored, AsyncDisposable {
  readonly url: string
  /** What a program needs in its environment to keep its data here. */
  readonly env: Readonly<Record<string, string>>
  /** Resolves when nobody else is at work here: of a program that was killed, a server may still carry out what it had sent. */
  left(): Promise<void>
}

export interface OpenDatabase extends AsyncDisposable {
  readonly database: Database
  /** The same data once more, as a second instance of the program has it; closed with the first. */
  another(): Promise<Database>
}

/** One entry for each database that the program must behave the same on. */
export interface DatabaseKind {
  readonly name: 'sqlite' | 'postgres'
  /** Why it cannot be tested here, or false. */
  readonly missing: string | false
  /** PostgreSQL's text cannot hold U+0000: a unit with it is a conflict. No route lets it through. */
  readonly holdsNul: boolean
  /** An empty database, not even migrated. */
  place(): Promise<Place>
  /** Writes past the program, for what it would never do. */
  change(place: Place, sql: string): Promise<unknown>
  /** With `films` films already there, put in faster than the program could. */
  filledPlace(films: number): Promise<Place>
  /** Empty and migrated. */
  open(): Promise<OpenDatabase>
}

const newFolder = (): string => mkdtempSync(join(tmpdir(), 'filmgate-place-'))
const removeFolder = (folder: string): void => rmSync(folder, { recursive: true, force: true })

const sqlitePlace = async (): Promise<Place> => {
  const dataDir = newFolder()
  return {
    ...storedInFolder(dataDir),
    url: 'sqlite',
    env: {},
    left: () => Promise.resolve(),
    [Symbol.asyncDispose]: async () => removeFolder(dataDir),
  }
}

/** One server for all tests of a file, started when the first one asks. */
let shared: Promise<DatabaseServer> | undefined
after(async () => (await shared)?.[Symbol.asyncDispose]())

const named = process.env['FILMGATE_TEST_DATABASE_URL']
const sharedServer = (): Promise<DatabaseServer> => (shared ??= named === undefined ? startPostgres() : Promise.resolve(useServer(named)))

/** An empty database on a server, by default on the one that the tests of a file share. */
export const postgresPlace = async (server?: DatabaseServer): Promise<Place> => {
  const url = await (server ?? (await sharedServer())).createDatabase()
  const dataDir = newFolder()
  const secretsKey = randomBytes(32).toString('base64url')
  return {
    ...storedAt(url, dataDir, secretsKey),
    url,
    env: { DATABASE_URL: url, FILMGATE_SECRETS_KEY: secretsKey },
    left: () =>
      eventually(10_000, 'the last connection has ended', async () => {
        const others = 'select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()'
        return (await queryUrl(url, others)).length === 0
      }),
    [Symbol.asyncDispose]: async () => removeFolder(dataDir),
  }
}

/** The place stays when it is closed. */
export const openAt = async (place: Place): Promise<OpenDatabase> => {
  const open = (): Promise<Database> => openDatabase({ url: place.url, dataDir: place.dataDir })
  const database = await open()
  const opened = [database]
  return {
    database,
    another: async () => {
      const other = await open()
      opened.push(other)
      return other
    },
    [Symbol.asyncDispose]: async () => {
      for (const one of opened.toReversed()) await one.close()
    },
  }
}

/** Both databases know it. */
const fillSql = (films: number): string => `
  insert into film (slot, name, studio, year, genre, director, runtime_min, rating)
  with recursive numbers (n) as (select 1 union all select n + 1 from numbers where n < ${films})
  select n, 'Film number ' || n, 'Studio ' || (n % 100), 1900 + n % 120, 'Drama', 'Director ' || (n % 5000), 90, 5.5 from numbers`
const countSql = (films: number): string => `update catalogue set films = ${films}, filled_at = 1`

const changeSqlite = async ({ dataDir }: Place, sql: string): Promise<void> => {
  using connection = new DatabaseSync(join(dataDir, 'filmgate.db'))
  connection.exec(`pragma synchronous = off; begin; ${sql}; commit`)
}

const kind = (options: Pick<DatabaseKind, 'name' | 'missing' | 'holdsNul' | 'place' | 'change'>): DatabaseKind => {
  const { place, change } = options
  const filledPlace = async (films: number): Promise<Place> => {
    const empty = await place()
    await (await openDatabase({ url: empty.url, dataDir: empty.dataDir })).close()
    await change(empty, `${fillSql(films)}; ${countSql(films)}; analyze film`)
    return empty
  }
  return {
    ...options,
    filledPlace,
    open: async () => {
      const empty = await place()
      const opened = await openAt(empty)
      return {
        ...opened,
        [Symbol.asyncDispose]: async () => {
          await opened[Symbol.asyncDispose]()
          await empty[Symbol.asyncDispose]()
        },
      }
    },
  }
}

export const databases: readonly DatabaseKind[] = [
  kind({ name: 'sqlite', missing: false, holdsNul: true, place: sqlitePlace, change: changeSqlite }),
  kind({
    name: 'postgres',
    missing: named === undefined ? servicesMissing('postgres') : false,
    holdsNul: false,
    place: postgresPlace,
    change: ({ url }, sql) => queryUrl(url, sql),
  }),
]
