import type { Kysely } from 'kysely'

import type { Tables } from '../../db/tables.ts'
import { template } from '../../db/unit.ts'
import { columns } from './repository.ts'
import type { Film } from './schema.ts'

/** Films of one query: the memory that an export takes, whatever the catalogue's size. */
const pageSize = 1000

/**
 * All films in the order of their ids, as NDJSON, a page of lines at a time. Each page is read when the one before was taken, so a film that
 * is added meanwhile comes too, and votes are those of the moment of its page.
 */
export async function* exportFilms(reader: Kysely<Tables>): AsyncGenerator<{ readonly films: number; readonly text: string }> {
  const pageBehind = compilePage(reader)
  for (let last = 0; ;) {
    const { rows } = await reader.executeQuery<Film>(pageBehind({ last }))
    if (rows.length > 0) yield { films: rows.length, text: rows.map(toLine).join('') }
    if (rows.length < pageSize) return
    last = rows.at(-1)?.id ?? last
  }
}

/** By the key of the last film, not by counting: a film that goes meanwhile must not make another one be left out. */
const compilePage = (reader: Kysely<Tables>) =>
  template<{ last: number }>(['last'], ({ last }) =>
    reader.selectFrom('film').select(columns).where('id', '>', last).orderBy('id').limit(pageSize),
  )

const toLine = (film: Film): string => `${JSON.stringify(film)}\n`
