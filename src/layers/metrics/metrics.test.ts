import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { promisify } from 'node:util'

import type { FastifyRequest } from 'fastify'

import { parseMetrics } from '../../../test/support/metrics-text.ts'
import { Problem, type ProblemCode, problemKinds } from '../../core/errors.ts'
import { createMetrics, type Metrics } from './metrics.ts'
import type { CountedRequest } from './requests.ts'

const none = () => undefined
const readings = { trackedClients: none, activeDecisions: none, monitorTracked: none, droppedLogLines: none, logFailing: none }
const create = (): Metrics => createMetrics({ events: ['sys_startup', 'sys_config_reload', 'malicious_cors'], readings })
const record: CountedRequest = { method: 'GET', route: '/', status: 200, durationMs: 1, verdict: 'ok' }
const read = async (metrics: Metrics) => parseMetrics(await metrics.text())

/** As the layers leave it. */
const refusedBy = (code: ProblemCode, given: { readonly violated?: string; readonly bodyBytes?: number } = {}): FastifyRequest => {
  const members = given.violated === undefined ? {} : { members: { 'violated-policies': [given.violated] } }
  return { refusal: new Problem(code, { detail: 'No.', ...members }), bodyBytes: given.bodyBytes } as unknown as FastifyRequest
}

describe('refusals', () => {
  test('each is counted once, whatever its code, and what went well or away is none', async () => {
    const metrics = create()
    for (const code of Object.keys(problemKinds) as ProblemCode[]) {
      metrics.ended({ ...record, verdict: code, status: problemKinds[code].status }, refusedBy(code))
      assert.equal((await read(metrics)).sum('filmgate_refusals_total', { code }), 1, code)
    }
    metrics.ended(record, {} as FastifyRequest)
    metrics.ended({ ...record, verdict: 'aborted', status: null }, {} as FastifyRequest)
    const text = await read(metrics)
    assert.equal(text.sum('filmgate_refusals_total'), Object.keys(problemKinds).length)
    assert.equal(text.sum('http_server_request_duration_seconds_count'), Object.keys(problemKinds).length + 2)
  })

  const layers: readonly [layer: string, verdict: ProblemCode, record: Partial<CountedRequest>, request: FastifyRequest | undefined][] = [
    ['transport', 'bad_request', { route: null, method: null }, undefined],
    ['transport', 'request_timeout', { route: null, method: null }, undefined],
    ['transport', 'method_not_allowed', { route: null, method: 'CONNECT' }, undefined],
    ['transport', 'bad_request', {}, refusedBy('bad_request')],
    ['validation', 'bad_request', {}, refusedBy('bad_request', { bodyBytes: 10 })],
    ['rate-limit', 'quota_exceeded', {}, refusedBy('quota_exceeded', { violated: 'total-1-second' })],
    ['throttle', 'quota_exceeded', {}, refusedBy('quota_exceeded', { violated: 'throttle' })],
    ['concurrency', 'quota_exceeded', {}, refusedBy('quota_exceeded', { violated: 'concurrency' })],
    ['routes', 'not_found', { route: null }, refusedBy('not_found')],
    ['api', 'not_found', { route: '/v1/films/:id' }, refusedBy('not_found')],
    ['authorization', 'forbidden', {}, refusedBy('forbidden')],
    ['cors', 'forbidden', { method: 'OPTIONS' }, refusedBy('forbidden')],
    ['monitor', 'abnormal_usage_detected', {}, refusedBy('abnormal_usage_detected')],
  ]
  for (const [layer, code, facts, request] of layers) {
    test(`${code} of ${request === undefined ? 'what never was a request' : JSON.stringify(facts)} is of ${layer}`, async () => {
      const metrics = create()
      metrics.ended({ ...record, ...facts, verdict: code, status: problemKinds[code].status }, request)
      assert.equal((await read(metrics)).value('filmgate_refusals_total', { layer, code }), 1)
    })
  }
})

test('events begin at 0, an event that nobody knows makes no series, and a failed reload is told until one goes well', async () => {
  const metrics = create()
  const events = async () =>
    (await read(metrics)).samples.filter(({ name }) => name === 'filmgate_security_events_total').map((one) => one.value)
  const wasReloaded = async () => (await read(metrics)).value('filmgate_config_last_reload_success')
  assert.deepEqual(await events(), [0, 0, 0])
  assert.equal(await wasReloaded(), 1)
  metrics.event({ event: 'sys_config_reload', ok: false, error: 'no' })
  assert.equal(await wasReloaded(), 0)
  metrics.event({ event: 'sys_config_reload', ok: true, error: null })
  assert.equal(await wasReloaded(), 1)
  metrics.event({ event: 'made_up' } as never)
  assert.deepEqual(await events(), [0, 2, 0])
})

test('requests in flight are those that began and did not end; what never was a request is none of them', async () => {
  const metrics = create()
  metrics.begun()
  metrics.begun()
  metrics.ended(record, {} as FastifyRequest)
  metrics.ended({ ...record, verdict: 'bad_request', status: 400 })
  assert.equal((await read(metrics)).value('http_server_active_requests'), 1)
})

test('two scrapes at once are one, and the next is a new one', async () => {
  const metrics = create()
  const [one, two] = [metrics.text(), metrics.text()]
  assert.equal(one, two)
  await one
  metrics.voted(3)
  assert.equal((await read(metrics)).value('filmgate_votes_total'), 3)
})

test('what watches the event loop and the collector keeps no program alive', async () => {
  const program = `
    const { createMetrics } = await import(${JSON.stringify(join(import.meta.dirname, 'metrics.ts'))})
    const none = () => undefined
    const metrics = createMetrics({ events: [], readings: { trackedClients: none, activeDecisions: none, monitorTracked: none, droppedLogLines: none, logFailing: none } })
    process.stdout.write(String((await metrics.text()).includes('nodejs_eventloop_lag_p99_seconds')))`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program], { timeout: 60_000 })
  assert.equal(stdout, 'true')
})
