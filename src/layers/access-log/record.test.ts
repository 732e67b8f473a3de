import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import fc from 'fast-check'

import { type AccessRecord, createJsonFormat, createPrettyFormat, levelOf, unparsedRecord } from './record.ts'

const example: AccessRecord = {
  epochMs: Date.UTC(2026, 0, 2, 3, 4, 5, 6),
  requestId: '0123456789abcdef01234567',
  traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
  method: 'GET',
  route: '/v1/films/:id',
  path: '/v1/films/7',
  status: 200,
  durationMs: 1.23456,
  bytesIn: 0,
  bytesOut: 123,
  client: '203.0.113.7',
  principal: null,
  userAgent: 'curl/8.0',
  verdict: 'ok',
  error: null,
}

const parse = (line: string): Record<string, unknown> => JSON.parse(line) as Record<string, unknown>

const text = fc.option(fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.constantFrom('\n', '\u001b[31m', '\u202e', '"\\')))
const anyRecord: fc.Arbitrary<AccessRecord> = fc
  .record({
    epochMs: fc.nat(),
    route: text,
    path: text,
    userAgent: text,
    principal: text,
    error: text,
    status: fc.option(fc.integer({ min: 100, max: 599 })),
    durationMs: fc.double({ min: 0, max: 1e6, noNaN: true }),
    verdict: fc.constantFrom('ok', 'internal', 'quota_exceeded', 'aborted'),
  })
  .map((members) => ({ ...example, ...members }))

describe('a JSON line', () => {
  test('has the fields of the contract in their order, and ends in a newline', () => {
    const line = createJsonFormat()(example)
    assert.ok(line.endsWith('}\n'))
    assert.deepEqual(Object.entries(parse(line)), [
      ['time', '2026-01-02T03:04:05.006Z'],
      ['level', 'info'],
      ['msg', 'request'],
      ['request_id', '0123456789abcdef01234567'],
      ['trace_id', '4bf92f3577b34da6a3ce929d0e0e4736'],
      ['method', 'GET'],
      ['route', '/v1/films/:id'],
      ['path', '/v1/films/7'],
      ['status', 200],
      ['duration_ms', 1.235],
      ['bytes_in', 0],
      ['bytes_out', 123],
      ['client', '203.0.113.7'],
      ['principal', null],
      ['user_agent', 'curl/8.0'],
      ['verdict', 'ok'],
    ])
  })

  test('is one line of JSON whatever a client sends', () => {
    const format = createJsonFormat()
    fc.assert(
      fc.property(anyRecord, (record) => {
        const line = format(record)
        assert.equal(line.indexOf('\n'), line.length - 1)
        const { user_agent, path, route, principal, status, error = null } = parse(line)
        assert.deepEqual(
          [user_agent, path, route, principal, status, error],
          [record.userAgent, record.path, record.route, record.principal, record.status, record.error],
        )
      }),
    )
  })

  test('says the same after any other line: what it remembers of the last one never shows', () => {
    const few = fc.constantFrom(null, 'a', 'b')
    const similar = fc
      .record({ epochMs: fc.nat({ max: 2 }), route: few, path: few, userAgent: few, principal: few })
      .map((members) => ({ ...example, ...members }))
    fc.assert(
      fc.property(fc.array(similar, { maxLength: 20 }), (records) => {
        const format = createJsonFormat()
        for (const record of records) assert.equal(format(record), createJsonFormat()(record))
      }),
    )
  })

  test('cuts what a client can make long', () => {
    const long = 'x'.repeat(20_000)
    const line = createJsonFormat()({ ...example, path: long, userAgent: long, error: long, principal: long, route: long })
    assert.ok(line.length < 7000, String(line.length))
    assert.equal(parse(line)['user_agent'], `${'x'.repeat(256)}…`)
  })
})

describe('a line for a terminal', () => {
  test('says time, status, method, path, duration, client, and why not', () => {
    const format = createPrettyFormat()
    assert.equal(format(example), '03:04:05.006 200 GET /v1/films/7 1.2 ms 203.0.113.7\n')
    const refused = { ...example, status: 500, principal: 'starter', verdict: 'internal', error: 'boom\nat x' }
    assert.equal(format(refused), String.raw`03:04:05.006 500 GET /v1/films/7 1.2 ms 203.0.113.7 starter internal "boom\nat x"` + '\n')
    assert.equal(
      format({ ...example, status: null, path: null, client: null, verdict: 'aborted' }),
      '03:04:05.006 --- GET - 1.2 ms - aborted\n',
    )
  })

  test('is one line without control characters, whatever a client sends', () => {
    const format = createPrettyFormat()
    fc.assert(fc.property(anyRecord, (record) => assert.match(format(record), /^[^\p{Cc}\p{Bidi_Control}]*\n$/u)))
  })
})

const loudness = (verdict: string, status: number | null) => levelOf({ ...example, verdict, status })

test('a refusal is a warning, a fault of ours an error, a client that went away a warning', () => {
  assert.deepEqual(
    [loudness('ok', 200), loudness('ok', 304), loudness('not_found', 404), loudness('aborted', null), loudness('aborted', 200)],
    ['info', 'info', 'warn', 'warn', 'warn'],
  )
  assert.deepEqual([loudness('internal', 500), loudness('store_unavailable', 503)], ['error', 'error'])
})

test('what never became a request is a record too, unknown parts null', () => {
  const known = { epochMs: 0, requestId: 'id', method: null, path: null, status: 400, bytesOut: 10, client: '::1', verdict: 'bad_request' }
  const { method, path, route, trace_id, principal, user_agent, verdict, level } = parse(createJsonFormat()(unparsedRecord(known)))
  assert.deepEqual(
    [method, path, route, trace_id, principal, user_agent, verdict, level],
    [null, null, null, null, null, null, 'bad_request', 'warn'],
  )
})
