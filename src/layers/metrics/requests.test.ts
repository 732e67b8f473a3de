import assert from 'node:assert/strict'
import { METHODS } from 'node:http'
import { describe, test } from 'node:test'

import { parseMetrics } from '../../../test/support/metrics-text.ts'
import { formatFamily } from './exposition.ts'
import { requestBounds } from './families.ts'
import { type CountedRequest, createRequestDurations } from './requests.ts'

const name = 'http_server_request_duration_seconds'
const request = (given: Partial<CountedRequest>): CountedRequest => ({
  method: 'GET',
  route: '/',
  status: 200,
  durationMs: 1,
  verdict: 'ok',
  ...given,
})

const counted = (requests: readonly Partial<CountedRequest>[]) => {
  const durations = createRequestDurations()
  durations.serves([
    { method: 'GET', url: '/' },
    { method: 'HEAD', url: '/' },
    { method: 'DELETE', url: '/v1/films/:id' },
  ])
  for (const one of requests) durations.count(request(one))
  return parseMetrics(formatFamily(durations))
}

describe('labels of requests', () => {
  test('the route is its template, seconds are seconds, and the buckets are those of OpenTelemetry', () => {
    const read = counted([{ durationMs: 5 }, { durationMs: 5.1 }, { durationMs: 20_000 }])
    const own = { method: 'GET', route: '/', status: '200' }
    assert.equal(read.value(`${name}_bucket`, { ...own, le: '0.005' }), 1)
    assert.equal(read.value(`${name}_bucket`, { ...own, le: '0.01' }), 2)
    assert.equal(read.value(`${name}_bucket`, { ...own, le: '10' }), 2)
    assert.equal(read.value(`${name}_count`, own), 3)
    assert.ok(Math.abs((read.value(`${name}_sum`, own) ?? 0) - 20.0101) < 1e-9)
    assert.deepEqual([...requestBounds], [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10])
  })

  test('a method that the route does not have is _OTHER; no route, method or status is _none', () => {
    const read = counted([
      { method: 'PROPFIND', status: 405 },
      { method: 'DELETE', status: 405 },
      { method: 'DELETE', route: '/v1/films/:id', status: 204 },
      { method: 'OPTIONS', route: '/v1/films/:id', status: 204 },
      { method: 'DELETE', route: null, status: 404 },
      { method: 'PROPFIND', route: null, status: 404 },
      { method: null, route: null, status: 400 },
      { route: '/', status: null },
    ])
    const count = (method: string, route: string, status: string) => read.value(`${name}_count`, { method, route, status })
    assert.equal(count('_OTHER', '/', '405'), 2)
    assert.equal(count('DELETE', '/v1/films/:id', '204'), 1)
    assert.equal(count('OPTIONS', '/v1/films/:id', '204'), 1)
    assert.equal(count('DELETE', '_none', '404'), 1)
    assert.equal(count('_OTHER', '_none', '404'), 1)
    assert.equal(count('_OTHER', '_none', '400'), 1)
    assert.equal(count('GET', '/', '_none'), 1)
  })

  test('all methods that the parser knows and all that it does not make no more series than the table of routes', () => {
    const methods = [...METHODS, ...Array.from({ length: 5000 }, (_, i) => `M${i}`), '', 'GET"} 1\nx{a="', '__proto__', 'constructor']
    const routes = ['/', '/v1/films/:id', null]
    const statuses = [200, 400, 404, 405, 429, 503, null]
    const flood = methods.flatMap((method) => routes.flatMap((route) => statuses.map((status) => ({ method, route, status }))))
    const series = counted(flood).samples.filter((one) => one.name === `${name}_count`)
    // By hand: `/` has GET, HEAD, OPTIONS and the others, the film DELETE, OPTIONS and the others, no route nine and the others.
    assert.equal(series.length, (4 + 3 + 10) * statuses.length)
    assert.equal(
      series.reduce((sum, { value }) => sum + value, 0),
      flood.length,
    )
  })
})
