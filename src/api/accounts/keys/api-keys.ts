import { type CompiledQuery, type Kysely, sql } from 'kysely'

import { isPermission, type Permission } from '../../../core/access.ts'
import type { Database } from '../../../db/open.ts'
import type { ApiKeyTable, Tables } from '../../../db/tables.ts'
import { type Statement, statement, template, type Unit } from '../../../db/unit.ts'
import { written } from '../../written.ts'

/** The built-in subject that may add films until there is an admin. It has no account. */
export const starterSubject = 'starter'

/** Of one account, not revoked. Each is a secret that somebody has to look after. */
export const maxKeys = 50

/** Times in epoch milliseconds. */
export interface StoredKey {
  readonly id: string
  /** Whose it is: the id of an account, or `starter`. */
  readonly subject: string
  readonly name: string
  readonly secretHash: string
  /** What it was made for. What it may do now is for principals.ts to say. */
  readonly permissions: ReadonlySet<Permission>
  readonly createdAt: number
  readonly expiresAt: number | null
  /** To the hour. */
  readonly lastUsedAt: number | null
}

export interface OwnedKey extends StoredKey {
  readonly owner: string | null
}

export interface NewKey extends Pick<StoredKey, 'id' | 'subject' | 'name' | 'secretHash' | 'permissions'> {
  /** Null: never. */
  readonly expiresAt?: number | null
}

export interface ApiKeyRepository {
  /** A key that is not revoked. */
  byId(id: string): Promise<StoredKey | undefined>
  /** The oldest key of a subject that is not revoked. */
  oldestOf(subject: string): Promise<StoredKey | undefined>
  /** The keys of a subject that are not revoked, the newest first; expired ones are among them. */
  listOf(subject: string): Promise<readonly StoredKey[]>
  /** Of everybody, for operators: with the name of the owner, null where that is no account. */
  listAll(): Promise<readonly OwnedKey[]>
  add(key: NewKey): Promise<void>
  /** Stores a key and revokes whatever other keys the subject had. */
  replaceAll(key: NewKey): Promise<void>
}

/** For units of `changes.commit`, whose one order makes them exact: two keys that are made at once are not both the fiftieth. */
export interface ApiKeyStatements {
  /** The last statement conflicts where the account is gone, is disabled, or has `maxKeys` keys. Expired ones are revoked first. Made `at`, default now. */
  add(key: NewKey, at?: number): Unit
  /** Of a subject that has no account. Conflicts where there is an admin. */
  addWithoutAdmin(key: NewKey): Statement
  /** Conflicts where the subject has no such key, or it is revoked already. */
  revoke(id: string, subject: string): Statement
  revokeAll(subject: string): Statement
  /** What is known of them goes too, for an account that goes. */
  removeAll(subject: string): Statement
}

export const createApiKeyRepository = ({ reader, commit }: Database, epochMs: () => number): ApiKeyRepository => {
  const queries = compileReads(reader)
  const writes = compileWrites(reader)
  const find = async (query: CompiledQuery): Promise<readonly StoredKey[]> =>
    (await reader.executeQuery<ApiKeyTable>(query)).rows.map(toKey)
  const insertion = (key: NewKey, at: number): Statement => statement(writes.insert(toArguments(key, at)), 1)
  return {
    byId: async (id) => (await find(queries.byId({ id })))[0],
    oldestOf: async (subject) => (await find(queries.oldestOf({ subject })))[0],
    listOf: (subject) => find(queries.listOf({ subject })),
    listAll: async () => {
      const { rows } = await reader.executeQuery<ApiKeyTable & { owner: string | null }>(queries.listAll)
      return rows.map((row) => ({ ...toKey(row), owner: row.owner }))
    },
    add: async (key) => void written(await commit([insertion(key, epochMs())])),
    replaceAll: async (key) => {
      const at = epochMs()
      written(await commit([statement(writes.revokeAll({ subject: key.subject, at })), insertion(key, at)]))
    },
  }
}

export const createApiKeyStatements = ({ reader }: Pick<Database, 'reader'>, epochMs: () => number): ApiKeyStatements => {
  const writes = compileWrites(reader)
  return {
    add: (key, at = epochMs()) => [
      statement(writes.revokeExpired({ subject: key.subject, at })),
      statement(writes.insertForAccount(toArguments(key, at)), 1),
    ],
    addWithoutAdmin: (key) => statement(writes.insertWithoutAdmin(toArguments(key, epochMs())), 1),
    revoke: (id, subject) => statement(writes.revoke({ id, subject, at: epochMs() }), 1),
    revokeAll: (subject) => statement(writes.revokeAll({ subject, at: epochMs() })),
    removeAll: (subject) => statement(writes.removeAll({ subject })),
  }
}

const toKey = (row: ApiKeyTable): StoredKey => ({
  id: row.id,
  subject: row.subject,
  name: row.name,
  secretHash: row.secret_hash,
  permissions: parseScopes(row.scopes),
  createdAt: row.created_at,
  expiresAt: row.expires_at,
  lastUsedAt: row.last_used_at,
})

/** A word that is no permission of this program grants nothing. */
const parseScopes = (scopes: string): ReadonlySet<Permission> => new Set(scopes.split(' ').filter(isPermission))

type KeyArguments = { id: string; subject: string; name: string; hash: string; scopes: string; at: number; expiresAt: number | null }

const toArguments = ({ id, subject, name, secretHash, permissions, expiresAt = null }: NewKey, at: number): KeyArguments => ({
  id,
  subject,
  name,
  hash: secretHash,
  scopes: [...permissions].join(' '),
  at,
  expiresAt,
})

const compileReads = (db: Kysely<Tables>) => {
  const active = db.selectFrom('api_key').selectAll('api_key').where('revoked_at', 'is', null)
  return {
    byId: template<{ id: string }>(['id'], ({ id }) => active.where('id', '=', id)),
    oldestOf: template<{ subject: string }>(['subject'], ({ subject }) =>
      active.where('subject', '=', subject).orderBy('created_at').orderBy('id').limit(1),
    ),
    listAll: active
      .leftJoin('account', 'account.id', 'api_key.subject')
      .select('account.username as owner')
      .orderBy('account.username')
      .orderBy('api_key.created_at', 'desc')
      .orderBy('api_key.id')
      .compile(),
    listOf: template<{ subject: string }>(['subject'], ({ subject }) =>
      active.where('subject', '=', subject).orderBy('created_at', 'desc').orderBy('id').limit(maxKeys),
    ),
  }
}

type SubjectAt = { subject: string; at: number }

const compileWrites = (db: Kysely<Tables>) => {
  const revoking = (at: number) => db.updateTable('api_key').set({ revoked_at: at }).where('revoked_at', 'is', null)
  return {
    ...compileInserts(db),
    revoke: template<SubjectAt & { id: string }>(['id', 'subject', 'at'], ({ id, subject, at }) =>
      revoking(at).where('id', '=', id).where('subject', '=', subject),
    ),
    revokeAll: template<SubjectAt>(['subject', 'at'], ({ subject, at }) => revoking(at).where('subject', '=', subject)),
    revokeExpired: template<SubjectAt>(['subject', 'at'], ({ subject, at }) =>
      revoking(at).where('subject', '=', subject).where('expires_at', '<=', at),
    ),
    removeAll: template<{ subject: string }>(['subject'], ({ subject }) => db.deleteFrom('api_key').where('subject', '=', subject)),
  }
}

/** Rows that come out of a query, so that there is none where its condition does not hold; PostgreSQL wants to be told the types. */
const compileInserts = (db: Kysely<Tables>) => {
  const names = ['id', 'subject', 'name', 'hash', 'scopes', 'at', 'expiresAt'] as const
  const columns = ['id', 'subject', 'name', 'secret_hash', 'scopes', 'created_at', 'expires_at'] as const
  const row = ({ id, subject, name, hash, scopes, at, expiresAt }: KeyArguments) =>
    [
      sql<string>`cast(${id} as text)`.as('id'),
      sql<string>`cast(${subject} as text)`.as('subject'),
      sql<string>`cast(${name} as text)`.as('name'),
      sql<string>`cast(${hash} as text)`.as('secret_hash'),
      sql<string>`cast(${scopes} as text)`.as('scopes'),
      sql<number>`cast(${at} as bigint)`.as('created_at'),
      sql<number | null>`cast(${expiresAt} as bigint)`.as('expires_at'),
    ] as const
  const into = db.insertInto('api_key')
  const unrevoked = (subject: string) =>
    db
      .selectFrom('api_key')
      .select((e) => e.fn.countAll<number>().as('keys'))
      .where('subject', '=', subject)
      .where('revoked_at', 'is', null)
  return {
    insert: template<KeyArguments>(names, ({ id, subject, name, hash, scopes, at, expiresAt }) =>
      into.values({ id, subject, name, secret_hash: hash, scopes, created_at: at, expires_at: expiresAt }),
    ),
    insertWithoutAdmin: template<KeyArguments>(names, (key) =>
      into.columns(columns).expression(
        db
          .selectFrom('audit_head')
          .select(row(key))
          .where((e) => e.not(e.exists(db.selectFrom('account').select('account.id').where('role', '=', 'admin')))),
      ),
    ),
    insertForAccount: template<KeyArguments>(names, (key) =>
      into.columns(columns).expression(
        db
          .selectFrom('account')
          .select(row(key))
          .where('account.id', '=', key.subject)
          .where('account.disabled_at', 'is', null)
          .where((e) => e(unrevoked(key.subject), '<', maxKeys)),
      ),
    ),
  }
}
