import type { CompiledQuery, Kysely } from 'kysely'

import { createPrivateJwk, importSigningKey, type SigningKeyPair } from '../../../credentials/signing-key.ts'
import { seal, unseal } from '../../../credentials/sealed.ts'
import type { Database } from '../../../db/open.ts'
import type { SigningKeyTable, Tables } from '../../../db/tables.ts'
import { type Statement, statement, template } from '../../../db/unit.ts'

export interface SigningKey extends SigningKeyPair {
  readonly kid: string
  readonly generation: number
  readonly createdAt: number
  /** From when on it signs, until the next one does. */
  readonly activeAt: number
}

export interface StoredKeys {
  /** Those that can be used, in the order of their generations. */
  readonly keys: readonly SigningKey[]
  /** Of the newest row, whether it can be used or not; 0 where there is none. */
  readonly newest: number
  /** Ids of rows that were sealed with another master key, or changed. */
  readonly unusable: readonly string[]
}

/** The keys in the database, sealed with `sealingKey`. */
export const createSigningKeyTable = ({ reader }: Pick<Database, 'reader'>, sealingKey: Buffer) => {
  const queries = compileQueries(reader)
  const opened = new Map<string, SigningKeyPair>()

  const open = async ({ kid, sealed_private }: SigningKeyTable): Promise<SigningKeyPair | undefined> => {
    const known = opened.get(sealed_private)
    if (known !== undefined) return known
    const jwk = unseal(sealingKey, kid, sealed_private)
    if (jwk === undefined) return undefined
    const pair = await importSigningKey(jwk)
    if (pair.publicJwk.kid !== kid) return undefined
    opened.set(sealed_private, pair)
    return pair
  }

  return {
    /** What stands beside a sealed key is not believed: who can write to the table, but has no master key, cannot add a key of their own. */
    read: async (): Promise<StoredKeys> => {
      const { rows } = await reader.executeQuery<SigningKeyTable>(queries.all)
      const pairs = await Promise.all(rows.map(open))
      const keys = rows.flatMap(({ kid, generation, created_at: createdAt, active_at: activeAt }, i) => {
        const pair = pairs[i]
        return pair === undefined ? [] : [{ ...pair, kid, generation, createdAt, activeAt }]
      })
      const unusable = rows.filter((_, i) => pairs[i] === undefined).map(({ kid }) => kid)
      return { keys, newest: rows.at(-1)?.generation ?? 0, unusable }
    },

    /** Compare and swap: conflicts where somebody else made the key of that generation. */
    addition: async (
      generation: number,
      at: number,
      activeAt: number,
    ): Promise<{ readonly kid: string; readonly statement: Statement }> => {
      const jwk = await createPrivateJwk()
      const { publicJwk } = await importSigningKey(jwk)
      const { kid } = publicJwk
      const sealed = seal(sealingKey, kid, jwk)
      const values = { kid, generation, publicJwk: JSON.stringify(publicJwk), sealed, at, activeAt }
      return { kid, statement: statement(queries.insert(values), 1) }
    },

    /** Removes the keys of older generations. */
    removalBefore: (generation: number): Statement => statement(queries.removeBefore({ generation })),
  }
}

type Addition = { kid: string; generation: number; publicJwk: string; sealed: string; at: number; activeAt: number }

const compileQueries = (db: Kysely<Tables>) => ({
  all: db.selectFrom('signing_key').selectAll().orderBy('generation').compile() as CompiledQuery<SigningKeyTable>,
  insert: template<Addition>(
    ['kid', 'generation', 'publicJwk', 'sealed', 'at', 'activeAt'],
    ({ kid, generation, publicJwk, sealed, at, activeAt }) =>
      db
        .insertInto('signing_key')
        .values({ kid, generation, public_jwk: publicJwk, sealed_private: sealed, created_at: at, active_at: activeAt }),
  ),
  removeBefore: template<{ generation: number }>(['generation'], ({ generation }) =>
    db.deleteFrom('signing_key').where('generation', '<', generation),
  ),
})
