import { type Kysely, sql } from 'kysely'

import type { VoterId } from '../../credentials/voter-id.ts'
import type { Database } from '../../db/open.ts'
import type { Tables } from '../../db/tables.ts'
import { type Commit, type Outcome, statement, template, type Unit } from '../../db/unit.ts'
import { written } from '../written.ts'

export type VoteValue = 'like' | 'dislike'

export interface Vote {
  readonly filmId: number
  readonly value: VoteValue
}

export interface VoteRepository {
  /**
   * Records votes of one voter, each replacing the one that the voter had on the film; all or none, durable when it resolves. Says of each
   * whether there is such a film.
   */
  record(voter: VoterId, votes: readonly Vote[]): Promise<boolean[]>
}

interface VoteArgs extends Record<string, string | number> {
  filmId: number
  voter: string
  value: number
  votedAt: number
}

interface CountArgs extends Record<string, string | number> {
  filmId: number
  voter: string
  like: number
  dislike: number
}

export const createVoteRepository = (database: Database, epochMs: () => number): VoteRepository => {
  const queries = compileQueries(database.reader)
  return {
    record: async (voter, votes) => {
      const votedAt = epochMs()
      // In the order of the films: two calls that lock the same two crosswise would wait for each other until the database ends one.
      const ordered = votes.toSorted((a, b) => a.filmId - b.filmId)
      const unit = ordered.flatMap(({ filmId, value }) => {
        const like = value === 'like' ? 1 : 0
        return [
          statement(queries.put({ filmId, voter, value: like === 1 ? 1 : -1, votedAt })),
          statement(queries.count({ filmId, voter, like, dislike: 1 - like })),
        ]
      })
      const rows = written(await commitAgain(database.commit, unit))
      // Where there is no such film, the first statement of its pair puts nothing and returns nothing.
      return votes.map((vote) => rows[2 * ordered.indexOf(vote)]?.length === 1)
    },
  }
}

/** Where a film goes between two looks of one statement (a foreign key of PostgreSQL), the unit conflicts; the next time it is seen to be gone. */
const commitAgain = async (commit: Commit, unit: Unit): Promise<Outcome> => {
  const outcome = await commit(unit)
  return outcome.result === 'conflict' ? commit(unit) : outcome
}

/**
 * The vote row keeps what the vote was before, so the counters move by the difference within the unit. Writing the vote first also makes
 * two parallel votes of one voter queue on its row in PostgreSQL, so that neither counts the other's old value twice.
 */
const compileQueries = (db: Kysely<Tables>) => ({
  put: template<VoteArgs>(['filmId', 'voter', 'value', 'votedAt'], ({ filmId, voter, value, votedAt }) =>
    db
      .insertInto('vote')
      .columns(['film_id', 'voter', 'value', 'previous', 'voted_at'])
      .expression(
        db
          .selectFrom('film')
          .select([
            'film.id',
            sql<string>`cast(${voter} as text)`.as('voter'),
            sql<number>`cast(${value} as integer)`.as('value'),
            sql<number>`0`.as('previous'),
            sql<number>`cast(${votedAt} as bigint)`.as('voted_at'),
          ])
          .where('film.id', '=', filmId),
      )
      .onConflict((conflict) =>
        conflict.columns(['film_id', 'voter']).doUpdateSet((e) => ({
          previous: e.ref('vote.value'),
          value: e.ref('excluded.value'),
          voted_at: e.ref('excluded.voted_at'),
        })),
      )
      .returning('film_id'),
  ),
  count: template<CountArgs>(['filmId', 'voter', 'like', 'dislike'], ({ filmId, voter, like, dislike }) => {
    const withdrawn = (value: 1 | -1) =>
      db
        .selectFrom('vote')
        .select((e) => e.fn.countAll<number>().as('count'))
        .where('film_id', '=', filmId)
        .where('voter', '=', voter)
        .where('previous', '=', value)
        .$asScalar()
        .$notNull()
    return db
      .updateTable('film')
      .set((e) => ({
        likes: e(e('likes', '+', like), '-', withdrawn(1)),
        dislikes: e(e('dislikes', '+', dislike), '-', withdrawn(-1)),
      }))
      .where('id', '=', filmId)
  }),
})
