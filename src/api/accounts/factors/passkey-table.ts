import { createHash } from 'node:crypto'

import { type Kysely, sql } from 'kysely'

import type { OpenChallenge } from '../../../credentials/challenge.ts'
import type { Database } from '../../../db/open.ts'
import type { PasskeyTable, Tables } from '../../../db/tables.ts'
import { type Statement, statement, template } from '../../../db/unit.ts'

/** Of one account. */
export const maxPasskeys = 20

export interface Passkey {
  /** The credential id, base64url. */
  readonly id: string
  readonly accountId: string
  readonly name: string
  readonly publicKey: string
  readonly counter: number
  readonly transports: readonly string[]
  readonly createdAt: number
  readonly lastUsedAt: number | null
}

/** What it is called in URLs: credential ids may have 1023 bytes, and whoever knows them can ask authenticators for them. */
export const passkeyName = (credentialId: string): string =>
  createHash('sha256').update(credentialId).digest().subarray(0, 16).toString('base64url')

export interface Passkeys {
  byId(id: string): Promise<Passkey | undefined>
  /** The oldest first. */
  ofAccount(accountId: string): Promise<readonly Passkey[]>
  /** Conflicts where the credential is known, also somebody else's, or there are too many. */
  add(passkey: Omit<Passkey, 'createdAt' | 'lastUsedAt'>): Statement
  /** Conflicts where the counter does not grow, unless the authenticator has none: then somebody has a copy of the key (section 6.1.1). */
  use(passkey: Pick<Passkey, 'id' | 'accountId'>, counter: number): Statement
  /** `keepOne`: conflicts where it is the last factor. */
  remove(passkey: Pick<Passkey, 'id' | 'accountId'>, keepOne: boolean): Statement
  /** Conflicts where the challenge was answered before; the sweep forgets it when it is over. */
  spend(challenge: OpenChallenge): Statement
}

export const createPasskeys = ({ reader }: Pick<Database, 'reader'>, epochMs: () => number): Passkeys => {
  const queries = compileQueries(reader)
  const rows = async (query: Parameters<typeof statement>[0]): Promise<readonly Passkey[]> =>
    (await reader.executeQuery<PasskeyTable>(query)).rows.map(toPasskey)
  return {
    byId: async (id) => (await rows(queries.byId({ id })))[0],
    ofAccount: (accountId) => rows(queries.ofAccount({ accountId })),
    add: ({ transports, ...passkey }) => statement(queries.add({ ...passkey, transports: transports.join(' '), at: epochMs() }), 1),
    use: ({ id, accountId }, counter) => statement(queries.use({ id, accountId, counter, at: epochMs() }), 1),
    remove: ({ id, accountId }, keepOne) => statement((keepOne ? queries.removeSpare : queries.remove)({ id, accountId }), 1),
    spend: ({ hash, expiresAt }) => statement(queries.spend({ hash, expiresAt }), 1),
  }
}

const toPasskey = (row: PasskeyTable): Passkey => ({
  id: row.id,
  accountId: row.account_id,
  name: row.name,
  publicKey: row.public_key,
  counter: row.counter,
  transports: row.transports.split(' ').filter(Boolean),
  createdAt: row.created_at,
  lastUsedAt: row.last_used_at,
})

type Ids = { id: string; accountId: string }

const compileQueries = (db: Kysely<Tables>) => {
  const own = (id: string, accountId: string) => db.deleteFrom('passkey').where('id', '=', id).where('account_id', '=', accountId)
  return {
    byId: template<{ id: string }>(['id'], ({ id }) => db.selectFrom('passkey').selectAll().where('id', '=', id)),
    ofAccount: template<{ accountId: string }>(['accountId'], ({ accountId }) =>
      db.selectFrom('passkey').selectAll().where('account_id', '=', accountId).orderBy('created_at').orderBy('id'),
    ),
    add: compileAdd(db),
    use: template<Ids & { counter: number; at: number }>(['id', 'accountId', 'counter', 'at'], ({ id, accountId, counter, at }) =>
      db
        .updateTable('passkey')
        .set({ counter, last_used_at: at })
        .where('id', '=', id)
        .where('account_id', '=', accountId)
        .where(sql<boolean>`(counter < cast(${counter} as bigint) or (counter = 0 and cast(${counter} as bigint) = 0))`),
    ),
    remove: template<Ids>(['id', 'accountId'], ({ id, accountId }) => own(id, accountId)),
    removeSpare: template<Ids>(['id', 'accountId'], ({ id, accountId }) =>
      own(id, accountId).where(
        sql<boolean>`(exists (select 1 from passkey p where p.account_id = passkey.account_id and p.id <> passkey.id) or exists (select 1 from account a where a.id = passkey.account_id and a.totp_confirmed_at is not null))`,
      ),
    ),
    spend: template<{ hash: string; expiresAt: number }>(['hash', 'expiresAt'], ({ hash, expiresAt }) =>
      db.insertInto('spent_challenge').values({ hash, expires_at: expiresAt }),
    ),
  }
}

type AddArgs = Ids & { name: string; publicKey: string; counter: number; transports: string; at: number }

/** From the one row of audit_head, so that the number of passkeys is looked at in the same statement. */
const compileAdd = (db: Kysely<Tables>) =>
  template<AddArgs>(
    ['id', 'accountId', 'name', 'publicKey', 'counter', 'transports', 'at'],
    ({ id, accountId, name, publicKey, counter, transports, at }) =>
      db
        .insertInto('passkey')
        .columns(['id', 'account_id', 'name', 'public_key', 'counter', 'transports', 'created_at'])
        .expression(
          db
            .selectFrom('audit_head')
            .select([
              sql<string>`cast(${id} as text)`.as('id'),
              sql<string>`cast(${accountId} as text)`.as('account_id'),
              sql<string>`cast(${name} as text)`.as('name'),
              sql<string>`cast(${publicKey} as text)`.as('public_key'),
              sql<number>`cast(${counter} as bigint)`.as('counter'),
              sql<string>`cast(${transports} as text)`.as('transports'),
              sql<number>`cast(${at} as bigint)`.as('created_at'),
            ])
            .where(
              sql<boolean>`(select count(*) from passkey p where p.account_id = cast(${accountId} as text)) < ${sql.lit(maxPasskeys)}`,
            ),
        ),
  )
