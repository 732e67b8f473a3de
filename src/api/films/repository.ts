import type { CompiledQuery, Kysely } from 'kysely'

import type { Clock } from '../../core/clock.ts'
import type { Database } from '../../db/open.ts'
import type { Tables } from '../../db/tables.ts'
import { type Statement, statement, template } from '../../db/unit.ts'
import { written } from '../written.ts'
import { normaliseFilm, type StoredFilm } from './normalise.ts'
import { type Picks, createPicks } from './picks.ts'
import type { Film, NewFilm } from './schema.ts'

export interface FilmRepository {
  readonly picks: Picks
  byId(id: number): Promise<Film | undefined>
  /** Durable when it resolves. Names and the other texts are stored in NFC. */
  add(film: NewFilm): Promise<Film>
  /** All or none of them, durable when it resolves; each is a film of its own, whatever is there already. */
  addMany(films: readonly StoredFilm[]): Promise<void>
  /** False when there is no such film. */
  remove(id: number): Promise<boolean>
  /** Whether there never was a film. */
  isUntouched(): Promise<boolean>
  /** Fills an untouched catalogue, all or nothing; false when it is not one any more. */
  seed(films: readonly NewFilm[]): Promise<boolean>
}

export const columns = ['id', 'name', 'studio', 'year', 'genre', 'director', 'runtime_min', 'rating', 'likes', 'dislikes'] as const

export const createFilmRepository = (database: Database, clock: Clock): FilmRepository => {
  const { reader, commit, channel } = database
  const queries = compileQueries(reader)

  const byId = async (id: number): Promise<Film | undefined> => (await reader.executeQuery<Film>(queries.byId({ id }))).rows[0]

  const picks = createPicks({
    byId,
    now: clock.monotonicMs,
    isAnnounced: channel.isUp,
    count: async () => (await reader.executeQuery<{ films: number }>(queries.count)).rows[0]?.films ?? 0,
    bySlots: async (slots) => (await reader.executeQuery<Film & { slot: number }>(queries.bySlots(slots))).rows,
  })

  channel.subscribe('film_removed', () => picks.forgetAll())

  return {
    picks,
    byId,
    add: async (film) => {
      const stored = normaliseFilm(film)
      const outcome = await commit([statement(queries.grow({ by: 1, at: clock.epochMs() }), 1), statement(queries.insert(stored), 1)])
      picks.forgetAll()
      const id = written(outcome)[1]?.[0]?.['id']
      return { id: Number(id), ...stored, likes: 0, dislikes: 0 }
    },
    addMany: async (films) => {
      const grow = statement(queries.grow({ by: films.length, at: clock.epochMs() }), 1)
      const outcome = await commit([grow, ...queries.insertMany(films)])
      picks.forgetAll()
      written(outcome)
    },
    remove: async (id) => {
      const outcome = await commit([
        statement(queries.shrink, 1),
        statement(queries.moveLastAside({ id })),
        statement(queries.remove({ id }), 1),
        statement(queries.moveBack),
        ...channel.announce('film_removed'),
      ])
      picks.forgetAll()
      if (outcome.result === 'conflict') return false
      written(outcome)
      return true
    },
    isUntouched: async () => (await reader.executeQuery(queries.untouched)).rows.length === 1,
    seed: async (films) => {
      const seedCount = statement(queries.seedCount({ films: films.length, at: clock.epochMs() }), 1)
      const outcome = await commit([seedCount, ...queries.insertMany(films.map(normaliseFilm))])
      picks.forgetAll()
      // Only the first statement asks whether the catalogue is untouched.
      if (outcome.result === 'conflict' && outcome.statement === 0) return false
      written(outcome)
      return true
    },
  }
}

type IdArgs = { id: number }

const compileQueries = (db: Kysely<Tables>) => {
  const batches = new Map<number, CompiledQuery>()
  /** Compiled for powers of two, so that few texts are prepared: the last slot stands as often as it takes. The slots are all its parameters. */
  const bySlots = (slots: readonly number[]): CompiledQuery => {
    const size = 2 ** Math.ceil(Math.log2(slots.length))
    const padded = [...slots, ...Array.from({ length: size - slots.length }, () => slots.at(-1) ?? 0)]
    const known =
      batches.get(size) ??
      db
        .selectFrom('film')
        .select([...columns, 'slot'])
        .where('slot', 'in', padded)
        .compile()
    batches.set(size, known)
    return { ...known, parameters: padded }
  }

  return {
    bySlots,
    count: db.selectFrom('catalogue').select('films').compile(),
    byId: template<IdArgs>(['id'], ({ id }) => db.selectFrom('film').select(columns).where('id', '=', id)),
    grow: template<{ by: number; at: number }>(['by', 'at'], ({ by, at }) =>
      db.updateTable('catalogue').set((e) => ({ films: e('films', '+', by), filled_at: e.fn.coalesce('filled_at', e.val(at)) })),
    ),
    shrink: db
      .updateTable('catalogue')
      .set((e) => ({ films: e('films', '-', 1) }))
      .compile(),
    untouched: db.selectFrom('catalogue').select('id').where('films', '=', 0).where('filled_at', 'is', null).compile(),
    // Compare and swap: of two servers that start at once on one database, one imports.
    seedCount: template<{ films: number; at: number }>(['films', 'at'], ({ films, at }) =>
      db.updateTable('catalogue').set({ films, filled_at: at }).where('films', '=', 0).where('filled_at', 'is', null),
    ),
    insert: template<StoredFilm>(['name', 'studio', 'year', 'genre', 'director', 'runtime_min', 'rating'], (film) =>
      db
        .insertInto('film')
        .values((e) => ({ ...film, slot: e.selectFrom('catalogue').select('films') }))
        .returning('id'),
    ),
    insertMany: compileInsertMany(db),
    ...compileRemoval(db),
  }
}

/** Rows of one statement: enough to share its cost, and 8 parameters each stay far below what either database takes (32,766 and 65,535). */
const rowsPerInsert = 500

/** For a unit whose first statement has counted the films already: they take the last slots, in their order. */
const compileInsertMany = (db: Kysely<Tables>): ((films: readonly StoredFilm[]) => Statement[]) => {
  const compile = (rows: number): CompiledQuery => {
    const row = { name: '', studio: '', year: 0, genre: '', director: '', runtime_min: 0, rating: 0 }
    const values = Array.from({ length: rows }, () => row)
    return db
      .insertInto('film')
      .values((e) => values.map((one) => ({ ...one, slot: e(e.selectFrom('catalogue').select('films').$asScalar(), '-', 0) })))
      .compile()
  }
  let full: CompiledQuery | undefined
  return (films) =>
    Array.from({ length: Math.ceil(films.length / rowsPerInsert) }, (_, i) => {
      const chunk = films.slice(i * rowsPerInsert, (i + 1) * rowsPerInsert)
      const query = chunk.length === rowsPerInsert ? (full ??= compile(rowsPerInsert)) : compile(chunk.length)
      const behind = films.length - i * rowsPerInsert - 1
      const parameters = chunk.flatMap(({ name, studio, year, genre, director, runtime_min, rating }, row) => [
        name,
        studio,
        year,
        genre,
        director,
        runtime_min,
        rating,
        behind - row,
      ])
      return statement({ ...query, parameters }, chunk.length)
    })
}

/**
 * Keeps the slots without a hole: the film in the last slot takes the place of the one that goes. It waits under a negative number in
 * between, because the slot is unique at every moment; when the film that goes is itself the last one, both are the same row.
 */
const compileRemoval = (db: Kysely<Tables>) => ({
  moveLastAside: template<IdArgs>(['id'], ({ id }) =>
    db
      .updateTable('film')
      .set((e) => ({ slot: e.neg(e.selectFrom('film as gone').select('gone.slot').where('gone.id', '=', id).$asScalar().$notNull()) }))
      .where('slot', '=', (e) => e.selectFrom('catalogue').select((c) => c('films', '+', 1).as('last'))),
  ),
  remove: template<IdArgs>(['id'], ({ id }) => db.deleteFrom('film').where('id', '=', id)),
  moveBack: db
    .updateTable('film')
    .set((e) => ({ slot: e.neg(e.ref('slot')) }))
    .where('slot', '<', 0)
    .compile(),
})
