import type { FastifyRequest } from 'fastify'

import { type AccountRepository, createAccountRepository, createAccountStatements } from '../api/accounts/accounts.ts'
import { type ApiKeyRepository, createApiKeyRepository, createApiKeyStatements } from '../api/accounts/keys/api-keys.ts'
import { createAccountChanges } from '../api/accounts/changes.ts'
import { createClaimCodes } from '../api/accounts/claim/claim-codes.ts'
import { createCommonPasswords } from '../api/accounts/passwords/common-passwords.ts'
import { createFactorRepository, createFactorStatements } from '../api/accounts/factors/factors.ts'
import { createKeyUses } from '../api/accounts/keys/key-uses.ts'
import { createKnownPlaces } from '../api/accounts/sessions/known-places.ts'
import { createLoginFailures } from '../api/accounts/sessions/login-failures.ts'
import { wordsOf } from '../api/accounts/passwords/password-rules.ts'
import { createPasswords } from '../api/accounts/passwords/passwords.ts'
import { createPrincipals } from '../api/accounts/principals.ts'
import type { AccountRoutesOptions } from '../api/accounts/routes.ts'
import { createSessionRepository, type SessionTimes } from '../api/accounts/sessions/session-repository.ts'
import { createSessionStatements } from '../api/accounts/sessions/session-statements.ts'
import { createSessions } from '../api/accounts/sessions/sessions.ts'
import { openSigningKeys, type SigningKeys } from '../api/accounts/signing/signing-keys.ts'
import { openSweep } from '../api/accounts/sweep.ts'
import { createUserChanges } from '../api/accounts/users/user-changes.ts'
import type { AuditTrail } from '../api/audit/trail.ts'
import { type Config, durationOf } from '../config.ts'
import { isRole } from '../core/access.ts'
import { type Clock, systemTimers } from '../core/clock.ts'
import type { Observe } from '../core/events.ts'
import { createCursors } from '../credentials/cursor.ts'
import { HashGate } from '../credentials/hash-gate.ts'
import { createTried } from '../credentials/tried.ts'
import type { Client } from '../core/request.ts'
import type { MasterKey } from '../credentials/master-key.ts'
import type { Database } from '../db/open.ts'
import { type AuthenticationOptions, createExternalIssuers, createFailureLimit, type LimiterStore } from '../layers/index.ts'
import { createClaimGuesses, forgetClaim } from './claim.ts'

export interface AccountsOptions {
  readonly config: Config
  readonly clock: Clock
  readonly observe: Observe
  readonly database: Database
  readonly masterKey: MasterKey
  readonly trail: AuditTrail
  readonly limiterStore: LimiterStore
  readonly warn: (warning: string) => void
  /** Whether a decision keeps everybody from an account who was never there. */
  readonly isShut?: (accountId: string, request: FastifyRequest) => boolean
}

/** What the authentication layer asks about credentials, and when it has to ask anew. */
export type CredentialOptions = Pick<AuthenticationOptions, 'lookupKey' | 'tokens' | 'issuers' | 'generation'>

export interface OpenAccounts {
  readonly routes: AccountRoutesOptions
  readonly credentials: CredentialOptions
  /** Whether an account was used from there before. */
  readonly isKnownPlace: (subject: string, client: Client) => Promise<boolean>
  /** Ends what runs by itself, and writes what is not written yet. */
  close(): Promise<void>
}

/** Keys that sign, and all that accounts, sessions and API keys are made of, with what has to be done for them now and then. */
export const openAccounts = async (options: AccountsOptions): Promise<OpenAccounts> => {
  const { config, clock, observe, database, masterKey, trail, warn } = options
  const { issuer, audience } = tokenNames(config, masterKey)
  const ttlMs = durationOf(config.auth.accessTokenTtl)
  const sealingKey = masterKey.derive('sealing')
  const signingKeys = await openSigningKeys({ database, trail, clock, timers: systemTimers, sealingKey, issuer, audience, ttlMs, warn })
  const routes = createAccountRoutes(options, signingKeys)
  const principals = createPrincipals({ database, epochMs: clock.epochMs, requireMfaFor: config.auth.requireMfaFor })
  const uses = createKeyUses(database, clock.epochMs, systemTimers)
  const places = createKnownPlaces(database, clock.epochMs, masterKey.derive('places'))
  const sweep = openSweep({ database, ...sessionTimes(config, clock.epochMs), timers: systemTimers, warn })
  const { issuers } = config.auth
  return {
    routes,
    isKnownPlace: (subject, client) => places.isKnown(subject, client),
    credentials: {
      tokens: { issuer, audience, keyOf: (kid) => signingKeys.keyOf(kid), principalOf: (claims) => principals.ofSession(claims) },
      lookupKey: async (id) => {
        const key = await principals.ofKey(id)
        return key && { ...key, verified: () => uses.note(id) }
      },
      ...(issuers.length === 0 ? {} : { issuers: createExternalIssuers({ issuers, clock, observe }) }),
      generation: () => routes.changes.generation(),
    },
    close: async () => {
      signingKeys.close()
      sweep.close()
      await uses.close()
    },
  }
}

/** What the routes of accounts are made of. */
export const createAccountRoutes = (options: AccountsOptions, signingKeys: Pick<SigningKeys, 'issuer' | 'jwks'>): AccountRoutesOptions => {
  const { config, clock, observe, database, masterKey, trail, limiterStore: store } = options
  const { auth, server } = config
  const { epochMs } = clock
  const times = sessionTimes(config, epochMs)
  const accounts: AccountRepository = createAccountRepository(database)
  const statements = createAccountStatements(database, epochMs)
  const changes = createAccountChanges(database.channel, trail)
  const keys: ApiKeyRepository = createApiKeyRepository(database, epochMs)
  const keyStatements = createApiKeyStatements(database, epochMs)
  const sessionRows = createSessionRepository(database, times)
  const sessionStatements = createSessionStatements(database, times)
  const factors = createFactorRepository(database)
  const places = createKnownPlaces(database, epochMs, masterKey.derive('places'))
  const failureLimit = (policy: string, limits: string) => createFailureLimit({ store, observe, policy, limits })
  const shared = { database, observe, accounts, statements, changes, trail, factors, sessionRows, sessionStatements, ...times }
  const tokens = signingKeys.issuer
  const publicOrigin = server.publicUrl
  const requireMfaFor = auth.requireMfaFor.filter(isRole)
  return {
    ...shared,
    keys,
    keyStatements,
    tokens,
    publicOrigin,
    triedOf: createTried(masterKey.derive('tried')),
    signingKeys,
    passwords: createPasswords({
      gate: new HashGate(),
      commonPasswords: createCommonPasswords(),
      words: wordsOf(tokenNames(config, masterKey).issuer, publicOrigin),
    }),
    failures: createLoginFailures({
      clients: failureLimit('login', auth.loginFailures),
      accounts: failureLimit('account', auth.accountFailures),
      places,
      observe,
      ...(options.isShut === undefined ? {} : { isShut: options.isShut }),
    }),
    sessions: createSessions({ ...shared, places, tokens, publicOrigin }),
    users: createUserChanges({
      ...shared,
      keys,
      keyStatements,
      endSessions: (id) => sessionStatements.endAll(id),
      removeFactors: (id) => createFactorStatements(database, epochMs).removeAll(id),
    }),
    cursors: createCursors(masterKey.derive('cursors')),
    secondFactors: { sealingKey: masterKey.derive('sealing'), challengeKey: masterKey.derive('challenges'), requireMfaFor },
    isRegistrationOpen: auth.registration === 'open',
    codes: createClaimCodes(database, epochMs),
    guesses: createClaimGuesses(store, observe),
    onClaimed: () => forgetClaim(config.data.dir),
  }
}

/** Who issues our tokens and whom they are for. The installation is named by its master key, which all of its instances have. */
const tokenNames = ({ auth }: Config, masterKey: MasterKey): { readonly issuer: string; readonly audience: string } => {
  const id = masterKey.derive('installation').subarray(0, 10).toString('hex')
  const named = (text: string): string => text.replace('<installation id>', id)
  return { issuer: named(auth.issuer), audience: named(auth.audience) }
}

export const sessionTimes = ({ auth }: Config, epochMs: () => number): SessionTimes => ({
  epochMs,
  maxAgeMs: durationOf(auth.sessionMaxAge),
  idleMs: durationOf(auth.sessionIdle),
})
