import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

import { type Database, openDatabase } from '../../src/db/open.ts'

export interface OpenDatabase extends AsyncDisposable {
  readonly database: Database
  /** The same data once more, as a second instance of the program has it; closed with the first. */
  another(): Promise<Database>
}

/** One entry for each database that the repositories must behave the same on. */
export interface DatabaseKind {
  readonly name: string
  /** Empty and migrated. */
  open(): Promise<OpenDatabase>
  /** With `films` films already there, put in faster than the repository could. */
  openFilled(films: number): Promise<OpenDatabase>
}

const openSqliteIn = async (folder: string): Promise<OpenDatabase> => {
  const opened = [await openDatabase(folder)]
  return {
    database: opened[0] as Database,
    another: async () => {
      const database = await openDatabase(folder)
      opened.push(database)
      return database
    },
    [Symbol.asyncDispose]: async () => {
      for (const database of opened.toReversed()) await database.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

const newFolder = (): string => mkdtempSync(join(tmpdir(), 'filmgate-contract-'))

const sqlite: DatabaseKind = {
  name: 'sqlite',
  open: () => openSqliteIn(newFolder()),
  openFilled: async (films) => openSqliteIn(await createFilledFolder(films)),
}

/** A data folder as a server can be started on. */
export const createFilledFolder = async (films: number): Promise<string> => {
  const folder = newFolder()
  await (await openDatabase(folder)).close()
  fillSqlite(join(folder, 'filmgate.db'), films)
  return folder
}

const fillSqlite = (file: string, films: number): void => {
  using connection = new DatabaseSync(file)
  connection.exec('pragma synchronous = off; begin')
  connection
    .prepare(
      `insert into film (slot, name, studio, year, genre, director, runtime_min, rating)
       with recursive numbers (n) as (select 1 union all select n + 1 from numbers where n < ?)
       select n, 'Film number ' || n, 'Studio ' || (n % 100), 1900 + n % 120, 'Drama', 'Director ' || (n % 5000), 90, 5.5 from numbers`,
    )
    .run(films)
  connection.prepare('update catalogue set films = ?, filled_at = 1').run(films)
  connection.exec('commit')
}

export const databases: readonly DatabaseKind[] = [sqlite]
