import type { CompiledQuery } from 'kysely'

import type { Role } from '../../../core/access.ts'
import type { Database } from '../../../db/open.ts'
import type { SessionTable } from '../../../db/tables.ts'
import { template } from '../../../db/unit.ts'

/** A session that has not ended. Times in epoch milliseconds. */
export interface Session {
  readonly id: string
  readonly accountId: string
  readonly createdAt: number
  readonly authenticatedAt: number
  readonly lastUsedAt: number
  /** Absolute. */
  readonly expiresAt: number
  readonly amr: readonly string[]
  readonly mfa: boolean
  readonly browser: boolean
  readonly client: string | null
  readonly userAgent: string | null
}

/** A refresh token with all that it depends on. */
export interface KnownToken {
  readonly session: Session
  readonly epoch: number
  readonly role: Role
  readonly isUsed: boolean
  /** The session was ended, or its account was disabled. */
  readonly isEnded: boolean
  /** Nobody ended it: its time is over. */
  readonly isExpired: boolean
}

export interface SessionRepository {
  /** By the hash of a refresh token, used or not. */
  byToken(hash: string): Promise<KnownToken | undefined>
  /** That has not ended. */
  byId(id: string): Promise<Session | undefined>
  /** Those of an account that have not ended, the last used first. */
  list(accountId: string): Promise<readonly Session[]>
}

export interface SessionTimes {
  readonly epochMs: () => number
  /** A session ends so long after it was opened, whatever happens. */
  readonly maxAgeMs: number
  /** A session ends so long after its last refresh. */
  readonly idleMs: number
}

export const createSessionRepository = ({ reader }: Pick<Database, 'reader'>, { epochMs, idleMs }: SessionTimes): SessionRepository => {
  const queries = compileQueries(reader)
  const isExpired = (row: SessionTable): boolean => row.expires_at <= epochMs() || row.last_used_at <= epochMs() - idleMs
  const live = async (query: CompiledQuery): Promise<readonly Session[]> =>
    (await reader.executeQuery<SessionTable>(query)).rows.filter((row) => !isExpired(row)).map(toSession)
  return {
    byToken: async (hash) => {
      const [row] = (await reader.executeQuery<TokenRow>(queries.byToken({ hash }))).rows
      return (
        row && {
          session: toSession(row),
          epoch: row.epoch,
          role: row.role,
          isUsed: row.used_at !== null,
          isEnded: row.revoked_at !== null || row.disabled_at !== null,
          isExpired: row.revoked_at === null && isExpired(row),
        }
      )
    },
    byId: async (id) => (await live(queries.byId({ id })))[0],
    list: (accountId) => live(queries.list({ accountId })),
  }
}

interface TokenRow extends SessionTable {
  used_at: number | null
  epoch: number
  role: Role
  disabled_at: number | null
}

const toSession = (row: SessionTable): Session => ({
  id: row.id,
  accountId: row.account_id,
  createdAt: row.created_at,
  authenticatedAt: row.authenticated_at,
  lastUsedAt: row.last_used_at,
  expiresAt: row.expires_at,
  amr: row.amr.split(' '),
  mfa: row.mfa === 1,
  browser: row.browser === 1,
  client: row.client,
  userAgent: row.user_agent,
})

const compileQueries = (db: Database['reader']) => {
  const notEnded = db.selectFrom('session').selectAll().where('revoked_at', 'is', null)
  return {
    byToken: template<{ hash: string }>(['hash'], ({ hash }) =>
      db
        .selectFrom('refresh_token')
        .innerJoin('session', 'session.id', 'refresh_token.session_id')
        .innerJoin('account', 'account.id', 'session.account_id')
        .selectAll('session')
        .select(['refresh_token.used_at', 'account.epoch', 'account.role', 'account.disabled_at'])
        .where('refresh_token.hash', '=', hash),
    ),
    byId: template<{ id: string }>(['id'], ({ id }) => notEnded.where('id', '=', id)),
    list: template<{ accountId: string }>(['accountId'], ({ accountId }) =>
      notEnded.where('account_id', '=', accountId).orderBy('last_used_at', 'desc').orderBy('id'),
    ),
  }
}
