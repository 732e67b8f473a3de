import type { FastifyReply, FastifyRequest } from 'fastify'

import type { Permission, Role } from '../../core/access.ts'
import type { FieldError } from '../../core/errors.ts'
import type { Observe } from '../../core/events.ts'
import type { Database } from '../../db/open.ts'
import type { Statement, Unit } from '../../db/unit.ts'
import type { AuditEntry, AuditTrail } from '../audit/trail.ts'
import type { Account, AccountRepository, AccountStatements } from './accounts.ts'
import type { ApiKeyRepository } from './keys/api-keys.ts'
import type { AccountChanges } from './changes.ts'

/** What the routes of accounts are made of. */
export interface AccountParts {
  readonly database: Database
  readonly epochMs: () => number
  readonly observe: Observe
  readonly accounts: AccountRepository
  readonly statements: AccountStatements
  readonly changes: AccountChanges
  readonly trail: AuditTrail
  readonly keys: ApiKeyRepository
  readonly passwords: Passwords
  readonly failures: LoginFailures
  readonly factors: Factors
  readonly sessions: Sessions
  /** `server.public_url`, or empty: the origin of our own pages where a proxy stands in front. */
  readonly publicOrigin: string
  /** The name that was tried, as a digest for events. */
  readonly triedOf: (username: string) => string
}

/**
 * argon2id, a few at a time; what waits too long, or would make the queue too long, is refused with temporary_reduced_capacity.
 * With the request it is for, no client can fill the queue alone, and nothing is hashed for a client that is gone.
 */
export interface Passwords {
  /** A PHC string. */
  hash(password: string, request?: FastifyRequest): Promise<string>
  /** Takes as long where `stored` is null, and is never ok then. `rehash`: the password in the parameters of today, where it was stored in others. */
  verify(password: string, stored: string | null, request?: FastifyRequest): Promise<{ readonly ok: boolean; readonly rehash?: string }>
  /** Why nobody should have that password, for a `validation_failed` with this pointer; undefined: it is fine. */
  mistake(password: string, pointer: string, context: { readonly username: string }): Promise<FieldError | undefined>
}

/** Limits on guesses: of a client, of a client for one account, and of everybody for one account. */
export interface LoginFailures {
  /**
   * Takes a failure in advance, for passwords and second factors alike. Rejects with quota_exceeded. The same for names that nobody has.
   */
  reserve(request: FastifyRequest, username: string, account: Account | undefined): Promise<ReservedFailure>
}

export interface ReservedFailure {
  /** For a guess that was right. */
  readonly giveBack: () => Promise<void>
  /** By a decision about the account nobody logs in to it from here: the guess is looked at, and wrong whatever it is. */
  readonly isShut: boolean
}

export type FactorMethod = 'totp' | 'recovery_code' | 'passkey'

export interface Factors {
  /** What can finish a login of this account; empty: it has no second factor. */
  methods(accountId: string): Promise<readonly FactorMethod[]>
}

/** How somebody proved who it is. */
export interface Proof {
  /** RFC 8176, such as `pwd`, `otp`, `hwk`. */
  readonly amr: readonly string[]
  /** More than one factor. */
  readonly mfa: boolean
  /** The refresh token goes into a cookie. */
  readonly browser: boolean
}

export interface TokenAnswer {
  readonly access_token: string
  readonly token_type: 'Bearer'
  readonly expires_in: number
  readonly refresh_token?: string
}

export interface MfaAnswer {
  readonly mfa_required: true
  readonly mfa_token: string
  readonly methods: readonly FactorMethod[]
}

/** What is committed together with a new session, or not at all. */
export interface Also {
  readonly unit: Unit
  readonly entries: readonly AuditEntry[]
}

export interface Sessions {
  /**
   * Opens a session and answers with its tokens (and the cookie, in browser mode), in one unit with `also`. Undefined where a statement of
   * `also` conflicted, such as a code that was used meanwhile; then there is no session.
   */
  open(request: FastifyRequest, reply: FastifyReply, account: Account, proof: Proof, also?: Also): Promise<TokenAnswer | undefined>
  /** After the first factor: as `open`, or a login half done where a second factor is due. */
  proceed(
    request: FastifyRequest,
    reply: FastifyReply,
    account: Account,
    proof: Proof,
    also?: Also,
  ): Promise<TokenAnswer | MfaAnswer | undefined>
  /**
   * A statement that must touch a row: the session has not ended, its account is not disabled and, where one is named, still has the
   * permission. What was allowed when a request came may not be any more when its unit is committed.
   */
  hold(sessionId: string, permission?: Permission): Statement
  /** Statements that end the sessions of an account, but for one that stays. */
  endAll(accountId: string, except?: string): Unit
}

/** What an access token says of its session. */
export interface TokenFacts {
  readonly subject: string
  readonly sessionId: string
  readonly epoch: number
  readonly authenticatedAt: number
  /** When the session ends whatever happens, epoch milliseconds: no token lives longer. */
  readonly notAfter: number
  readonly amr: readonly string[]
  /** For those who verify our tokens by the JWKS; this server asks its database. */
  readonly role: Role
}

export interface TokenIssuer {
  issue(facts: TokenFacts): Promise<{ readonly token: string; readonly expiresInSeconds: number }>
}
