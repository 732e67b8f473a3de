import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

import Fastify, { type FastifyHttpOptions, type FastifyInstance, type FastifyRequest } from 'fastify'

import type { Config } from './config.ts'
import type { Clock } from './core/clock.ts'
import type { Observe } from './core/events.ts'
import type { Client } from './core/request.ts'
import * as layers from './layers/index.ts'

export interface ListenerOptions {
  readonly config: Config
  readonly clock: Clock
  readonly observe: Observe
  /** Takes the record of every request; of what was refused before there was one, with its client instead. */
  readonly write: (record: layers.AccessRecord, request?: FastifyRequest, client?: Client) => void
  /** Takes a unit of `total` for what never becomes a request; returns the fields that tell of it. */
  readonly count: (client: Client) => Readonly<Record<string, string>>
  readonly trustedProxies: readonly string[]
  readonly onUntrustedProxy?: () => void
  /** Names that this listener answers to besides loopback. */
  readonly hosts: readonly string[]
  readonly maxConnections?: number
  /** Default `server.max_connections_per_client`. */
  readonly maxConnectionsPerClient?: number
  /** Plain HTTP without it. */
  readonly certificates?: Certificates | undefined
}

/** Where TLS comes from, as a listener sees it. */
export interface Certificates {
  readonly material: layers.TlsMaterial
  readonly isPublic: boolean
}

export interface Listener {
  readonly server: FastifyInstance
  /** Grows with every route that is added. */
  readonly routes: readonly layers.RouteEntry[]
  /** The options of the layers that look at the connection and the message. */
  readonly transport: layers.TransportOptions
  readonly addresses: layers.ClientAddresses
  readonly accessLog: layers.AccessLogOptions
  readonly messageChecks: layers.MessageChecksOptions
}

/** A Fastify server with a strict transport, and what the first layers on it need: what the API and the ops listener have in common. */
export const createListener = (options: ListenerOptions): Listener => {
  const { config, clock, observe, trustedProxies, onUntrustedProxy } = options
  const addresses = layers.createClientAddresses({ trustedProxies, ...(onUntrustedProxy === undefined ? {} : { onUntrustedProxy }) })
  const isTrusted = (request: IncomingMessage): boolean => addresses.isTrusted(request.socket)
  const genReqId = layers.createRequestIds(isTrusted)
  const sockets = createSockets(options, addresses)
  const server = createFastify(options, { ajv: layers.ajvOptions, genReqId, clientErrorHandler: sockets.onClientError })
  layers.teachAllMethods(server)
  sockets.attach(server.server, (request: IncomingMessage, response: ServerResponse) => server.routing(request, response))
  if (options.certificates !== undefined) {
    createHttp2Sessions(options, addresses, sockets).attach(server.server)
    createFailedHandshakes(options, addresses).attach(server.server)
  }
  return {
    server,
    routes: layers.collectRoutes(server),
    transport: { sockets, bodyLimitBytes: config.server.bodyLimitBytes },
    addresses,
    accessLog: { clock, isTrusted, write: options.write, outcome },
    messageChecks: {
      observe,
      check: layers.createMessageChecks(layers.createHostCheck({ hosts: options.hosts })),
    },
  }
}

/** Layers and routes are written for Fastify's plain server; where HTTP/2 differs from it, the transport layer knows. */
const createFastify = ({ config, certificates }: ListenerOptions, shared: FastifyHttpOptions<Server>): FastifyInstance => {
  const responses = layers.createSecuredResponses(headerOptions(certificates))
  if (certificates === undefined) return Fastify({ ...shared, ...layers.transportOptions(config.server, responses) })
  const { material } = certificates
  const options = { ...shared, ...layers.secureTransportOptions(config.server, material, responses) }
  return Fastify(options as unknown as FastifyHttpOptions<Server>)
}

const headerOptions = (certificates: Certificates | undefined): layers.SecurityHeadersOptions => ({ tls: certificates?.isPublic ?? false })

/** Over HTTP/2 Node has no deadline for a request, and shows floods of frames to nobody. */
const createHttp2Sessions = ({ config, clock, observe }: ListenerOptions, addresses: layers.ClientAddresses, sockets: layers.Sockets) => {
  const { headerTimeoutMs, requestTimeoutMs } = config.server
  const toldMs = new Map<layers.Http2Abuse, number>()
  return new layers.Http2Sessions({
    headerTimeoutMs,
    requestTimeoutMs,
    keepAliveMs: layers.keepAliveMs,
    monotonicMs: clock.monotonicMs,
    failBody: (request, problem) => sockets.failBody(request, problem),
    onSession: (socket) => void addresses.ofSocket(socket),
    onAbuse: (socket, reason) => {
      const nowMs = clock.monotonicMs()
      // One a second of each kind: whoever is cut off comes back at once, and must not write the log.
      if (nowMs - (toldMs.get(reason) ?? -Infinity) < 1000) return
      toldMs.set(reason, nowMs)
      observe({ event: 'malicious_extraneous', requestId: null, client: addresses.ofSocket(socket).prefix, reason })
    },
  })
}

/** What a client that never completes a handshake costs is seen by no limit of requests. */
const createFailedHandshakes = ({ clock, observe }: ListenerOptions, addresses: layers.ClientAddresses): layers.FailedHandshakes => {
  const clientPrefixOf = (socket: Socket): string => addresses.ofSocket(socket).prefix
  const report = createTooManyReport(clock, observe, clientPrefixOf)
  return new layers.FailedHandshakes({
    monotonicMs: clock.monotonicMs,
    clientPrefixOf,
    isTrusted: (socket) => addresses.isTrusted(socket),
    onTooMany: (socket) => report(socket, 'max_failed_handshakes'),
  })
}

/**
 * How many times of what a request may take an answer is looked at before its reader is judged: the system tells that it took more only when a
 * third of its buffer is free again, which may be 1.3 MB of somebody who was fast and became slow.
 */
const slowReadWindows = 3

/** What is refused before there is a request is counted, observed, logged and answered like the rest. */
const createSockets = (options: ListenerOptions, addresses: layers.ClientAddresses): layers.Sockets => {
  const { config, clock, count, observe, write, certificates } = options
  const { maxConnections = config.server.maxConnections, maxConnectionsPerClient = config.server.maxConnectionsPerClient } = options
  const fields = layers.securityHeaderFields(headerOptions(certificates))
  const requestIdOf = layers.createRequestIds((request) => addresses.isTrusted(request.socket))
  return new layers.Sockets({
    maxConnections,
    maxConnectionsPerClient,
    clientPrefixOf: (socket) => addresses.ofSocket(socket).prefix,
    isTrusted: (socket) => addresses.isTrusted(socket),
    slowReadMs: slowReadWindows * config.server.requestTimeoutMs,
    onTooMany: createTooManyReport(clock, observe, (socket) => addresses.ofSocket(socket).prefix),
    refuse: ({ problem, socket, request }) => {
      const client = request === undefined ? addresses.ofSocket(socket) : addresses.of(request)
      const requestId = requestIdOf(request)
      const limits = count(client)
      // Being slow is no syntax that only an attacker sends.
      if (problem.code !== 'request_timeout')
        observe({ event: 'malicious_extraneous', requestId, client: client.prefix, reason: problem.code })
      const answer = layers.rawAnswer(problem, requestId, { ...fields, ...limits })
      const { statusCode: status, code: verdict } = problem
      write(
        layers.unparsedRecord({
          epochMs: clock.epochMs(),
          requestId,
          method: request?.method ?? null,
          path: request?.url ?? null,
          status,
          bytesOut: answer.length - answer.indexOf('\r\n\r\n') - 4,
          client: client.address,
          verdict,
        }),
        undefined,
        client,
      )
      return answer
    },
  })
}

/** One event a second at most: whoever opens connections by the thousand must not write the log. */
const createTooManyReport = (clock: Clock, observe: Observe, prefixOf: (socket: Socket) => string) => {
  let lastMs = -Infinity
  return (socket: Socket | undefined, violated: layers.ConnectionBound): void => {
    if (clock.monotonicMs() - lastMs < 1000) return
    lastMs = clock.monotonicMs()
    const client = socket === undefined ? null : prefixOf(socket)
    observe({ event: 'excess_rate_limit_exceeded', requestId: null, client, policy: 'connections', violated: [violated] })
  }
}

/** What the access log says of a request when it ends, gathered from the layers that know. */
const outcome = (request: FastifyRequest): ReturnType<layers.AccessLogOptions['outcome']> => {
  const { refusal, client, principal } = request
  const cause: unknown = refusal !== undefined && refusal.statusCode >= 500 ? refusal.cause : undefined
  return {
    client: client.address,
    principal: principal?.subject ?? null,
    verdict: refusal?.code ?? 'ok',
    error: cause === undefined ? null : described(cause),
    bytesIn: request.bodyBytes ?? Number(request.raw.headers['content-length'] ?? 0),
  }
}

const described = (cause: unknown): string => {
  if (cause instanceof Error) return cause.stack ?? cause.message
  return typeof cause === 'string' ? cause : JSON.stringify(cause)
}

/** The names that the API is called by, besides those of loopback. */
export const servedHosts = ({ server }: Config): string[] => [
  server.host,
  ...server.hosts,
  ...(server.publicUrl === '' ? [] : [new URL(server.publicUrl).host]),
]
