import type { CompiledQuery, Kysely } from 'kysely'

import { isPermission, type Permission } from '../../core/access.ts'
import type { Principal } from '../../core/request.ts'
import type { Database } from '../../db/open.ts'
import type { Tables } from '../../db/tables.ts'
import { type Statement, statement, template } from '../../db/unit.ts'
import { written } from '../written.ts'

export interface StoredKey {
  readonly id: string
  readonly subject: string
  readonly secretHash: string
  readonly permissions: ReadonlySet<Permission>
}

export interface NewKey extends StoredKey {
  readonly name: string
}

export interface ApiKeyRepository {
  /** A key that is not revoked. */
  byId(id: string): Promise<StoredKey | undefined>
  /** The oldest key of a subject that is not revoked. */
  oldestOf(subject: string): Promise<StoredKey | undefined>
  add(key: NewKey): Promise<void>
  /** Stores a key and revokes whatever other keys the subject had. */
  replaceAll(key: NewKey): Promise<void>
}

export const createApiKeyRepository = ({ reader, commit }: Database, epochMs: () => number): ApiKeyRepository => {
  const queries = compileQueries(reader)
  const find = async (query: CompiledQuery): Promise<StoredKey | undefined> => {
    const [row] = (await reader.executeQuery<KeyRow>(query)).rows
    return row && { id: row.id, subject: row.subject, secretHash: row.secret_hash, permissions: parseScopes(row.scopes) }
  }
  const insertion = ({ id, subject, name, secretHash, permissions }: NewKey, at: number): Statement =>
    statement(queries.insert({ id, subject, name, hash: secretHash, scopes: [...permissions].join(' '), at }), 1)
  return {
    byId: (id) => find(queries.byId({ id })),
    oldestOf: (subject) => find(queries.oldestOf({ subject })),
    add: async (key) => void written(await commit([insertion(key, epochMs())])),
    replaceAll: async (key) => {
      const at = epochMs()
      written(await commit([statement(queries.revokeAll({ subject: key.subject, at })), insertion(key, at)]))
    },
  }
}

interface KeyRow {
  id: string
  subject: string
  secret_hash: string
  scopes: string
}

/** What the authentication layer asks for a key. */
export const createKeyLookup =
  (keys: ApiKeyRepository) =>
  async (id: string): Promise<{ secretHash: string; principal: Principal } | undefined> => {
    const key = await keys.byId(id)
    return (
      key && { secretHash: key.secretHash, principal: { subject: key.subject, credential: `key:${key.id}`, permissions: key.permissions } }
    )
  }

/** A word that is no permission of this program grants nothing. */
const parseScopes = (scopes: string): ReadonlySet<Permission> => new Set(scopes.split(' ').filter(isPermission))

const compileQueries = (db: Kysely<Tables>) => {
  const active = db.selectFrom('api_key').select(['id', 'subject', 'secret_hash', 'scopes']).where('revoked_at', 'is', null)
  return {
    byId: template<{ id: string }>(['id'], ({ id }) => active.where('id', '=', id)),
    oldestOf: template<{ subject: string }>(['subject'], ({ subject }) =>
      active.where('subject', '=', subject).orderBy('created_at').orderBy('id').limit(1),
    ),
    revokeAll: template<{ subject: string; at: number }>(['subject', 'at'], ({ subject, at }) =>
      db.updateTable('api_key').set({ revoked_at: at }).where('subject', '=', subject).where('revoked_at', 'is', null),
    ),
    insert: template<{ id: string; subject: string; name: string; hash: string; scopes: string; at: number }>(
      ['id', 'subject', 'name', 'hash', 'scopes', 'at'],
      ({ id, subject, name, hash, scopes, at }) =>
        db.insertInto('api_key').values({ id, subject, name, secret_hash: hash, scopes, created_at: at, revoked_at: null }),
    ),
  }
}
