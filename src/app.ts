import type { FastifyInstance, FastifyRequest } from 'fastify'

import type { AccountRoutesOptions } from './api/accounts/routes.ts'
import type { FilmRoutesOptions } from './api/films/routes.ts'
import { isOwnOrigin } from './api/own-origins.ts'
import type { ApiDescription } from './api/site/document.ts'
import type { Config } from './config.ts'
import { type Clock, systemTimers } from './core/clock.ts'
import type { Observe } from './core/events.ts'
import type { Client } from './core/request.ts'
import * as layers from './layers/index.ts'
import { type Certificates, createListener, servedHosts } from './listener.ts'
import { addRoutes, publicPermissions } from './routes.ts'

/** What can change while the server runs: read at each request. */
export interface Protections {
  readonly limits: layers.Limits
  readonly cors: layers.CorsPolicies
  /** By the name of a route, such as `GET /`. */
  readonly throttleOf: (routeName: string) => layers.ThrottlePolicy | undefined
  readonly concurrency: () => layers.ConcurrencyLimits
}

/** Of every listener. */
export interface SharedOptions {
  readonly config: Config
  readonly clock: Clock
  readonly log: layers.Log
  readonly observe: Observe
  /** That this listener holds at once; default `server.max_connections`. */
  readonly maxConnections?: number
}

export interface AppOptions extends SharedOptions, Pick<FilmRoutesOptions, 'films' | 'votes' | 'voterId'> {
  readonly certificates: Certificates | undefined
  readonly limiterStore: layers.LimiterStore
  readonly protections: Protections
  readonly accounts: AccountRoutesOptions
  /** What is asked about credentials. */
  readonly credentials: Omit<layers.AuthenticationOptions, 'observe' | 'clock'>
  readonly monitor: layers.Monitor
  /** Called for every request as it begins. */
  readonly begun: () => void
  /** Takes the record of every request that has ended: log, metrics and monitor look at it. */
  readonly ended: (record: layers.AccessRecord, request?: FastifyRequest, client?: Client) => void
  /** Whether an account was used from there before. */
  readonly isKnownPlace: (subject: string, client: Client) => Promise<boolean>
  /** Where a key of the configuration was set. */
  readonly originOf: (key: string) => string
  /** A forwarding header came from this machine though no proxy is trusted: then all clients look like one. */
  readonly onUntrustedProxy: () => void
}

export interface App {
  readonly server: FastifyInstance
  readonly overload: layers.Overload
  readonly routes: readonly layers.RouteEntry[]
  /** The OpenAPI document of these routes under the limits of now. */
  readonly description: () => ApiDescription
}

/** Requests that wait for their turn hold memory and a connection, whoever they are from. */
const maxWaitingInAll = 1000

/** What a `tighten` leaves of all limits. */
const tightenedLimits = '10 per minute'

/** The request path: the layers in the order in which a request meets them, then the routes. Nothing is discovered or loaded by itself. */
export const buildApp = async (options: AppOptions): Promise<App> => {
  const { config, limiterStore: store, observe, clock, protections } = options
  const { limits, cors } = protections
  const listener = createListener({
    ...options,
    write: options.ended,
    count: layers.createTotalCount(store, limits),
    trustedProxies: config.server.trustedProxies,
    hosts: servedHosts(config),
  })
  const { server, routes } = listener

  // 1 to 3: what every request passes, whatever becomes of it. 4, the security headers, are built into the response (listener.ts).
  await server.register(layers.transport, listener.transport)
  await server.register(layers.clientAddress, { addresses: listener.addresses })
  await server.register(layers.accessLog, listener.accessLog)
  await server.register(layers.begunRequests, { begun: options.begun })
  await server.register(layers.tracing, { isTrusted: listener.accessLog.isTrusted, refusalOf: (request) => request.refusal?.code })
  // With those that say whose pages may read it.
  await server.register(layers.corsFields, { policies: cors })
  // 5: whoever is banned is refused before any work.
  const decisions = decisionOptions(options)
  await server.register(layers.clientDecisions, { ...decisions, takeTightened: layers.createTightened(store, tightenedLimits) })
  // 6: attempts count, so what the message checks refuse does too.
  await server.register(layers.totalLimit, { store, limits, observe })
  await server.register(layers.messageChecks, listener.messageChecks)
  // 10, but as early as may be: whoever is refused for want of time must not cost any.
  const overload = new layers.Overload({ clock, observe })
  await server.register(layers.overload, { watch: overload })
  // 7: preflights carry no credentials.
  await server.register(layers.corsPreflights, {
    policies: cors,
    observe,
    isOwn: (origin, request) => isOwnOrigin(origin, request, config.server.publicUrl),
  })
  // 8: who it is. 12: what becomes of every error.
  await server.register(layers.authentication, { ...options.credentials, observe, clock })
  await server.register(layers.principalDecisions, { ...decisions, isLogin })
  await server.register(layers.problems, { observe })
  await addRouteLayers(server, options)

  const description = addRoutes(listener, options)
  layers.addMethodAnswers(server, routes)
  layers.addNotFoundAnswer(server)
  await server.ready()
  return { server, overload, routes, description }
}

/** 8 to 11, as hooks of each route: what they may do, how often, how soon, how many at once, and with what. */
const addRouteLayers = async (server: FastifyInstance, options: AppOptions): Promise<void> => {
  const { limiterStore: store, observe, clock, protections } = options
  const { limits } = protections
  await server.register(layers.authorization, { observe, clock, publicPermissions })
  await server.register(layers.routeLimits, { store, limits, observe })
  // A request that waits or is refused here burns nothing of its route's quotas.
  const onRefused = layers.createRouteRefund(store)
  await server.register(layers.throttle, {
    store,
    observe,
    clock,
    timers: systemTimers,
    policyOf: protections.throttleOf,
    maxWaitingInAll: () => maxWaitingInAll,
    isExempt: ({ client, principal }) => limits.isExempt(client) || limits.isExemptKey(principal),
    onRefused,
  })
  await server.register(layers.concurrency, { observe, limits: protections.concurrency, onRefused })
  await server.register(layers.validation)
}

/** What the two places ask that enforce decisions. */
const decisionOptions = ({ monitor, clock, observe, isKnownPlace }: AppOptions) => ({
  decisions: monitor.decisions,
  isExempt: (address: string) => monitor.policy().isExempt(address),
  epochMs: clock.epochMs,
  observe,
  isKnownPlace,
})

/** Where somebody without credentials gets some. */
const isLogin = ({ routeOptions: { url } }: FastifyRequest): boolean => url?.startsWith('/v1/auth/') === true
