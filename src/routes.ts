import { accountRoutes } from './api/accounts/routes.ts'
import { createAuditRepository } from './api/audit/repository.ts'
import { auditRoutes } from './api/audit/routes.ts'
import { filmRoutes } from './api/films/routes.ts'
import { limitRoutes } from './api/limits/routes.ts'
import { bouncerRoutes } from './api/security/bouncers.ts'
import { createDecisionRepository } from './api/security/decision-repository.ts'
import { securityRoutes } from './api/security/routes.ts'
import type { Delivery } from './api/site/page-fields.ts'
import { pageRoutes } from './api/site/page.ts'
import { siteRoutes } from './api/site/routes.ts'
import type { App, AppOptions } from './app.ts'
import { systemTimers } from './core/clock.ts'
import * as layers from './layers/index.ts'
import type { Listener } from './listener.ts'

/** What everybody may do, known or not. */
export const publicPermissions = new Set(['films:read', 'votes:write'] as const)

/** What is served behind the layers; the description comes last, for it tells of all the others. */
export const addRoutes = ({ server, routes }: Listener, options: AppOptions): App['description'] => {
  const { config, limiterStore: store, log, observe, clock, protections } = options
  const { limits } = protections
  filmRoutes(server, {
    films: options.films,
    votes: options.votes,
    voterId: options.voterId,
    anonymousVotes: config.votes.anonymous,
    publicOrigin: config.server.publicUrl,
    isAllowedOrigin: (origin) => protections.cors.policyFor('/', 'GET').match.isNamed(origin),
  })
  const warn = (message: string): void => log.note('warn', message)
  const delivery = deliveryOf(options)
  if (config.page.enabled) pageRoutes(server, { delivery, warn })
  accountRoutes(server, options.accounts)
  const { cursors, database, trail } = options.accounts
  auditRoutes(server, { audit: createAuditRepository(database), cursors, observe })
  const decisions = createDecisionRepository({ database, trail, epochMs: clock.epochMs })
  const { monitor, isKnownPlace } = options
  securityRoutes(server, { ...options.accounts, monitor, decisions, isKnownPlace, timers: systemTimers })
  bouncerRoutes(server, { monitor, epochMs: clock.epochMs })
  limitRoutes(server, { routes, limits, store, observe, trail, originOf: options.originOf })
  return siteRoutes(server, {
    routes,
    publicPermissions,
    publicUrl: config.server.publicUrl,
    address: addressOf(options),
    delivery,
    limits,
    dataDir: config.data.dir,
    decoyPrefix: layers.honeyPrefix,
    epochMs: clock.epochMs,
    monotonicMs: clock.monotonicMs,
    warn,
    note: log.note,
  })
}

/** How pages reach a browser: from here, or from a proxy whose address is the public one. */
const deliveryOf = ({ config, certificates }: Pick<AppOptions, 'config' | 'certificates'>): Delivery => ({
  upgradesInsecure: certificates?.isPublic ?? false,
  isSecure: certificates !== undefined || config.server.publicUrl.startsWith('https:'),
})

/** Where whoever reads the documentation finds the server. */
const addressOf = ({ config: { server }, certificates }: Pick<AppOptions, 'config' | 'certificates'>): string =>
  server.publicUrl === '' ? `${certificates === undefined ? 'http' : 'https'}://localhost:${server.port}` : server.publicUrl
