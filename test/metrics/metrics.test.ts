import assert from 'node:assert/strict'
import { METHODS } from 'node:http'
import { after, describe, test } from 'node:test'

import { eventLevels } from '../../src/layers/index.ts'
import { ask, exchange, requestBytes } from '../support/attack.ts'
import { openConnection } from '../support/connection.ts'
import { eventually } from '../support/deadline.ts'
import { type MetricsText, scrape } from '../support/metrics-text.ts'
import { startServer } from '../support/server.ts'

const server = await startServer()
after(() => server[Symbol.asyncDispose]())
const ops = { port: Number(new URL(server.opsUrl).port) }

const requests = 'http_server_request_duration_seconds'
/** What a server must tell, and by what; CONTRACT of the first version. */
const promised: Readonly<Record<string, readonly [type: string, labels: readonly string[]]>> = {
  [requests]: ['histogram', ['method', 'route', 'status']],
  http_server_active_requests: ['gauge', []],
  filmgate_refusals_total: ['counter', ['layer', 'code']],
  filmgate_limiter_decisions_total: ['counter', ['policy', 'outcome']],
  filmgate_limiter_store_duration_seconds: ['histogram', []],
  filmgate_limiter_tracked_clients: ['gauge', []],
  filmgate_security_events_total: ['counter', ['event']],
  filmgate_decisions_active: ['gauge', []],
  filmgate_votes_total: ['counter', []],
  filmgate_webhook_deliveries_total: ['counter', ['outcome']],
  filmgate_db_duration_seconds: ['histogram', ['query']],
  filmgate_config_last_reload_success: ['gauge', []],
  filmgate_monitor_tracked: ['gauge', []],
  filmgate_log_dropped_lines_total: ['counter', []],
  filmgate_log_failing: ['gauge', []],
}

const samplesOf = ({ samples }: MetricsText, family: string) =>
  samples.filter(({ name }) => name.replace(/_(bucket|sum|count)$/, '') === family || name === family)

/** Of the API: the listener for health, which logs only what it refuses, is asked these and with other names. */
const isPublic = ({ route, verdict }: Readonly<Record<string, unknown>>): boolean =>
  verdict !== 'misdirected_request' && !['/metrics', '/livez', '/readyz'].includes(String(route))

const labelOf = (value: unknown): string => (typeof value === 'string' || typeof value === 'number' ? String(value) : '_none')

/** Without what the engine and a busy machine add: how garbage was collected, and requests refused for want of time. */
const seriesOf = ({ samples }: MetricsText): string[] =>
  samples
    .filter(({ name, labels }) => !name.startsWith('nodejs_gc_') && labels['status'] !== '503')
    .map(({ name, labels }) => `${name} ${JSON.stringify(labels)}`)
    .toSorted()

/** A request is counted when its answer is on its way, which its client may see first. */
const settled = async (count: number): Promise<MetricsText> => {
  let text = await scrape(server)
  await eventually(10_000, `${count} requests are counted`, async () => {
    text = await scrape(server)
    return text.sum(`${requests}_count`) >= count && text.value('http_server_active_requests') === 0
  })
  return text
}

describe('GET /metrics', () => {
  test('has every name that was promised, with its type and no other labels', async () => {
    await ask(server, { target: '/' })
    const text = await settled(1)
    for (const [name, [type, labels]] of Object.entries(promised)) {
      assert.equal(text.families.get(name)?.type, type, name)
      const samples = samplesOf(text, name)
      assert.ok(samples.length > 0, `${name} has no sample`)
      for (const sample of samples)
        assert.deepEqual(
          Object.keys(sample.labels)
            .filter((label) => label !== 'le')
            .toSorted(),
          labels.toSorted(),
        )
    }
    assert.equal(text.value('filmgate_config_last_reload_success'), 1)
  })

  test('is the text format 0.0.4, for HEAD too, and for no method that changes something', async () => {
    const got = await ask(ops, { target: '/metrics' })
    assert.equal(got.field('content-type'), 'text/plain; version=0.0.4; charset=utf-8')
    const [head] = (await exchange(ops.port, requestBytes({ method: 'HEAD', target: '/metrics' }), { head: true })).answers
    assert.deepEqual([head?.status, head?.field('content-type'), head?.body], [200, got.field('content-type'), ''])
    assert.equal((await ask(ops, { method: 'POST', target: '/metrics' })).status, 405)
  })

  test('takes what Prometheus asks for, and asks nobody for credentials', async () => {
    const accept = 'application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1'
    assert.equal((await ask(ops, { target: '/metrics', fields: { Accept: accept } })).status, 200)
  })

  test('a page of somebody else that reaches this machine by a name of its own (DNS rebinding) reads nothing', async () => {
    const answer = await ask(ops, { target: '/metrics', fields: { Host: 'evil.example' } })
    assert.deepEqual([answer.status, answer.body.includes('filmgate_')], [421, false])
  })

  test('is nowhere on the listener that everybody reaches [ASVS 13.4.5]', async () => {
    assert.equal((await ask(server, { target: '/metrics' })).status, 404)
  })

  test('every event that there can be has a series from the start', async () => {
    const events = samplesOf(await scrape(server), 'filmgate_security_events_total').map(({ labels }) => labels['event'] ?? '')
    assert.deepEqual(events.toSorted(), Object.keys(eventLevels).toSorted())
  })
})

describe('what is counted', () => {
  test('every request once and as the log has it: answered, refused by a layer or the parser, and given up; those for health never', async () => {
    await ask(server, { target: '/v1/films/1' })
    await ask(server, { target: '/v1/films/none' })
    await ask(server, { target: '/nothing/here' })
    await ask(server, { method: 'POST', target: '/add_film', body: '{}' })
    await ask(server, { method: 'PROPFIND', target: '/' })
    await ask(server, { target: '/', fields: { Host: 'evil.example' } })
    await exchange(server.port, 'GARBAGE\r\n\r\n')
    await exchange(server.port, requestBytes({ target: '/', fields: { 'X-Long': 'x'.repeat(20_000) } }))
    const gone = await openConnection(server.port)
    gone.send('POST /csp-report HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/reports+json\r\nContent-Length: 100\r\n\r\n[')
    await eventually(10_000, 'it is in flight', async () => (await scrape(server)).value('http_server_active_requests') === 1)
    gone.socket.resetAndDestroy()
    await server.logged(({ verdict }) => verdict === 'aborted')
    for (let i = 0; i < 20; i++) await ask(ops, { target: i % 2 === 0 ? '/readyz' : '/livez' })

    const lines = () => server.log().filter((line) => line.msg === 'request' && isPublic(line))
    await eventually(10_000, 'the log tells of all', () => lines().length >= 10)
    const text = await settled(lines().length)
    const counted = samplesOf(text, requests)
      .filter(({ name, labels }) => name === `${requests}_count` && labels['status'] !== '421')
      .flatMap(({ labels, value }) => Array.from({ length: value }, () => `${labels['route']} ${labels['status']}`))
    const told = lines().map(({ route, status }) => `${labelOf(route)} ${labelOf(status)}`)
    assert.deepEqual(counted.toSorted(), told.toSorted())
    assert.equal(
      text.sum(`${requests}_count`, { status: '421' }),
      1,
      'of the one to the API; that of the listener for health is not counted',
    )
    for (const route of ['/readyz', '/livez', '/metrics']) assert.equal(text.sum(`${requests}_count`, { route }), 0, route)
    assert.equal(text.sum(`${requests}_count`, { method: '_OTHER', route: '/', status: '405' }), 1)
  })

  test('refusals by their layer, votes, decisions of the limiter and queries', async () => {
    const before = await scrape(server)
    await ask(server, { target: '/nothing/here' })
    await ask(server, { target: '/?like=1' })
    await ask(server, { target: '/v1/films/2' })
    const text = await settled(before.sum(`${requests}_count`) + 3)
    const grown = (name: string, labels: Readonly<Record<string, string>> = {}) => text.sum(name, labels) - before.sum(name, labels)
    assert.equal(grown('filmgate_refusals_total', { layer: 'routes', code: 'not_found' }), 1)
    assert.equal(grown('filmgate_refusals_total'), 1)
    assert.equal(grown('filmgate_votes_total'), 1)
    assert.equal(grown('filmgate_limiter_decisions_total', { policy: 'total', outcome: 'allowed' }), 3)
    assert.equal(grown('filmgate_limiter_decisions_total', { policy: 'route GET /v1/films/:id', outcome: 'allowed' }), 1)
    assert.equal(grown('filmgate_limiter_store_duration_seconds_count'), 5)
    assert.ok(grown('filmgate_db_duration_seconds_count', { query: 'select film' }) >= 1)
    assert.ok(grown('filmgate_db_duration_seconds_count', { query: 'commit' }) >= 1)
    assert.equal(text.value('filmgate_limiter_tracked_clients'), 1)
  })
})

/** Requests of one kind, as many as a connection may have ahead, over as many connections as it takes. */
const flood = async (all: readonly Parameters<typeof requestBytes>[0][]): Promise<void> => {
  const batches = Array.from({ length: Math.ceil(all.length / 100) }, (_, i) => all.slice(i * 100, (i + 1) * 100))
  for (const batch of batches) {
    const bytes = batch.map((one, i) =>
      requestBytes({ ...one, fields: { ...one.fields, Connection: i === batch.length - 1 ? 'close' : 'keep-alive' } }),
    )
    await exchange(server.port, Buffer.concat(bytes), { timeoutMs: 60_000 })
  }
}

test('5,000 paths, methods, agents, hosts and addresses of one client make no new series', async () => {
  const methods = METHODS.filter((method) => !['CONNECT', 'HEAD'].includes(method))
  const odd = ['"} 1', '\\', '%22%7D', '%0a', '🎬'].map((text) => encodeURI(text))
  const kinds: readonly ((i: number) => Parameters<typeof requestBytes>[0])[] = [
    (i) => ({ target: `/${odd[i % odd.length]}${i}/path?q=${i}` }),
    (i) => ({ target: `/v1/films/${i + 100_000}` }),
    (i) => ({ target: '/', method: methods[i % methods.length] ?? '' }),
    (i) => ({ target: `/x${i}`, method: methods[i % methods.length] ?? '' }),
    (i) => ({
      target: '/v1/films/1',
      fields: { 'User-Agent': `agent"} ${i}`, 'X-Forwarded-For': `203.0.113.${i % 256}`, Referer: `r${i}` },
    }),
    (i) => ({ target: '/v1/films/1', fields: { Host: `host-${i}.example` } }),
    (i) => ({ target: `/problems/p${i}` }),
  ]
  // Each kind once for each method, so that every series is there that they can make.
  await flood(kinds.flatMap((kind) => methods.map((_, i) => kind(i))))
  const known = (await scrape(server)).sum(`${requests}_count`)
  const before = await settled(known)
  await flood(Array.from({ length: 5000 }, (_, i) => (kinds[i % kinds.length] as (typeof kinds)[number])(i)))
  const flooded = await settled(before.sum(`${requests}_count`) + 5000)
  assert.deepEqual(seriesOf(flooded), seriesOf(before))
  assert.equal(flooded.sum(`${requests}_count`) - before.sum(`${requests}_count`), 5000, 'every one was counted')
  for (const { labels } of flooded.samples) assert.doesNotMatch(JSON.stringify(labels), /agent|example|path|x\d|203\.0/)
})
