import type { IncomingMessage, ServerResponse } from 'node:http'

import {
  type Attributes,
  context,
  type Context,
  createTraceState,
  isSpanContextValid,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
  type Tracer,
  type TracerProvider,
} from '@opentelemetry/api'
import type { FastifyPluginCallback, FastifyRequest } from 'fastify'

import { wholeServer } from '../core/plugin.ts'
import type { Client } from '../core/request.ts'

export interface TracingOptions {
  /** Whether the peer may say which trace a request belongs to. */
  readonly isTrusted: (request: IncomingMessage) => boolean
  /** The code that refused, or undefined. */
  readonly refusalOf: (request: FastifyRequest) => string | undefined
}

/** The proxy that the API of OpenTelemetry puts in front of what is registered, also before anything is. */
interface Proxy extends TracerProvider {
  getDelegate(): TracerProvider & { forceFlush?(): Promise<void> }
  getDelegateTracer(name: string): Tracer | undefined
}

/** None where the operator has registered nothing. */
const registeredTracer = (): Tracer | undefined => {
  const provider = trace.getTracerProvider()
  return 'getDelegateTracer' in provider ? (provider as Proxy).getDelegateTracer('filmgate') : provider.getTracer('filmgate')
}

/**
 * A span for each request, for the provider of OpenTelemetry that was registered before the start, such as by `node --import ./otel.mjs`
 * (semantic conventions 1.23 and later, HTTP server spans). Without one this adds no hook. The id of the trace is the one in the log. Whose
 * request belongs to a trace of somebody else says a trusted proxy alone: anybody else could put theirs into ours, or have all of them sampled.
 */
export const tracing: FastifyPluginCallback<TracingOptions> = wholeServer(
  'tracing',
  (app, { isTrusted, refusalOf }, done) => {
    const tracer = registeredTracer()
    if (tracer === undefined) return done()
    app.addHook('onRequest', (request, reply, next) => {
      const parent = isTrusted(request.raw) ? parentOf(request.raw) : ROOT_CONTEXT
      const { method = '' } = request.raw
      const route = request.routeOptions.url
      const template = route === undefined || route === '*' ? undefined : route
      const attributes = attributesOf(request, method, template)
      const span = tracer.startSpan(nameOf(method, template), { kind: SpanKind.SERVER, attributes }, parent)
      if (isSpanContextValid(span.spanContext())) request.traceId = span.spanContext().traceId
      reply.raw.on('close', () => end(span, reply.raw, refusalOf(request)))
      // What is done for this request may be parts of it: queries of the database, where the operator has them traced too.
      context.with(trace.setSpan(parent, span), next)
    })
    return done()
  },
  ['client-address', 'access-log'],
)

/** W3C Trace Context, sections 3.2 and 3.3; what is malformed begins a trace of its own. */
const parentOf = ({ headers }: IncomingMessage): Context => {
  const found = /^(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/.exec(String(headers['traceparent'] ?? ''))
  const [, traceId = '', spanId = '', flags = ''] = found ?? []
  const { tracestate } = headers
  const spanContext = {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16) & 1,
    isRemote: true,
    ...(typeof tracestate === 'string' ? { traceState: createTraceState(tracestate) } : {}),
  }
  return isSpanContextValid(spanContext) ? trace.setSpanContext(ROOT_CONTEXT, spanContext) : ROOT_CONTEXT
}

/** Others would be names that a client makes up. */
const knownMethods: ReadonlySet<string> = new Set(['CONNECT', 'DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT', 'TRACE'])

const nameOf = (method: string, route: string | undefined): string => {
  const known = knownMethods.has(method) ? method : 'HTTP'
  return route === undefined ? known : `${known} ${route}`
}

const attributesOf = (request: FastifyRequest, method: string, route: string | undefined): Attributes => ({
  'http.request.method': knownMethods.has(method) ? method : '_OTHER',
  ...(knownMethods.has(method) ? {} : { 'http.request.method_original': method }),
  ...(route === undefined ? {} : { 'http.route': route }),
  'url.path': pathOf(request.originalUrl),
  'url.scheme': request.protocol,
  'network.protocol.version': request.raw.httpVersion === '2.0' ? '2' : request.raw.httpVersion,
  'client.address': (request as { readonly client: Client }).client.address,
})

/** Without the query, which may hold what somebody pasted, and without the origin of a target in absolute form. */
const pathOf = (target: string): string =>
  target
    .slice(0, 2048)
    .replace(/[?#].*$/s, '')
    .replace(/^[a-z][a-z\d+.-]*:\/\/[^/]*/i, '')

const end = (span: Span, response: ServerResponse, refusal: string | undefined): void => {
  const isAnswered = response.writableFinished && response.headersSent
  if (response.headersSent) span.setAttribute('http.response.status_code', response.statusCode)
  const failure = isAnswered ? (response.statusCode >= 500 ? (refusal ?? String(response.statusCode)) : undefined) : 'aborted'
  if (failure !== undefined) {
    span.setAttribute('error.type', failure)
    // Of a server only what is its own fault (semantic conventions, HTTP spans: status).
    if (isAnswered) span.setStatus({ code: SpanStatusCode.ERROR })
  }
  span.end()
}

/** How long the end of the program waits for whoever takes the spans. */
const flushMs = 2000

/** Hands out the spans that are kept back to be sent together; a collector that is gone keeps nobody waiting. */
export const flushTraces = async (): Promise<void> => {
  const provider = trace.getTracerProvider() as Partial<Proxy>
  const delegate = provider.getDelegate?.()
  if (delegate?.forceFlush === undefined) return
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, flushMs)))
  await Promise.race([delegate.forceFlush().catch(() => undefined), late])
  clearTimeout(timer)
}
