import { randomBytes } from 'node:crypto'
import type { AddressInfo } from 'node:net'

import Fastify from 'fastify'

import { createAccountStatements } from '../../src/api/accounts/accounts.ts'
import { createAccountChanges } from '../../src/api/accounts/changes.ts'
import { jwksRoute } from '../../src/api/accounts/signing/jwks.ts'
import { createPrincipals } from '../../src/api/accounts/principals.ts'
import { openSigningKeys } from '../../src/api/accounts/signing/signing-keys.ts'
import { createAuditTrail } from '../../src/api/audit/trail.ts'
import { createAccountId, createSessionId } from '../../src/credentials/ids.ts'
import type { Role } from '../../src/core/access.ts'
import type { SecurityEvent } from '../../src/core/events.ts'
import type { Database } from '../../src/db/open.ts'
import { statement } from '../../src/db/unit.ts'
import * as layers from '../../src/layers/index.ts'
import { eventually } from './deadline.ts'
import { createManualClock } from './manual-clock.ts'
import { openForge } from './token-forge.ts'

export const issuer = 'urn:filmgate:test'
export const audience = 'urn:filmgate:films'

/** 2026, as good as any. */
const startMs = 1_790_000_000_000

export interface Person {
  readonly subject: string
  readonly sid: string
  readonly username: string
  /** A new token of the session. */
  token(): Promise<string>
}

export interface TokenListenerOptions {
  /** Default: of one made here. */
  readonly sealingKey?: Buffer
  readonly ttlMs?: number
  readonly maxRemembered?: number
  /** Left out: those of the database alone. */
  readonly issuers?: layers.AuthenticationOptions['issuers']
}

/** The authentication layer with the real keys, accounts and sessions of a database behind it, on a real listener, in time that stands still. */
export const startTokenListener = async (database: Database, options: TokenListenerOptions = {}) => {
  const { sealingKey = randomBytes(32), ttlMs = 300_000 } = options
  const clock = createManualClock(startMs)
  const trail = createAuditTrail(database, clock.epochMs, Buffer.alloc(32, 1))
  const changes = createAccountChanges(database.channel, trail)
  const statements = createAccountStatements(database, clock.epochMs)
  const principals = createPrincipals({ database, epochMs: clock.epochMs, requireMfaFor: [] })
  const keys = await openSigningKeys({ database, trail, clock, timers: clock, sealingKey, issuer, audience, ttlMs })
  // Until announcements are heard nothing is remembered.
  await eventually(10_000, 'announcements are heard', () => changes.generation() !== undefined)
  const events: SecurityEvent[] = []
  const asked = { keys: 0, principals: 0, apiKeys: 0 }
  const app = Fastify()
  await app.register(layers.problems, { observe: () => undefined })
  await app.register(layers.authentication, {
    observe: (event) => void events.push(event),
    clock,
    lookupKey: (id) => {
      asked.apiKeys++
      return principals.ofKey(id)
    },
    tokens: {
      issuer,
      audience,
      keyOf: (kid) => {
        asked.keys++
        return keys.keyOf(kid)
      },
      principalOf: (claims) => {
        asked.principals++
        return principals.ofSession(claims)
      },
    },
    generation: () => changes.generation(),
    ...(options.issuers === undefined ? {} : { issuers: options.issuers }),
    ...(options.maxRemembered === undefined ? {} : { maxRemembered: options.maxRemembered }),
  })
  app.get('/', (request) => ({ subject: request.principal?.subject ?? null, role: request.principal?.role ?? null }))
  jwksRoute(app, keys)
  await app.listen({ host: '127.0.0.1', port: 0 })

  const addPerson = async (username: string, role: Role = 'editor'): Promise<Person> => {
    const [subject, sid, at] = [createAccountId(), createSessionId(), clock.epochMs()]
    const session = database.reader.insertInto('session').values({
      id: sid,
      account_id: subject,
      created_at: at,
      authenticated_at: at,
      last_used_at: at,
      expires_at: at + 86_400_000,
      amr: 'pwd',
      mfa: 0,
      browser: 0,
      client: null,
      user_agent: null,
      revoked_at: null,
    })
    const account = { id: subject, username, role, passwordHash: null }
    // An instance hears its own announcements too, a moment later: tests that count would count that.
    const heard = new Promise<void>((resolve) => database.channel.subscribe('account_changed', resolve))
    await changes.commit(
      [statements.add(account), statement(session.compile(), 1)],
      [{ actor: 'cli', action: 'user.create', target: subject }],
    )
    await heard
    const facts = { subject, sessionId: sid, authenticatedAt: at, amr: ['pwd'], role, notAfter: at + 86_400_000 }
    return { subject, sid, username, token: async () => (await keys.issuer.issue({ ...facts, epoch: 0 })).token }
  }

  return {
    port: (app.server.address() as AddressInfo).port,
    clock,
    trail,
    changes,
    statements,
    keys,
    events,
    asked,
    addPerson,
    forge: () => openForge(database, sealingKey),
    [Symbol.asyncDispose]: async () => {
      keys.close()
      await app.close()
    },
  }
}

export type TokenListener = Awaited<ReturnType<typeof startTokenListener>>
