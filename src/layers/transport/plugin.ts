import { type IncomingMessage, type Server, ServerResponse } from 'node:http'
import { Http2ServerResponse } from 'node:http2'

import type { FastifyHttpOptions, FastifyPluginCallback, preParsingHookHandler } from 'fastify'

import type { Problem } from '../../core/errors.ts'
import type { Observe } from '../../core/events.ts'
import { wholeServer } from '../../core/plugin.ts'
import { maxHeaderBytes, type ResponseClasses, secureServerOptions } from './secure-server.ts'
import type { Sockets } from './sockets.ts'
import { originTarget } from './target.ts'
import type { TlsMaterial } from './tls-context.ts'

export interface Deadlines {
  readonly bodyLimitBytes: number
  readonly headerTimeoutMs: number
  readonly requestTimeoutMs: number
}

/** Longer than the minute for which proxies usually keep theirs: the side that sends requests should be the one that ends the connection. */
export const keepAliveMs = 72_000

const plainResponses: ResponseClasses = { http1: ServerResponse, http2: Http2ServerResponse }

/** Node's options of an HTTP/1.1 server. It looks at its deadlines only so often, hence the short interval. */
const http1Options = ({ headerTimeoutMs, requestTimeoutMs }: Deadlines, Response: typeof ServerResponse) => ({
  ServerResponse: Response,
  headersTimeout: headerTimeoutMs,
  requestTimeout: requestTimeoutMs,
  keepAliveTimeout: keepAliveMs,
  connectionsCheckingInterval: 250,
  maxHeaderSize: maxHeaderBytes,
  // Answered by the hooks, so that a missing Host is refused with a problem document and logged.
  requireHostHeader: false,
})

const sharedOptions = ({ bodyLimitBytes, requestTimeoutMs }: Deadlines) => ({
  bodyLimit: bodyLimitBytes,
  requestTimeout: requestTimeoutMs,
  // Nothing moved for so long, in either direction: a reader that stopped reading, whose requests are all complete. Above the keep-alive time.
  connectionTimeout: keepAliveMs + requestTimeoutMs,
  keepAliveTimeout: keepAliveMs,
  return503OnClosing: false,
  rewriteUrl: originTarget,
  routerOptions: {
    caseSensitive: true,
    ignoreTrailingSlash: false,
    ignoreDuplicateSlashes: false,
    // Schemas bound the parameters; the router's own refusal would run no hook.
    maxParamLength: 16_384,
    allowUnsafeRegex: false,
  },
})

/** The options of `Fastify()` that make the transport strict, in plain HTTP/1.1. */
export const transportOptions = (deadlines: Deadlines, { http1 } = plainResponses) =>
  ({ ...sharedOptions(deadlines), http: http1Options(deadlines, http1) }) satisfies FastifyHttpOptions<Server>

/** The same over TLS, with HTTP/2 beside HTTP/1.1. */
export const secureTransportOptions = (deadlines: Deadlines, material: TlsMaterial, responses = plainResponses) => ({
  ...sharedOptions(deadlines),
  http2: true as const,
  http2SessionTimeout: keepAliveMs,
  https: secureServerOptions({
    material,
    responses,
    handshakeTimeout: deadlines.headerTimeoutMs,
    http1: http1Options(deadlines, responses.http1),
  }),
})

export interface TransportOptions {
  readonly sockets: Pick<Sockets, 'bodyFault'>
  readonly bodyLimitBytes: number
}

export interface MessageChecksOptions {
  readonly check: (request: IncomingMessage) => Problem | undefined
  readonly observe: Observe
}

/** What is done for every request that brings a body, when it is about to be read. */
export const transport: FastifyPluginCallback<TransportOptions> = wholeServer('transport', (app, { sockets, bodyLimitBytes }, done) => {
  const beforeBody: preParsingHookHandler = (request, reply, payload, next) => {
    const { headers, httpVersion } = request.raw
    // Only here, so that a request that was refused never gets to send its body, and one that is too long is told so without a 100.
    if (headers.expect !== undefined && httpVersion !== '1.0' && Number(headers['content-length'] ?? 0) <= bodyLimitBytes)
      reply.raw.writeContinue()
    next(sockets.bodyFault(request.raw) ?? null, payload)
  }
  app.addHook('onRoute', (route) => {
    const methods = [route.method].flat()
    if (methods.some((method) => bodyMethods.has(method))) route.preParsing = [route.preParsing ?? [], beforeBody].flat()
  })
  done()
})

const bodyMethods: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH'])

/** Refuses what the message itself makes impossible: its host, its target, doubled fields, expectations. After `total`, so that it counts. */
export const messageChecks: FastifyPluginCallback<MessageChecksOptions> = wholeServer('message-checks', (app, { check, observe }, done) => {
  app.addHook('onRequest', (request, _reply, next) => {
    const problem = check(request.raw)
    if (problem === undefined) {
      next()
      return
    }
    observe({ event: 'malicious_extraneous', requestId: request.id, client: request.client?.prefix ?? null, reason: problem.code })
    next(problem)
  })
  done()
})
