import { createHmac } from 'node:crypto'

import type { Client } from '../../../core/request.ts'
import type { Database } from '../../../db/open.ts'
import { statement, template, type Unit } from '../../../db/unit.ts'

/** Where an account was logged in to before: who guesses from elsewhere cannot lock its owner out there. */
export interface KnownPlaces {
  /** The same look at the database whether there is such an account or not. */
  isKnown(accountId: string | undefined, client: Client): Promise<boolean>
  /** For the unit of a login that succeeded. */
  note(accountId: string, client: Client): Unit
}

/** Enough for somebody who travels; each one is a place that a guesser may be at. */
export const maxPlaces = 20

/** `key` is the master key's label `places`: nobody without it can test an address against the table, nor see that two accounts share one. */
export const createKnownPlaces = ({ reader }: Pick<Database, 'reader'>, epochMs: () => number, key: Buffer): KnownPlaces => {
  const queries = compileQueries(reader)
  const placeOf = (accountId: string, { prefix }: Client): string =>
    createHmac('sha256', key).update(`${accountId} ${prefix}`).digest().subarray(0, 16).toString('base64url')
  return {
    isKnown: async (accountId = 'nobody', client) =>
      (await reader.executeQuery(queries.find({ accountId, place: placeOf(accountId, client) }))).rows.length > 0,
    note: (accountId, client) => [
      statement(queries.note({ accountId, place: placeOf(accountId, client), at: epochMs() })),
      statement(queries.forget({ accountId })),
    ],
  }
}

const compileQueries = (db: Database['reader']) => ({
  find: template<{ accountId: string; place: string }>(['accountId', 'place'], ({ accountId, place }) =>
    db.selectFrom('known_place').select('place').where('account_id', '=', accountId).where('place', '=', place),
  ),
  note: template<{ accountId: string; place: string; at: number }>(['accountId', 'place', 'at'], ({ accountId, place, at }) =>
    db
      .insertInto('known_place')
      .values({ account_id: accountId, place, last_used_at: at })
      .onConflict((conflict) =>
        conflict.columns(['account_id', 'place']).doUpdateSet({ last_used_at: (e) => e.ref('excluded.last_used_at') }),
      ),
  ),
  forget: template<{ accountId: string }>(['accountId'], ({ accountId }) =>
    db
      .deleteFrom('known_place')
      .where('account_id', '=', accountId)
      .where('place', 'in', (e) =>
        e
          .selectFrom('known_place as p')
          .select('p.place')
          .where('p.account_id', '=', accountId)
          .orderBy('p.last_used_at', 'desc')
          .orderBy('p.place')
          .limit(1000)
          .offset(maxPlaces),
      ),
  ),
})
