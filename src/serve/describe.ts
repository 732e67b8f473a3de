import Fastify from 'fastify'

import { createAuditTrail } from '../api/audit/trail.ts'
import { createFilmRepository } from '../api/films/repository.ts'
import { listLimits } from '../api/limits/routes.ts'
import type { LimitList } from '../api/limits/schema.ts'
import { opsRoutes } from '../api/ops/routes.ts'
import { createVoteRepository } from '../api/votes/repository.ts'
import { type App, buildApp } from '../app.ts'
import type { Config } from '../config.ts'
import { systemClock as clock } from '../core/clock.ts'
import type { MasterKey } from '../credentials/master-key.ts'
import { createVoterIds } from '../credentials/voter-id.ts'
import { createOfflineDatabase } from '../db/offline.ts'
import {
  collectRoutes,
  type CorsPolicies,
  createLog,
  createMemoryDecisions,
  createMemoryStore,
  type EffectiveLimits,
  formatLimits,
  type Quota,
  type RouteEntry,
} from '../layers/index.ts'
import { createAccountRoutes } from './accounts.ts'
import { refuseUnknownRoutes } from './known-routes.ts'
import { openMonitor } from './monitor.ts'
import { createProtections } from './protections.ts'

export interface DescribedRoute {
  readonly listener: 'api' | 'ops'
  readonly method: string
  readonly path: string
  readonly access: string
  readonly sessionOnly: boolean
  readonly freshLogin: boolean
  /** In policy notation; null where only `total` counts. */
  readonly limits: { readonly anonymous: string | null; readonly subject: string | null; readonly total: string | null }
  readonly bodyLimitBytes: number
  /** The media type of a good answer, or several with commas between them. */
  readonly produces: string
  /** Pages of which origins may read it: as configured, with commas between them; null is none. */
  readonly cors: string | null
}

/** The app as a server with this configuration has it, for those who describe it: it cannot serve, because its database is not there. */
export const describeApp = async (config: Config): Promise<App> => {
  const database = createOfflineDatabase(config.database.url)
  const log = createSilentLog()
  const masterKey: MasterKey = { derive: () => Buffer.alloc(32) }
  const trail = createAuditTrail(database, clock.epochMs, masterKey.derive('audit'))
  const limiterStore = createMemoryStore({ clock, maxTrackedClients: config.limits.maxTrackedClients })
  return buildApp({
    config,
    clock,
    log,
    observe: log.event,
    certificates: undefined,
    monitor: (await openMonitor({ config, clock, observe: log.event, store: createMemoryDecisions() })).monitor,
    begun: () => undefined,
    ended: log.access,
    isKnownPlace: () => Promise.resolve(false),
    limiterStore,
    protections: createProtections(config),
    originOf: (key) => config.origins.get(key) ?? 'default',
    films: createFilmRepository(database, clock),
    votes: createVoteRepository(database, clock.epochMs),
    voterId: createVoterIds(Buffer.alloc(32)),
    accounts: createAccountRoutes(
      { config, clock, observe: log.event, database, masterKey, trail, limiterStore, warn: () => undefined },
      noKeys,
    ),
    credentials: {},
    onUntrustedProxy: () => undefined,
  })
}

/** The limits that this configuration gives each route, and where each was set. */
export const describeLimits = async (config: Config): Promise<LimitList> => {
  const { routes } = await describeApp(config)
  refuseUnknownRoutes(config, routes)
  return listLimits({ routes, limits: createProtections(config).limits, originOf: (key) => config.origins.get(key) ?? 'default' })
}

/** Every route of both listeners, in the order of the program. */
export const describeRoutes = async (config: Config): Promise<readonly DescribedRoute[]> => {
  const { routes } = await describeApp(config)
  const { limits, cors } = createProtections(config)
  return [
    ...routes.map((route) => describe(config, 'api', route, { limits: limits.effective(route), cors: originsOf(cors, route) })),
    ...(await opsRouteEntries(config)).map((route) => describe(config, 'ops', route, { limits: unlimited, cors: null })),
  ]
}

const unlimited: EffectiveLimits = { name: '', anonymous: [], authenticated: [], total: [] }

const opsRouteEntries = async (config: Config): Promise<readonly RouteEntry[]> => {
  const server = Fastify()
  const routes = collectRoutes(server)
  opsRoutes(server, {
    database: createOfflineDatabase(config.database.url),
    databaseDir: config.data.dir,
    warnings: () => [],
    metrics: { text: () => Promise.resolve(''), contentType: 'text/plain' },
  })
  await server.ready()
  return routes
}

interface Effective {
  readonly limits: EffectiveLimits
  readonly cors: string | null
}

/** The health listener has no CORS layer. */
const describe = (config: Config, listener: 'api' | 'ops', route: RouteEntry, { limits, cors }: Effective): DescribedRoute => ({
  listener,
  method: route.method,
  path: route.url,
  access: route.config.access ?? 'none',
  sessionOnly: route.config.sessionOnly === true,
  freshLogin: route.config.freshLogin === true,
  limits: { anonymous: written(limits.anonymous), subject: written(limits.authenticated), total: written(limits.total) },
  bodyLimitBytes: route.bodyLimitBytes ?? config.server.bodyLimitBytes,
  produces: [route.config.produces ?? 'application/json'].flat().join(', '),
  cors,
})

const originsOf = (policies: CorsPolicies, { method, url }: RouteEntry): string | null => {
  const origins = policies.originsFor(method, url)
  return origins.length === 0 ? null : origins.join(', ')
}

/** What a subject shares over all routes stands beside what it has for the route. */
const written = (quotas: readonly Quota[]): string | null =>
  quotas.length === 0
    ? null
    : quotas.map(({ windows }, i) => formatLimits(windows) + (quotas.length > 1 && i === 0 ? ' (route)' : '')).join('; ')

/** What is only described has nothing to tell. */
const notServing = (): Promise<never> => Promise.reject(new Error('this is a description, no server'))
const noKeys = { issuer: { issue: notServing }, jwks: notServing }

const createSilentLog = () => createLog({ sink: { write: () => undefined, flush: () => undefined }, clock, level: 'fatal', format: 'json' })
