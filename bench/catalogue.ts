/** Many films, faster than the program could take them: on top of its own first ones, while it is stopped. */
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Machine } from './machine.ts'
import { filmgatePostgres, newDataDir } from './peers/filmgate.ts'
import { postgresMissing, query, startPostgres } from './postgres.ts'

export interface Catalogue {
  readonly dataDir: string
  readonly databaseUrl: string | undefined
  /** Until there are so many; their slots go on without a hole, which is what a random pick relies on. */
  fill(films: number): Promise<void>
}

export interface CatalogueKind {
  readonly title: string
  versions(): Record<string, string>
  missing(): string | undefined
  create(machine: Machine): Promise<Catalogue>
}

/** `numbers` is a query with one column n. */
function insertFilms(numbers: string): string {
  return `insert into film (slot, name, studio, year, genre, director, runtime_min, rating)
    select n, 'Film number ' || n, 'Studio ' || (n % 100), 1900 + n % 120, 'Drama', 'Director ' || (n % 5000), 90, 5.5
    from (${numbers}) as numbers`
}

const countFilms = 'update catalogue set films = (select count(*) from film)'

function fillSqlite(file: string, films: number): void {
  using connection = new DatabaseSync(file)
  const numbers = `with recursive slots (n) as (
      select films + 1 from catalogue union all select n + 1 from slots where n < ${films}
    ) select n from slots`
  connection.exec(`begin; ${insertFilms(numbers)}; ${countFilms}; commit; analyze`)
}

/** Vacuum last, or the server would do it by itself while it is measured. */
async function fillPostgres(url: string, films: number): Promise<void> {
  const numbers = `select generate_series((select films + 1 from catalogue), ${films}) as n`
  await query(url, [insertFilms(numbers), countFilms, 'vacuum (freeze, analyze) film', 'checkpoint'])
}

const sqlite: CatalogueKind = {
  title: 'SQLite',
  versions: () => ({}),
  missing: () => undefined,
  create: async () => {
    const dataDir = newDataDir()
    return { dataDir, databaseUrl: undefined, fill: async (films) => fillSqlite(join(dataDir, 'filmgate.db'), films) }
  },
}

const postgres: CatalogueKind = {
  title: 'PostgreSQL',
  versions: () => filmgatePostgres.versions(),
  missing: postgresMissing,
  create: async (machine) => {
    const databaseUrl = await startPostgres(machine, 'shared')
    return { dataDir: newDataDir(), databaseUrl, fill: (films) => fillPostgres(databaseUrl, films) }
  },
}

export const catalogueKinds: readonly CatalogueKind[] = [sqlite, postgres]
