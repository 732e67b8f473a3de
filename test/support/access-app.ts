import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { createApiKeyStatements } from '../../src/api/accounts/keys/api-keys.ts'
import { createSessionStatements } from '../../src/api/accounts/sessions/session-statements.ts'
import { createAuditTrail } from '../../src/api/audit/trail.ts'
import { createFilmRepository } from '../../src/api/films/repository.ts'
import { createVoteRepository } from '../../src/api/votes/repository.ts'
import { buildApp } from '../../src/app.ts'
import { loadConfig } from '../../src/config.ts'
import type { Permission, Role } from '../../src/core/access.ts'
import { systemClock as clock } from '../../src/core/clock.ts'
import { createApiKey, formatApiKey, hashSecret } from '../../src/credentials/api-key.ts'
import { createAccountId, createSessionId } from '../../src/credentials/ids.ts'
import { openMasterKey } from '../../src/credentials/master-key.ts'
import { createVoterIds } from '../../src/credentials/voter-id.ts'
import { type Database, openDatabase } from '../../src/db/open.ts'
import type { Outcome } from '../../src/db/unit.ts'
import { createLog, createMemoryDecisions, createMemoryStore, endedRequest } from '../../src/layers/index.ts'
import { openAccounts } from '../../src/serve/accounts.ts'
import { openMetrics } from '../../src/serve/metrics.ts'
import { openMonitor } from '../../src/serve/monitor.ts'
import { createProtections } from '../../src/serve/protections.ts'
import { buildOpsApp } from '../../src/side-apps.ts'
import { assertSecretsKept } from './log-secrecy.ts'

const plenty = '100000000 per day'

/** Somebody with an account, as far as a matrix needs it: nobody logs in, for a hash each would be most of the time. */
export interface Member {
  readonly id: string
  readonly sid: string
  readonly bearer: string
}

export type AccessApp = Awaited<ReturnType<typeof openAccessApp>>

/**
 * Both listeners in this process, with what it takes to make callers of every kind. Limits are counted and never met. Left out, the database is
 * a SQLite file of its own; one that is given stays open.
 */
export const openAccessApp = async (given?: Database) => {
  const folder = mkdtempSync(join(tmpdir(), 'filmgate-access-'))
  writeFileSync(join(folder, 'security.txt'), 'Contact: mailto:security@example.org\nExpires: 2999-12-31T23:59:59Z\n')
  const lines: string[] = []
  const sink = { write: (line: string) => void lines.push(line), flush: () => undefined }
  const database = given ?? (await openDatabase({ url: 'sqlite', dataDir: folder }))
  const films = createFilmRepository(database, clock)
  const log = createLog({ sink, clock, level: 'trace', format: 'json' })
  const config = configOf(folder)
  const masterKey = openMasterKey(folder, '')
  const trail = createAuditTrail(database, clock.epochMs, masterKey.derive('audit'))
  const limiterStore = createMemoryStore({ clock, maxTrackedClients: 1000 })
  const shared = { config, clock, observe: log.event, database, masterKey, trail, limiterStore }
  const accounts = await openAccounts({ ...shared, warn: () => undefined })
  const { monitor } = await openMonitor({ ...shared, store: createMemoryDecisions() })
  const metrics = openMetrics({ droppedLines: 0, isFailing: false })
  const app = await buildApp({
    ...shared,
    certificates: undefined,
    monitor,
    begun: metrics.begun,
    ended: (record, request) => {
      log.access(record)
      metrics.ended(record, request)
      if (request !== undefined) monitor.request(endedRequest(record, request))
    },
    isKnownPlace: accounts.isKnownPlace,
    accounts: accounts.routes,
    credentials: accounts.credentials,
    protections: createProtections(config),
    originOf: () => 'default',
    log,
    films,
    votes: createVoteRepository(database, clock.epochMs),
    voterId: createVoterIds(Buffer.alloc(32)),
    onUntrustedProxy: () => undefined,
  })
  const ops = await buildOpsApp({ ...shared, log, databaseDir: folder, warnings: () => [], metrics })
  await films.add({ name: 'Frozen' })
  return {
    app,
    database,
    lines,
    api: await listen(app.server),
    health: await listen(ops),
    ...createCallers(accounts.routes),
    close: async () => {
      await app.server.close()
      await ops.close()
      await accounts.close()
      if (given === undefined) await database.close()
      rmSync(folder, { recursive: true })
      assertSecretsKept(lines.join(''))
    },
  }
}

const configOf = (folder: string) => {
  const env = {
    FILMGATE_DATA_DIR: folder,
    FILMGATE_LIMITS_TOTAL: plenty,
    FILMGATE_LIMITS_DEFAULT: plenty,
    FILMGATE_LIMITS_AUTHENTICATED: plenty,
  }
  const loaded = loadConfig({ env, cwd: folder, checkLimits: () => undefined })
  const names = [
    'GET /',
    'POST /add_film',
    ...['claim', 'register', 'login', 'refresh', 'logout', 'mfa'].map((name) => `POST /v1/auth/${name}`),
  ]
  const raised = [
    ...names,
    'POST /v1/auth/passkey/options',
    'POST /v1/auth/passkey/verify',
    'PATCH /v1/me',
    'POST /v1/keys',
    'POST /csp-report',
  ]
  const routes = Object.fromEntries(raised.map((name) => [name, { only: plenty }]))
  return { ...loaded, limits: { ...loaded.limits, routes } }
}

const listen = async (server: Awaited<ReturnType<typeof buildOpsApp>>): Promise<{ readonly port: number }> => {
  await server.listen({ host: '127.0.0.1', port: 0 })
  return { port: (server.server.address() as AddressInfo).port }
}

type Routes = Awaited<ReturnType<typeof openAccounts>>['routes']

const createCallers = ({ database, statements, tokens, keys }: Routes) => {
  const times = { maxAgeMs: 86_400_000, idleMs: 86_400_000 }
  const keyStatements = createApiKeyStatements(database, clock.epochMs)
  /** Who logged in so many milliseconds ago, with a second factor or without. */
  const addMember = async (username: string, role: Role, { agoMs = 0, mfa = false } = {}): Promise<Member> => {
    const [id, sid] = [createAccountId(), createSessionId()]
    const authenticatedAt = clock.epochMs() - agoMs
    const sessions = createSessionStatements(database, { ...times, epochMs: () => authenticatedAt })
    const session = { id: sid, accountId: id, epoch: 0, amr: 'pwd', mfa, browser: false, client: null, userAgent: null }
    await committed(database.commit([statements.add({ id, username, role, passwordHash: null }), sessions.open(session)]))
    const notAfter = clock.epochMs() + times.maxAgeMs
    const { token } = await tokens.issue({ subject: id, sessionId: sid, epoch: 0, authenticatedAt, notAfter, amr: ['pwd'], role })
    return { id, sid, bearer: `Bearer ${token}` }
  }
  const addKey = async (subject: string, permissions: readonly Permission[]): Promise<{ readonly id: string; readonly bearer: string }> => {
    const { id, secret } = createApiKey()
    const key = { id, subject, name: 'a key', permissions: new Set(permissions), secretHash: hashSecret(secret), expiresAt: null }
    // The starter's, which belongs to no account.
    if (subject === 'starter') await keys.add(key)
    else await committed(database.commit(keyStatements.add(key)))
    return { id, bearer: `Bearer ${formatApiKey({ id, secret })}` }
  }
  return { addMember, addKey }
}

const committed = async (commit: Promise<Outcome>): Promise<void> => {
  const outcome = await commit
  assert.equal(outcome.result, 'committed', JSON.stringify(outcome))
}
