import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { describe, test } from 'node:test'
import { WriteStream } from 'node:tty'

import fc from 'fast-check'

import type { SecurityEvent } from '../../core/events.ts'
import { createLog, type LogOptions } from './log.ts'
import { type AccessRecord, unparsedRecord } from './record.ts'

const clock = { epochMs: () => Date.UTC(2026, 0, 2, 3, 4, 5, 6), monotonicMs: () => 0 }

const logged = (options: Pick<LogOptions, 'level' | 'format' | 'terminal'>, use: (log: ReturnType<typeof createLog>) => void): string[] => {
  const lines: string[] = []
  use(createLog({ sink: { write: (line) => void lines.push(line), flush: () => undefined }, clock, ...options }))
  return lines
}

const json = (line = ''): Record<string, unknown> => JSON.parse(line) as Record<string, unknown>

const record = (verdict: string, status: number): AccessRecord =>
  unparsedRecord({ epochMs: 0, requestId: 'id', method: 'GET', path: '/', status, bytesOut: 0, client: '::1', verdict })

const events = {
  info: { event: 'sys_startup', address: 'http://localhost' },
  warn: { event: 'authn_login_fail', requestId: 'id', client: '::1', reason: 'malformed' },
  error: { event: 'sys_store_failure', store: 'sqlite', error: 'full' },
  fatal: { event: 'sys_crash', error: 'bug' },
} as const satisfies Record<string, SecurityEvent>

describe('level', () => {
  test('lets through what is at least as loud, of requests, events and notes alike', () => {
    const levels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const
    for (const [rank, level] of levels.entries()) {
      const lines = logged({ level, format: 'json' }, (log) => {
        for (const [verdict, status] of [
          ['ok', 200],
          ['not_found', 404],
          ['internal', 500],
        ] as const)
          log.access(record(verdict, status))
        for (const event of Object.values(events)) log.event(event)
        for (const one of ['debug', 'info', 'warn', 'error', 'fatal'] as const) log.note(one, 'a note')
      })
      const written = lines.map((line) => String(json(line)['level']))
      const all = ['info', 'warn', 'error', 'info', 'warn', 'error', 'fatal', 'debug', 'info', 'warn', 'error', 'fatal']
      assert.deepEqual(
        written,
        all.filter((one) => levels.indexOf(one as 'info') >= rank),
        level,
      )
    }
  })
})

describe('events', () => {
  test('are JSON lines that name the request as the request line does', () => {
    const [line] = logged({ level: 'info', format: 'json' }, (log) => log.event(events.warn))
    assert.deepEqual(Object.entries(json(line)), [
      ['time', '2026-01-02T03:04:05.006Z'],
      ['level', 'warn'],
      ['msg', 'event'],
      ['event', 'authn_login_fail'],
      ['request_id', 'id'],
      ['client', '::1'],
      ['reason', 'malformed'],
    ])
  })

  test('keep lists, and null where nothing is known', () => {
    const event = { event: 'input_validation_fail', requestId: null, client: null, code: 'bad_request', pointers: ['/a', '/b"'] } as const
    const [line] = logged({ level: 'info', format: 'json' }, (log) => log.event(event))
    const { request_id, client, pointers } = json(line)
    assert.deepEqual([request_id, client, pointers], [null, null, ['/a', '/b"']])
  })
})

test('[ASVS 16.4.1] what a client put into an event stays one line in both formats, without control characters', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300 }), fc.constantFrom('json', 'pretty'), (text, format) => {
      const pointers = [`/${text}`, '\r\nfake', '\u001b[2J', '\u202e']
      const lines = logged({ level: 'info', format }, (log) => {
        log.event({ event: 'input_validation_fail', requestId: 'id', client: text, code: 'bad_request', pointers })
        log.note('warn', `a note ${text}`, { text, number: 7 })
      })
      assert.equal(lines.length, 2)
      for (const line of lines) assert.match(line, /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]*\n$/u)
      if (format === 'json')
        assert.deepEqual([json(lines[0])['pointers'], json(lines[1])['text'], json(lines[1])['number']], [pointers, text, 7])
    }),
  )
})

test('notes and events for a terminal are short lines', () => {
  const lines = logged({ level: 'info', format: 'pretty' }, (log) => {
    log.note('info', 'ready', { port: 3000 })
    log.event(events.info)
    log.access(record('ok', 200))
  })
  assert.deepEqual(lines, [
    '03:04:05.006 info ready port=3000\n',
    '03:04:05.006 info event event="sys_startup" address="http://localhost"\n',
    '00:00:00.000 200 GET / 0.0 ms ::1\n',
  ])
})

test('a list that a client made long is cut', () => {
  const pointers = Array.from({ length: 10_000 }, (_, i) => `/${i}`)
  const [line = ''] = logged({ level: 'info', format: 'json' }, (log) =>
    log.event({ event: 'input_validation_fail', requestId: 'id', client: null, code: 'bad_request', pointers }),
  )
  assert.deepEqual(json(line)['pointers'], pointers.slice(0, 50))
})

/** Of the environment only what a user says: where tests run there may be no terminal. */
const getColorDepth = (): number =>
  WriteStream.prototype.getColorDepth.call(null, { TERM: 'xterm-256color', ...('NO_COLOR' in process.env ? { NO_COLOR: '1' } : {}) })

/** A stream that says of itself what a terminal says. */
const terminal = (isTTY: boolean) => {
  return Object.assign(new PassThrough(), { isTTY, getColorDepth })
}
const pretty = (shown?: NodeJS.WritableStream): string =>
  logged({ level: 'info', format: 'pretty', terminal: shown }, (log) => {
    log.access(record('not_found', 404))
    log.event(events.fatal)
  }).join('')

describe('colours', () => {
  for (const name of ['NO_COLOR', 'NODE_DISABLE_COLORS', 'FORCE_COLOR']) delete process.env[name]

  const coloured = '\u001b[90m00:00:00.000\u001b[39m \u001b[33m404\u001b[39m GET / 0.0 ms ::1 \u001b[33mnot_found\u001b[39m\n'

  test('are for a terminal that shows any', () => {
    assert.ok(pretty(terminal(true)).startsWith(coloured))
    for (const plain of [pretty(), pretty(terminal(false))]) assert.ok(!plain.includes('\u001b'))
  })

  test('are not for who wants none (NO_COLOR)', () => {
    process.env['NO_COLOR'] = '1'
    try {
      assert.ok(!pretty(terminal(true)).includes('\u001b'))
    } finally {
      delete process.env['NO_COLOR']
    }
  })
})
