import type { AddressInfo } from 'node:net'

import Fastify, { type FastifyInstance } from 'fastify'

import { type Account, createAccountRepository, createAccountStatements } from '../../src/api/accounts/accounts.ts'
import { createAccountChanges } from '../../src/api/accounts/changes.ts'
import { factorRoutes } from '../../src/api/accounts/factors/factor-routes.ts'
import { createFactorRepository } from '../../src/api/accounts/factors/factors.ts'
import { createKnownPlaces, type KnownPlaces } from '../../src/api/accounts/sessions/known-places.ts'
import { createLoginFailures } from '../../src/api/accounts/sessions/login-failures.ts'
import { loginRoutes, type LoginRoutesOptions } from '../../src/api/accounts/sessions/login-routes.ts'
import { createPasswords } from '../../src/api/accounts/passwords/passwords.ts'
import { createPrincipals } from '../../src/api/accounts/principals.ts'
import { createSessionRepository } from '../../src/api/accounts/sessions/session-repository.ts'
import { sessionRoutes } from '../../src/api/accounts/sessions/session-routes.ts'
import { createSessionStatements } from '../../src/api/accounts/sessions/session-statements.ts'
import { createSessions } from '../../src/api/accounts/sessions/sessions.ts'
import { openSigningKeys } from '../../src/api/accounts/signing/signing-keys.ts'
import { createAuditTrail } from '../../src/api/audit/trail.ts'
import type { Role } from '../../src/core/access.ts'
import type { SecurityEvent } from '../../src/core/events.ts'
import { HashGate } from '../../src/credentials/hash-gate.ts'
import { createTried } from '../../src/credentials/tried.ts'
import { createAccountId } from '../../src/credentials/ids.ts'
import { hashPassword } from '../../src/credentials/password-hash.ts'
import type { Database } from '../../src/db/open.ts'
import * as layers from '../../src/layers/index.ts'
import { goodPassword } from './accounts.ts'
import type { DatabaseKind, OpenDatabase } from './databases.ts'
import { assertSecretsKept } from './log-secrecy.ts'
import { createManualClock, type ManualClock } from './manual-clock.ts'

export interface LoginAppOptions {
  readonly database: Database
  readonly clock: ManualClock
  readonly maxAgeMs?: number
  readonly idleMs?: number
  readonly loginFailures?: string
  readonly accountFailures?: string
  readonly requireMfaFor?: readonly Role[]
  readonly publicOrigin?: string
  /** Whether a decision is in force about an account. */
  readonly isShut?: (accountId: string) => boolean
}

/** Logins and sessions behind the layers, with a clock in the hands of the test; X-Forwarded-For says who asks. */
export interface LoginApp extends AsyncDisposable {
  readonly port: number
  readonly server: FastifyInstance
  readonly events: readonly SecurityEvent[]
  readonly parts: LoginRoutesOptions & { readonly places: KnownPlaces }
  /** With `goodPassword`. */
  addAccount(username: string, role?: Role): Promise<Account>
}

/** One for all accounts of a file: it is the same password. */
const passwordHash = hashPassword(goodPassword)
const key = Buffer.alloc(32, 7)
const names = { issuer: 'urn:filmgate:test', audience: 'urn:filmgate:test' }
const plenty = '100000000 per day'

export const openLoginApp = async (options: LoginAppOptions): Promise<LoginApp> => {
  const { clock } = options
  const events: SecurityEvent[] = []
  const observe = (event: SecurityEvent): void => void events.push(event)
  const store = layers.createMemoryStore({ clock, maxTrackedClients: 10_000 })
  const { parts, keys, principals } = await createParts(options, observe, store)
  const server = Fastify({ ajv: layers.ajvOptions })
  const limits = new layers.Limits({
    anonymous: plenty,
    routes: plentyOf('login', 'refresh', 'logout', 'mfa', 'passkey/options', 'passkey/verify'),
  })
  await server.register(layers.clientAddress, { addresses: layers.createClientAddresses({ trustedProxies: ['127.0.0.1/32'] }) })
  const tokens: layers.AuthenticationOptions['tokens'] = {
    ...names,
    keyOf: (kid) => keys.keyOf(kid),
    principalOf: (claims) => principals.ofSession(claims),
  }
  const generation = (): number | undefined => parts.changes.generation()
  await server.register(layers.authentication, { observe, clock, tokens, generation })
  await server.register(layers.problems, { observe })
  await server.register(layers.authorization, { observe, clock, publicPermissions: new Set<never>() })
  await server.register(layers.routeLimits, { store, limits, observe })
  await server.register(layers.validation)
  loginRoutes(server, parts)
  sessionRoutes(server, parts)
  factorRoutes(server, parts, { sealingKey: key, challengeKey: key, requireMfaFor: options.requireMfaFor ?? [] })
  await server.listen({ host: '127.0.0.1', port: 0 })
  return {
    port: (server.server.address() as AddressInfo).port,
    server,
    events,
    parts,
    addAccount: async (username, role = 'viewer') => {
      const id = createAccountId()
      const added = parts.statements.add({ id, username, role, passwordHash: await passwordHash })
      await parts.changes.commit([added], [{ actor: 'system', action: 'user.create', target: id }])
      const account = await parts.accounts.byId(id)
      if (account === undefined) throw new Error(`${username} was not added`)
      return account
    },
    [Symbol.asyncDispose]: async () => {
      server.server.closeAllConnections()
      await server.close()
      keys.close()
      store.close()
      assertSecretsKept(events.map((event) => JSON.stringify(event)).join('\n'))
    },
  }
}

export interface LoginScene extends AsyncDisposable {
  readonly app: LoginApp
  readonly clock: ManualClock
  readonly opened: OpenDatabase
}

export const sceneStartMs = 1_800_000_000_000

/** The same on a new database. */
export const openLoginScene = async (
  kind: DatabaseKind,
  options: Omit<LoginAppOptions, 'database' | 'clock'> = {},
): Promise<LoginScene> => {
  const opened = await kind.open()
  const clock = createManualClock(sceneStartMs)
  const app = await openLoginApp({ database: opened.database, clock, ...options })
  const dispose = async (): Promise<void> => {
    try {
      await app[Symbol.asyncDispose]()
    } finally {
      // What the end of the app finds wrong must not leave a connection that keeps the process.
      await opened[Symbol.asyncDispose]()
    }
  }
  return { app, clock, opened, [Symbol.asyncDispose]: dispose }
}

const plentyOf = (...routes: readonly string[]): Readonly<Record<string, { readonly only: string }>> =>
  Object.fromEntries(routes.map((route) => [`POST /v1/auth/${route}`, { only: plenty }]))

const createParts = async (options: LoginAppOptions, observe: (event: SecurityEvent) => void, store: layers.LimiterStore) => {
  const { database, clock, maxAgeMs = 30 * 86_400_000, idleMs = 14 * 86_400_000 } = options
  const { epochMs } = clock
  const trail = createAuditTrail(database, epochMs, key)
  const keys = await openSigningKeys({ database, trail, clock, sealingKey: key, ...names, ttlMs: 300_000 })
  const times = { epochMs, maxAgeMs, idleMs }
  const accounts = createAccountRepository(database)
  const places = createKnownPlaces(database, epochMs, key)
  const failureLimit = (policy: string, limits = '10 per 15 minutes') => layers.createFailureLimit({ store, observe, policy, limits })
  const shared = {
    ...times,
    database,
    observe,
    accounts,
    statements: createAccountStatements(database, epochMs),
    changes: createAccountChanges(database.channel, trail),
    trail,
    tokens: keys.issuer,
    factors: createFactorRepository(database),
    sessionRows: createSessionRepository(database, times),
    sessionStatements: createSessionStatements(database, times),
    places,
    publicOrigin: options.publicOrigin ?? '',
    triedOf: createTried(key),
  }
  const parts: LoginApp['parts'] = {
    ...shared,
    passwords: createPasswords({ gate: new HashGate(), commonPasswords: { has: () => Promise.resolve(false) }, words: [] }),
    failures: createLoginFailures({
      clients: failureLimit('login', options.loginFailures),
      accounts: failureLimit('account', options.accountFailures ?? '100 per hour'),
      places,
      observe,
      ...(options.isShut === undefined ? {} : { isShut: options.isShut }),
    }),
    sessions: createSessions(shared),
  }
  return { parts, keys, principals: createPrincipals({ database, epochMs, requireMfaFor: options.requireMfaFor ?? [] }) }
}

export interface AuditedRow {
  readonly target: string
  readonly actor: string
  readonly reason: unknown
}

export const auditOf = async ({ reader }: Database, action: string): Promise<readonly AuditedRow[]> => {
  const rows = await reader.selectFrom('audit').select(['target', 'actor', 'details']).where('action', '=', action).orderBy('seq').execute()
  return rows.map(({ target, actor, details }) => ({ target, actor, reason: (JSON.parse(details) as { reason?: unknown }).reason }))
}
