import type { CompiledQuery } from 'kysely'

import { effectivePermissions, isPermission, type Permission, type Role } from '../../core/access.ts'
import type { Principal } from '../../core/request.ts'
import type { Database } from '../../db/open.ts'
import { template } from '../../db/unit.ts'

export interface PrincipalOptions {
  readonly database: Pick<Database, 'reader'>
  readonly epochMs: () => number
  /** Roles whose rights need a second factor. */
  readonly requireMfaFor: readonly string[]
}

/** What a token says that the database is asked about. */
export interface SessionClaims {
  readonly sub: string
  readonly sid: string
  readonly epoch: number
}

export interface Principals {
  /** Whom a session speaks for now; undefined where it, its account or this generation of its tokens has ended. */
  ofSession(claims: SessionClaims): Promise<Principal | undefined>
  /** Whom an API key speaks for now, with the hash of its secret; undefined where it, or its owner, has ended. */
  ofKey(id: string): Promise<{ readonly secretHash: string; readonly principal: Principal; readonly expiresAt: number | null } | undefined>
}

/** A key of nobody's account: of those, only the starter key's. */
const starterSubject = 'starter'

/** What credentials may do is asked here and nowhere else: the rights of the account as it is now, whatever the credential once said. */
export const createPrincipals = ({ database: { reader }, epochMs, requireMfaFor }: PrincipalOptions): Principals => {
  const queries = compileQueries(reader)
  const required = new Set(requireMfaFor)
  const first = async <Row>(query: CompiledQuery): Promise<Row | undefined> => (await reader.executeQuery<Row>(query)).rows[0]
  return {
    ofSession: async ({ sub, sid, epoch }) => {
      const row = await first<SessionRow>(queries.session({ sid }))
      if (row === undefined || row.account_id !== sub || row.epoch !== epoch) return undefined
      if (row.revoked_at !== null || row.disabled_at !== null || row.expires_at <= epochMs()) return undefined
      const permissions = effectivePermissions(row.role, { mfa: row.mfa === 1, mfaRequired: required.has(row.role) })
      return { subject: sub, credential: `session:${sid}`, permissions, role: row.role, authenticatedAt: row.authenticated_at }
    },
    ofKey: async (id) => {
      const row = await first<KeyRow>(queries.key({ id }))
      if (row === undefined || row.disabled_at !== null || (row.expires_at !== null && row.expires_at <= epochMs())) return undefined
      const scopes = row.scopes.split(' ').filter(isPermission)
      const { role, subject } = row
      if (role === null && subject !== starterSubject) return undefined
      const permissions = role === null ? new Set(scopes) : narrowed(scopes, rightsOf(role, row, required))
      const principal = { subject, credential: `key:${id}`, permissions, ...(role === null ? {} : { role }) }
      return { secretHash: row.secret_hash, principal, expiresAt: row.expires_at }
    },
  }
}

/** Nobody stands behind a key with a second factor: where the role needs one, its owner must have one. */
const rightsOf = (role: Role, { has_totp, has_passkey }: KeyRow, required: ReadonlySet<string>): ReadonlySet<Permission> =>
  effectivePermissions(role, { mfa: has_totp !== null || has_passkey !== null, mfaRequired: required.has(role) })

/** Never more than the owner may now: a key outlives promotions and demotions. */
const narrowed = (scopes: readonly Permission[], rights: ReadonlySet<Permission>): ReadonlySet<Permission> =>
  new Set(scopes.filter((scope) => rights.has(scope)))

interface SessionRow {
  account_id: string
  epoch: number
  role: Role
  disabled_at: number | null
  mfa: number
  authenticated_at: number
  expires_at: number
  revoked_at: number | null
}

interface KeyRow {
  subject: string
  secret_hash: string
  scopes: string
  expires_at: number | null
  role: Role | null
  disabled_at: number | null
  has_totp: number | null
  has_passkey: string | null
}

const compileQueries = (db: Database['reader']) => ({
  session: template<{ sid: string }>(['sid'], ({ sid }) =>
    db
      .selectFrom('session')
      .innerJoin('account', 'account.id', 'session.account_id')
      .select(['session.account_id', 'account.epoch', 'account.role', 'account.disabled_at'])
      .select(['session.mfa', 'session.authenticated_at', 'session.expires_at', 'session.revoked_at'])
      .where('session.id', '=', sid),
  ),
  key: template<{ id: string }>(['id'], ({ id }) =>
    db
      .selectFrom('api_key')
      .leftJoin('account', 'account.id', 'api_key.subject')
      .select(['api_key.subject', 'api_key.secret_hash', 'api_key.scopes', 'api_key.expires_at'])
      .select(['account.role', 'account.disabled_at', 'account.totp_confirmed_at as has_totp'])
      .select((e) =>
        e.selectFrom('passkey').select('passkey.id').whereRef('passkey.account_id', '=', 'api_key.subject').limit(1).as('has_passkey'),
      )
      .where('api_key.id', '=', id)
      .where('api_key.revoked_at', 'is', null),
  ),
})
