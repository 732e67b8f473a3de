import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatLimits, LimitSyntaxError, parseLimits } from './notation.ts'
import type { Window } from './store.ts'

const minuteMs = 60_000
const dayMs = 86_400_000

const understood: readonly (readonly [text: string, windows: readonly Window[]])[] = [
  ['1/second', [{ name: 'second', limit: 1, windowMs: 1000 }]],
  ['10 per 15 minutes', [{ name: '15-minutes', limit: 10, windowMs: 15 * minuteMs }]],
  ['5/2 minutes', [{ name: '2-minutes', limit: 5, windowMs: 2 * minuteMs }]],
  ['  5PER2MINUTES ', [{ name: '2-minutes', limit: 5, windowMs: 2 * minuteMs }]],
  ['7 per 1 hours', [{ name: 'hour', limit: 7, windowMs: 60 * minuteMs }]],
  ['60 per 60 seconds', [{ name: '60-seconds', limit: 60, windowMs: minuteMs }]],
  ['1 per month', [{ name: 'month', limit: 1, windowMs: 30 * dayMs }]],
  ['1000000000 per year', [{ name: 'year', limit: 1_000_000_000, windowMs: 365 * dayMs }]],
  ['10 per second burst 20', [{ name: 'second-rate', limit: 10, windowMs: 1000, burst: 20 }]],
  ['10/2 Minutes BURST  1', [{ name: '2-minutes-rate', limit: 10, windowMs: 2 * minuteMs, burst: 1 }]],
  [
    '5 per second burst 5; 5 per second',
    [
      { name: 'second-rate', limit: 5, windowMs: 1000, burst: 5 },
      { name: 'second', limit: 5, windowMs: 1000 },
    ],
  ],
  [
    '200 per day; 50 per hour,1 per second|6/Minute',
    [
      { name: 'day', limit: 200, windowMs: dayMs },
      { name: 'hour', limit: 50, windowMs: 60 * minuteMs },
      { name: 'second', limit: 1, windowMs: 1000 },
      { name: 'minute', limit: 6, windowMs: minuteMs },
    ],
  ],
]

for (const [text, windows] of understood) {
  test(`reads ${JSON.stringify(text)}`, () => assert.deepEqual(parseLimits(text), windows))
}

const refused: readonly (readonly [text: string, piece: string, offset: number, problem: RegExp])[] = [
  ['', '', 0, /nothing here/],
  [' \t', '', 2, /nothing here/],
  ['1/day;', '', 6, /nothing here/],
  ['1/day;;1/hour', '', 6, /nothing here/],
  ['per day', 'per day', 0, /whole number of requests, found "per day"/],
  ['0 per day', '0 per day', 0, /requests must be at least 1/],
  ['1/hour; 00/day', '00/day', 8, /requests must be at least 1/],
  ['-1/day', '-1/day', 0, /no sign, found "-"/],
  ['+1/day', '+1/day', 0, /no sign, found "\+"/],
  ['1.5/day', '1.5/day', 0, /must be whole/],
  ['1e9/day', '1e9/day', 0, /must be whole/],
  ['1000000001/day', '1000000001/day', 0, /at most 1000000000/],
  ['１/day', '１/day', 0, /whole number of requests/],
  ['5', '5', 1, /expected "per" or "\/" after "5", found the end/],
  ['5 a day', '5 a day', 1, /found "a day"/],
  ['5 per', '5 per', 5, /expected second, minute, hour, day, month or year, found the end/],
  ['5 per 0 days', '5 per 0 days', 6, /units of time must be at least 1/],
  ['5/-1 day', '5/-1 day', 2, /no sign/],
  ['5 per 1.5 days', '5 per 1.5 days', 6, /must be whole/],
  ['5 per 101 years', '5 per 101 years', 10, /longer than 100 years/],
  ['5 per 2 2 days', '5 per 2 2 days', 8, /unknown unit "2"/],
  ['5 per day each', '5 per day each', 10, /found "each"/],
  ['5//day', '5//day', 2, /found "\/day"/],
  ['5/secnod', '5/secnod', 2, /unknown unit "secnod", did you mean "second"\?/],
  ['8/hour; 5/min', '5/min', 10, /did you mean "minute"\?/],
  ['5/week', '5/week', 2, /did you mean "7 days"\?/],
  ['5/mouth', '5/mouth', 2, /did you mean "month"\?/],
  ['5/__proto__', '5/__proto__', 2, /unknown unit "__proto__"/],
  ['5/day burst', '5/day burst', 11, /whole number of requests at once, found the end/],
  ['5/day burst 0', '5/day burst 0', 12, /at least 1/],
  ['5/day burst -1', '5/day burst -1', 12, /no sign/],
  ['5/day burst 1000001', '5/day burst 1000001', 12, /at most 1000000/],
  ['5/day burst 2 3', '5/day burst 2 3', 14, /expected the end or one of/],
  ['5/day bursts 2', '5/day bursts 2', 6, /found "bursts 2"/],
  ['1/minute burst 1; 3 per 60 seconds burst 2', '3 per 60 seconds burst 2', 18, /already limits the same time/],
  ['1/minute; 3 per 60 seconds', '3 per 60 seconds', 10, /"1 per minute" already limits the same time/],
]

for (const [text, piece, offset, problem] of refused) {
  test(`refuses ${JSON.stringify(text)} and says where`, () => {
    assert.throws(
      () => parseLimits(text),
      (error) => {
        assert.ok(error instanceof LimitSyntaxError)
        assert.match(error.message, problem)
        assert.match(error.message, new RegExp(`at character ${offset + 1}$`))
        assert.deepEqual({ piece: error.piece, offset: error.offset }, { piece, offset })
        return true
      },
    )
  })
}

const units = [
  ['second', 1000],
  ['minute', minuteMs],
  ['hour', 60 * minuteMs],
  ['day', dayMs],
  ['month', 30 * dayMs],
  ['year', 365 * dayMs],
] as const

const anyWindow = fc
  .record({ limit: fc.integer({ min: 1, max: 1_000_000_000 }), amount: fc.integer({ min: 1, max: 100 }), unit: fc.constantFrom(...units) })
  .map(({ limit, amount, unit: [unit, unitMs] }): Window => ({
    name: amount === 1 ? unit : `${amount}-${unit}s`,
    limit,
    windowMs: amount * unitMs,
  }))

test('what is formatted is read back, names and order included', () => {
  fc.assert(
    fc.property(fc.uniqueArray(anyWindow, { minLength: 1, selector: ({ windowMs }) => windowMs }), (windows) => {
      assert.deepEqual(parseLimits(formatLimits(windows)), windows)
      assert.equal(formatLimits(parseLimits(formatLimits(windows))), formatLimits(windows))
    }),
  )
})

test('no text makes it throw anything but a LimitSyntaxError, nor read a window that a store would refuse', () => {
  const words = fc.constantFrom(
    '0',
    '1',
    '25',
    '-',
    '+',
    '.',
    ' ',
    'per',
    '/',
    'second',
    'days',
    'YEAR',
    'min',
    ';',
    ',',
    '|',
    '\0',
    '9'.repeat(400),
  )
  const nearly = fc.array(words, { maxLength: 12 }).map((parts) => parts.join(''))
  fc.assert(
    fc.property(fc.oneof(nearly, fc.string({ unit: 'binary' })), (text) => {
      try {
        for (const { limit, windowMs } of parseLimits(text))
          assert.ok(Number.isSafeInteger(limit) && limit >= 1 && Number.isSafeInteger(windowMs) && windowMs >= 1000)
      } catch (error) {
        if (!(error instanceof LimitSyntaxError)) throw error
      }
    }),
    { numRuns: 5000 },
  )
})

test('a window that nobody named is written in the largest unit that divides it', () => {
  assert.equal(formatLimits([{ name: 'burst', limit: 5, windowMs: 90 * minuteMs }]), '5 per 90 minutes')
  assert.equal(formatLimits([{ name: 'login', limit: 5, windowMs: 2 * dayMs }]), '5 per 2 days')
  assert.throws(() => formatLimits([{ name: 'blink', limit: 1, windowMs: 1500.5 }]), RangeError)
})

test('a refusal stays short whatever the text', () => {
  assert.throws(
    () => parseLimits(`5 per ${'x'.repeat(1_000_000)}`),
    (error) => error instanceof LimitSyntaxError && error.message.length < 400,
  )
})
