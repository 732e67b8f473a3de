import type { IncomingMessage } from 'node:http'

import type { FastifyPluginCallback, FastifyReply, FastifyRequest } from 'fastify'

import type { Clock } from '../../core/clock.ts'
import { wholeServer } from '../../core/plugin.ts'
import { loggedPath, publicParameters } from './path.ts'
import type { AccessRecord } from './record.ts'
import { createRandomHex, incomingRequestId, incomingTraceId } from './request-id.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Milliseconds, monotonic. */
    startedMs: number
    traceId: string
  }
  interface FastifyContextConfig {
    /** Query parameters whose values the log may show; filled from the schema. */
    shownParameters?: ReadonlySet<string>
  }
}

export interface AccessLogOptions {
  readonly clock: Clock
  /** Takes the finished record of every request, exactly once, with the request for those who look at more of it than the log tells. */
  readonly write: (record: AccessRecord, request: FastifyRequest) => void
  /** Whether the peer may name the request and its trace. */
  readonly isTrusted: (request: IncomingMessage) => boolean
  /** What other layers know of the request by the time it ends. */
  readonly outcome: (request: FastifyRequest) => Pick<AccessRecord, 'client' | 'principal' | 'verdict' | 'error' | 'bytesIn'>
}

/** Fastify's `genReqId`: a name from a trusted proxy, else 96 random bits. */
export const createRequestIds = (isTrusted: AccessLogOptions['isTrusted']): ((request?: IncomingMessage) => string) => {
  const randomId = createRandomHex(12)
  return (request) =>
    (request !== undefined && isTrusted(request) ? incomingRequestId(request.headers['x-request-id']) : undefined) ?? randomId()
}

/** Layer 3: one record for every request, whatever becomes of it; it ends when the answer is on its way or the client is gone. */
export const accessLog: FastifyPluginCallback<AccessLogOptions> = wholeServer('access-log', (app, options, done) => {
  const { clock } = options
  // A trace id is 32 hexadecimal digits: those of a request id of ours, which are random enough, behind eight of this process.
  const ownTrace = createRandomHex(4)()
  const freshTraceId = createRandomHex(16)

  app.addHook('onRoute', (route) => {
    const shown = publicParameters(route.schema?.querystring)
    route.config = { ...route.config, ...(shown.size > 0 ? { shownParameters: shown } : {}) }
  })

  app.addHook('onRequest', (request, reply, next) => {
    request.startedMs = clock.monotonicMs()
    const { raw } = request
    request.traceId = options.isTrusted(raw) ? (incomingTraceId(raw.headers['traceparent']) ?? freshTraceId()) : ownTrace + request.id
    reply.header('x-request-id', request.id)
    // 'close' comes after every answer and also when the client goes away first, which Fastify's onResponse does not see.
    reply.raw.on('close', () => options.write(finish(request, reply, options), request))
    next()
  })
  done()
})

const finish = (request: FastifyRequest, reply: FastifyReply, { clock, outcome }: AccessLogOptions): AccessRecord => {
  const { raw } = reply
  const { client, principal, verdict, error, bytesIn } = outcome(request)
  const { method, headers } = request.raw
  // A getter that builds an object: asked once.
  const { url, config } = request.routeOptions
  return {
    epochMs: clock.epochMs(),
    requestId: request.id,
    traceId: request.traceId,
    method: method ?? null,
    // The route for what nothing matches is none.
    route: url === undefined || url === '*' ? null : url,
    path: loggedPath(request.originalUrl, config?.shownParameters),
    status: raw.headersSent ? raw.statusCode : null,
    durationMs: clock.monotonicMs() - request.startedMs,
    bytesIn,
    bytesOut: method === 'HEAD' ? 0 : Number(reply.getHeader('content-length') ?? 0),
    client,
    principal,
    userAgent: headers['user-agent'] ?? null,
    // A stream of HTTP/2 that its client resets without an error is finished, with no answer.
    verdict: raw.writableFinished && raw.headersSent ? verdict : 'aborted',
    error,
  }
}
