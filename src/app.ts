import type { IncomingMessage, ServerResponse } from 'node:http'

import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'

import { filmRoutes, type FilmRoutesOptions } from './api/films/routes.ts'
import { opsRoutes, type OpsOptions } from './api/ops/routes.ts'
import type { Config } from './config.ts'
import type { Clock } from './core/clock.ts'
import type { Observe } from './core/events.ts'
import * as layers from './layers/index.ts'

export interface AppOptions extends Pick<FilmRoutesOptions, 'films' | 'votes' | 'voterId'> {
  readonly config: Config
  readonly clock: Clock
  readonly limiterStore: layers.LimiterStore
  readonly lookupKey: layers.AuthenticationOptions['lookupKey']
  readonly log: layers.Log
  readonly observe: Observe
  /** A forwarding header came from this machine though no proxy is trusted: then all clients look like one. */
  readonly onUntrustedProxy: () => void
}

export interface App {
  readonly server: FastifyInstance
  readonly routes: readonly layers.RouteEntry[]
}

const tls = false

/** The request path: the layers in the order in which a request meets them, then the routes. Nothing is discovered or loaded by itself. */
export const buildApp = async (options: AppOptions): Promise<App> => {
  const { config, clock, limiterStore: store, log, observe } = options
  const addresses = layers.createClientAddresses({
    trustedProxies: config.server.trustedProxies,
    onUntrustedProxy: options.onUntrustedProxy,
  })
  const isTrusted = (request: IncomingMessage): boolean => addresses.isTrusted(request.socket)
  const genReqId = layers.createRequestIds(isTrusted)
  const sockets = createSockets(options, addresses, genReqId)
  const server = createServer(config, genReqId, sockets)
  const routes = layers.collectRoutes(server)

  // 1 to 6: what every request passes, whatever becomes of it.
  await server.register(layers.transport, { sockets })
  await server.register(layers.clientAddress, { addresses })
  await server.register(layers.accessLog, { clock, isTrusted, write: log.access, outcome })
  await server.register(layers.securityHeaders, { tls })
  await server.register(layers.totalLimit, { store, observe, total: config.limits.total })
  await server.register(layers.messageChecks, {
    observe,
    check: layers.createMessageChecks(layers.createHostCheck({ hosts: servedHosts(config) })),
  })
  await server.register(layers.problems, { observe })
  // 8 to 11: who it is, what they may do, how often, and with what.
  await server.register(layers.authentication, { observe, lookupKey: options.lookupKey })
  await server.register(layers.authorization, { observe, publicPermissions: new Set(['films:read', 'votes:write'] as const) })
  await server.register(layers.routeLimits, { store, observe, defaults: limitDefaults(config) })
  await server.register(layers.validation)

  filmRoutes(server, { films: options.films, votes: options.votes, voterId: options.voterId, anonymousVotes: config.votes.anonymous })
  layers.addMethodAnswers(server, routes)
  await server.ready()
  return { server, routes }
}

export interface OpsAppOptions extends OpsOptions {
  readonly config: Config
  readonly observe: Observe
}

/** The ops listener: a server of its own, so that no limit or flood on the public one hides its health. */
export const buildOpsApp = async ({ config, observe, ...ops }: OpsAppOptions): Promise<FastifyInstance> => {
  const addresses = layers.createClientAddresses({ trustedProxies: [] })
  const server = createServer(
    config,
    layers.createRequestIds(() => false),
    undefined,
  )
  const routes = layers.collectRoutes(server)
  await server.register(layers.clientAddress, { addresses })
  await server.register(layers.securityHeaders, { tls })
  await server.register(layers.messageChecks, {
    observe,
    check: layers.createMessageChecks(layers.createHostCheck({ hosts: [config.ops.host] })),
  })
  await server.register(layers.problems, { observe })
  await server.register(layers.authorization, { observe, publicPermissions: new Set<never>() })
  await server.register(layers.validation)
  opsRoutes(server, ops)
  layers.addMethodAnswers(server, routes)
  await server.ready()
  return server
}

type Sockets = ReturnType<typeof layers.createSockets>

const createServer = (config: Config, genReqId: (request: IncomingMessage) => string, sockets: Sockets | undefined): FastifyInstance => {
  const clientErrorHandler = sockets === undefined ? {} : { clientErrorHandler: sockets.onClientError }
  const server: FastifyInstance = Fastify({
    ...layers.transportOptions(config.server),
    ajv: layers.ajvOptions,
    genReqId,
    ...clientErrorHandler,
  })
  layers.teachAllMethods(server)
  sockets?.attach(server.server, (request: IncomingMessage, response: ServerResponse) => server.routing(request, response))
  return server
}

/** What is refused before there is a request: counted in `total`, observed, logged and answered like the rest. */
const createSockets = (
  { config, clock, limiterStore, log, observe }: AppOptions,
  addresses: layers.ClientAddresses,
  newRequestId: (request: IncomingMessage) => string,
): Sockets => {
  const chargeOf = layers.totalCharge(config.limits.total)
  const fields = layers.securityHeaderFields({ tls })
  return layers.createSockets({
    maxConnections: config.server.maxConnections,
    maxConnectionsPerClient: config.server.maxConnectionsPerClient,
    clientPrefixOf: (socket) => addresses.ofSocket(socket).prefix,
    isTrusted: (socket) => addresses.isTrusted(socket),
    refuse: ({ problem, socket, method, target }) => {
      const client = addresses.ofSocket(socket)
      const requestId = newRequestId({ socket, headers: {} } as IncomingMessage)
      const { identity, quotas } = chargeOf(client)
      void limiterStore.consume(identity, quotas, 1)
      observe({ event: 'malicious_extraneous', requestId, client: client.prefix, reason: problem.code })
      const answer = layers.rawAnswer(problem, requestId, fields)
      log.access(
        layers.unparsedRecord({
          epochMs: clock.epochMs(),
          requestId,
          method,
          path: target,
          status: problem.statusCode,
          bytesOut: answer.length,
          client: client.address,
          verdict: problem.code,
        }),
      )
      return answer
    },
  })
}

const outcome = (request: FastifyRequest) => {
  const { refusal } = request
  const cause: unknown = refusal !== null && refusal.statusCode >= 500 ? refusal.cause : undefined
  return {
    client: request.client.address,
    principal: request.principal?.subject ?? null,
    verdict: refusal?.code ?? 'ok',
    error: cause === undefined ? null : described(cause),
    bytesIn: request.bodyBytes,
  }
}

const described = (cause: unknown): string => {
  if (cause instanceof Error) return cause.stack ?? cause.message
  return typeof cause === 'string' ? cause : JSON.stringify(cause)
}

const servedHosts = ({ server }: Config): string[] => [
  server.host,
  ...server.hosts,
  ...(server.publicUrl === '' ? [] : [new URL(server.publicUrl).host]),
]

const limitDefaults = ({ limits }: Config) => ({ anonymous: limits.default, authenticated: limits.authenticated, overrides: limits.routes })
