import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { tracing } from '../../src/layers/index.ts'
import { ask } from '../support/attack.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { type CollectedSpan, openHangingCollector, openTraceCollector, tracedEnvironment } from '../support/trace-collector.ts'

const theirTrace = '0af7651916cd43dd8448eb211c80319c'
const theirSpan = 'b7ad6b7169203331'
const traceparent = (flags = '01'): string => `00-${theirTrace}-${theirSpan}-${flags}`

/** What was logged of a request, found by the name that a trusted proxy or the answer gave it. */
const logged = (server: TestServer, requestId: string | undefined) =>
  server.logged(({ msg, request_id }) => msg === 'request' && request_id === requestId)

/** The only span of that trace. */
const spanOf = (spans: readonly CollectedSpan[], traceId: unknown): CollectedSpan => {
  const found = spans.filter((span) => span.traceId === traceId)
  assert.equal(found.length, 1, `${found.length} spans of trace ${String(traceId)}`)
  return found[0] as CollectedSpan
}

describe('behind a trusted proxy', () => {
  test('each request is one span, part of the trace that the proxy names, with the id that the log has', async () => {
    await using collector = await openTraceCollector()
    await using server = await startServer({
      env: { ...tracedEnvironment(collector.url), FILMGATE_SERVER_TRUSTED_PROXIES: '127.0.0.1/32' },
    })
    const forwarded = { 'X-Forwarded-For': '203.0.113.7' }
    const asked = await Promise.all([
      ask(server, { target: '/v1/films/1', fields: { ...forwarded, traceparent: traceparent() } }),
      ask(server, { target: '/v1/films/1?token=in-the-query', fields: forwarded }),
      ask(server, { target: '/no/such/path', fields: forwarded }),
      ask(server, { method: 'PROPFIND', target: '/', fields: forwarded }),
      ask(server, { method: 'POST', target: '/add_film', fields: { ...forwarded, 'Content-Type': 'application/json' }, body: '{}' }),
    ])
    const records = await Promise.all(asked.map((answer) => logged(server, answer.field('x-request-id'))))
    assert.equal(await server.kill('SIGTERM'), 0)
    assert.equal(collector.spans.length, asked.length, 'what was kept back is handed out at the end')

    const spans = records.map(({ trace_id }) => spanOf(collector.spans, trace_id))
    assert.deepEqual(
      spans.map(({ name, kind, status, service }) => [name, kind, status, service]),
      [
        ['GET /v1/films/:id', 2, 0, 'films'],
        ['GET /v1/films/:id', 2, 0, 'films'],
        ['GET', 2, 0, 'films'],
        ['HTTP /', 2, 0, 'films'],
        ['POST /add_film', 2, 0, 'films'],
      ],
    )
    const [given, withQuery, nowhere, unknown, refused] = spans
    assert.deepEqual([given?.traceId, given?.parentSpanId], [theirTrace, theirSpan])
    assert.deepEqual(given?.attributes, {
      'http.request.method': 'GET',
      'http.route': '/v1/films/:id',
      'url.path': '/v1/films/1',
      'url.scheme': 'http',
      'network.protocol.version': '1.1',
      'client.address': '203.0.113.7',
      'http.response.status_code': 200,
    })
    for (const span of [withQuery, nowhere, unknown, refused]) assert.equal(span?.parentSpanId, undefined)
    assert.equal(withQuery?.attributes['url.path'], '/v1/films/1')
    assert.equal(nowhere?.attributes['http.route'], undefined)
    assert.deepEqual(
      [unknown?.attributes['http.request.method'], unknown?.attributes['http.request.method_original']],
      ['_OTHER', 'PROPFIND'],
    )
    assert.equal(refused?.attributes['http.response.status_code'], 401)
    assert.ok(!JSON.stringify(collector.spans).includes('in-the-query'))
  })

  test('a traceparent that is not one begins a trace of its own, and one that is not sampled none', async () => {
    await using collector = await openTraceCollector()
    await using server = await startServer({
      env: { ...tracedEnvironment(collector.url), FILMGATE_SERVER_TRUSTED_PROXIES: '127.0.0.1/32' },
    })
    const malformed: (string | string[])[] = [
      `00-${theirTrace}-${theirSpan}`,
      `ff-${theirTrace}-${theirSpan}-01`,
      `00-${'0'.repeat(32)}-${theirSpan}-01`,
      `00-${theirTrace}-${'0'.repeat(16)}-01`,
      `00-${theirTrace.toUpperCase()}-${theirSpan}-01`,
      `${traceparent()}-extra`,
      [traceparent(), traceparent()],
    ]
    for (const value of malformed) await ask(server, { target: '/v1/films/1', fields: { traceparent: value } })
    const silent = await ask(server, { target: '/v1/films/1', fields: { traceparent: traceparent('00') } })
    const { trace_id } = await logged(server, silent.field('x-request-id'))
    assert.equal(trace_id, theirTrace)
    assert.equal(await server.kill('SIGTERM'), 0)
    assert.equal(collector.spans.length, malformed.length)
    for (const { traceId, parentSpanId } of collector.spans) {
      assert.notEqual(traceId, theirTrace)
      assert.equal(parentSpanId, undefined)
    }
  })
})

test('a client that forges a traceparent neither joins a trace of ours nor chooses what is sampled [ASVS 4.1.3]', async () => {
  await using collector = await openTraceCollector()
  await using server = await startServer({ env: { ...tracedEnvironment(collector.url), OTEL_TRACES_SAMPLER: 'parentbased_always_off' } })
  const forged = await ask(server, { target: '/v1/films/1', fields: { traceparent: traceparent(), tracestate: 'theirs=1' } })
  const { trace_id } = await logged(server, forged.field('x-request-id'))
  assert.match(String(trace_id), /^[0-9a-f]{32}$/)
  assert.notEqual(trace_id, theirTrace)
  assert.equal(await server.kill('SIGTERM'), 0)
  assert.deepEqual(collector.spans, [])
})

/** The API with that collector, from start to end. */
const serves = async (url: string): Promise<void> => {
  await using server = await startServer({ env: { ...tracedEnvironment(url), OTEL_BSP_SCHEDULE_DELAY: '20' } })
  const answers = await Promise.all(Array.from({ length: 50 }, () => ask(server, { target: '/v1/films/1' })))
  for (const { status } of answers) assert.equal(status, 200)
  assert.equal((await ask(server, { target: '/v1/films/2' })).status, 200)
  assert.equal(await server.kill('SIGTERM'), 0, 'nor does it keep the server from ending')
}

describe('a collector that does not take the spans [ASVS 16.5.2]', () => {
  test('because it is gone: the API goes on', async () => {
    const { url } = await (async () => {
      await using collector = await openTraceCollector()
      return collector
    })()
    await serves(url)
  })

  test('because it hangs: the API goes on', async () => {
    await using collector = await openHangingCollector()
    await serves(collector.url)
  })
})

test('where nothing is registered, requests are not looked at at all', () => {
  const hooks: unknown[] = []
  const app = { addHook: (...given: unknown[]) => void hooks.push(given) }
  let isDone = false
  tracing(app as never, { isTrusted: () => true, refusalOf: () => undefined }, () => (isDone = true))
  assert.deepEqual([hooks, isDone], [[], true])
})
