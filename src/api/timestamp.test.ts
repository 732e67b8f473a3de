import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { formatTimestamp, parseTimestamp } from './timestamp.ts'

const moments = fc.integer({ min: Date.UTC(0, 0), max: Date.UTC(9999, 11, 31) })

test('what is written is read again, to the millisecond', () => {
  fc.assert(
    fc.property(moments, (epochMs) => {
      assert.equal(parseTimestamp(formatTimestamp(epochMs)), epochMs)
    }),
  )
})

test('with an offset it is the same moment', () => {
  assert.equal(parseTimestamp('2026-03-01T01:30:00+02:00'), Date.UTC(2026, 1, 28, 23, 30))
  assert.equal(parseTimestamp('2026-03-01T01:30:00.5-02:00'), Date.UTC(2026, 2, 1, 3, 30, 0, 500))
})

for (const text of [
  '',
  '2026-02-30T00:00:00Z',
  '2025-02-29T00:00:00Z',
  '2026-13-01T00:00:00Z',
  '2026-01-01T25:00:00Z',
  '2026-01-01T00:60:00Z',
  '2026-01-01T00:00:00',
  '2026-01-01 00:00:00Z',
  '2026-01-01',
  '2026-01-01T00:00:00z',
  '2026-01-01T00:00:00.0000Z',
  '2026-01-01T00:00:00Z\n',
  '+002026-01-01T00:00:00Z',
  '1767225600000',
  'tomorrow',
])
  test(`no moment: ${JSON.stringify(text)}`, () => assert.equal(parseTimestamp(text), undefined))

test('whatever text: a moment or undefined, never an error', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const epochMs = parseTimestamp(text)
      assert.ok(epochMs === undefined || Number.isInteger(epochMs))
    }),
  )
})
