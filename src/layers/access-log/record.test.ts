import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import fc from 'fast-check'

import type { Paint } from './paint.ts'
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

const colour = (name: string) => (said: string) => `<${name}>${said}</${name}>`
const colours: Paint = { green: colour('green'), cyan: colour('cyan'), yellow: colour('yellow'), red: colour('red'), gray: colour('gray') }

const parse = (line: string): Record<string, unknown> => JSON.parse(line) as Record<string, unknown>

const text = fc.option(
  fc.oneof(
    fc.string(),
    fc.string({ unit: 'binary' }),
    fc.constantFrom(
      '\r\n',
      '\u001b[31m',
      '\u009b2J',
      '\u007f',
      '\u202e',
      '\u2028',
      '\ud800',
      '"\\',
      '\u{e0041}',
      'a'.repeat(8192),
      '\u0000'.repeat(8192),
    ),
  ),
)
const anyRecord: fc.Arbitrary<AccessRecord> = fc
  .record({
    epochMs: fc.nat(),
    method: text,
    client: text,
    route: text,
    path: text,
    userAgent: text,
    principal: text,
    error: text,
    status: fc.option(fc.integer({ min: 100, max: 599 })),
    durationMs: fc.double({ min: 0, max: 1e6, noNaN: true }),
    verdict: fc.oneof(fc.constantFrom('ok', 'internal', 'quota_exceeded', 'aborted'), text.map(String)),
  })
  .map((members) => ({ ...example, ...members }))

/** What moves a cursor, ends a line, colours, turns the reading direction, hides, or is half of a character. */
const deceptive = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u

/** Every character of every member escaped, and the words of ours. */
const maxLineLength = 6 * (40 + 200 + 1024 + 100 + 64 + 256 + 100 + 4096) + 500

/** As the log shows it. */
const cut = (given: string | null, maxLength: number): string | null =>
  given !== null && given.length > maxLength ? `${given.slice(0, maxLength)}…` : given

describe('a JSON line', () => {
  test('[ASVS 16.2.1] [ASVS 16.2.4] has the members of the contract in their order, and ends in a newline', () => {
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

  test('[ASVS 16.4.1] is one bounded line of JSON that no terminal acts on, whatever stands in any member', () => {
    const format = createJsonFormat()
    fc.assert(
      fc.property(anyRecord, (record) => {
        const line = format(record)
        assert.equal(line.indexOf('\n'), line.length - 1)
        assert.doesNotMatch(line.slice(0, -1), deceptive)
        assert.ok(line.length <= maxLineLength, `${line.length}`)
        const { method, client, user_agent, path, route, principal, status, verdict, error = null } = parse(line)
        assert.deepEqual(
          { method, client, user_agent, path, route, principal, status, verdict, error },
          {
            method: cut(record.method, 40),
            client: cut(record.client, 100),
            user_agent: cut(record.userAgent, 256),
            path: cut(record.path, 1024),
            route: cut(record.route, 200),
            principal: cut(record.principal, 64),
            status: record.status,
            verdict: cut(record.verdict, 100),
            error: cut(record.error, 4096),
          },
        )
      }),
      { numRuns: 1000 },
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

  test('[ASVS 16.4.1] is one bounded line without control characters, whatever stands in any member', () => {
    const format = createPrettyFormat()
    fc.assert(
      fc.property(anyRecord, (record) => {
        const line = format(record)
        assert.ok(line.endsWith('\n') && line.length <= maxLineLength)
        assert.doesNotMatch(line.slice(0, -1), deceptive)
      }),
      { numRuns: 1000 },
    )
  })

  test('in colours says the same, and no colour is of a client', () => {
    const painted = createPrettyFormat(colours)
    const format = createPrettyFormat()
    fc.assert(
      fc.property(anyRecord, (record) =>
        assert.equal(painted(record).replaceAll(/<\/?[a-z]+>/g, ''), format(record).replaceAll(/<\/?[a-z]+>/g, '')),
      ),
    )
    const statuses = [200, 304, 404, 500, null].map(
      (status) => /<[a-z]+>(?=\d{3} |\d{3}<|---)/.exec(painted({ ...example, status }).slice(25))?.[0],
    )
    assert.deepEqual(statuses, ['<green>', '<cyan>', '<yellow>', '<red>', '<gray>'])
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
