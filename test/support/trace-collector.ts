import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { once } from 'node:events'
import { join } from 'node:path'

export interface CollectedSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | undefined
  readonly name: string
  /** 2 is SERVER. */
  readonly kind: number
  readonly status: number
  readonly attributes: Readonly<Record<string, string | number>>
  readonly service: string | undefined
}

export interface TraceCollector extends AsyncDisposable {
  readonly url: string
  /** All that came so far. */
  readonly spans: readonly CollectedSpan[]
}

interface Attribute {
  readonly key: string
  readonly value: { readonly stringValue?: string; readonly intValue?: number | string }
}

interface WireSpan extends Omit<CollectedSpan, 'attributes' | 'status'> {
  readonly attributes: readonly Attribute[]
  readonly status: { readonly code?: number }
}

interface WireTraces {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] }
    readonly scopeSpans: readonly { readonly spans: readonly WireSpan[] }[]
  }[]
}

const readAttributes = (attributes: readonly Attribute[]): Record<string, string | number> =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue ?? Number(value.intValue)]))

const readSpans = ({ resourceSpans }: WireTraces): CollectedSpan[] =>
  resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const service = readAttributes(resource.attributes)['service.name']?.toString()
    return scopeSpans.flatMap(({ spans }) =>
      spans.map(({ traceId, spanId, parentSpanId, name, kind, status, attributes }) => ({
        traceId,
        spanId,
        parentSpanId: parentSpanId === '' ? undefined : parentSpanId,
        name,
        kind,
        status: status.code ?? 0,
        attributes: readAttributes(attributes),
        service,
      })),
    )
  })

const listen = async (server: Server): Promise<string> => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** Takes traces as a collector of OpenTelemetry does (OTLP over HTTP, as JSON). */
export const openTraceCollector = async (): Promise<TraceCollector> => {
  const spans: CollectedSpan[] = []
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      if (request.url === '/v1/traces') spans.push(...readSpans(JSON.parse(body) as WireTraces))
      response.setHeader('content-type', 'application/json').end('{}')
    })
  })
  return {
    url: await listen(server),
    spans,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Takes connections and never answers. */
export const openHangingCollector = async (): Promise<Pick<TraceCollector, 'url'> & AsyncDisposable> => {
  const server = createServer(() => undefined)
  return {
    url: await listen(server),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const example = join(import.meta.dirname, '../../deploy/opentelemetry/otel.mjs')

/** The environment of a server whose operator turned traces on, as docs/tracing.md says. */
export const tracedEnvironment = (collectorUrl: string): Record<string, string> => ({
  NODE_OPTIONS: `--import ${example}`,
  OTEL_EXPORTER_OTLP_ENDPOINT: collectorUrl,
  OTEL_SERVICE_NAME: 'films',
})
