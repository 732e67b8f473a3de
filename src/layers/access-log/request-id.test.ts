import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import fc from 'fast-check'

import { createRandomHex, incomingRequestId, incomingTraceId } from './request-id.ts'

test('random ids have their length, are all different, and use every digit about as often', () => {
  for (const bytes of [12, 16]) {
    const next = createRandomHex(bytes)
    const ids = Array.from({ length: 5000 }, next)
    for (const id of ids) assert.match(id, new RegExp(`^[0-9a-f]{${bytes * 2}}$`))
    assert.equal(new Set(ids).size, ids.length)
    const digits = ids.join('')
    for (const digit of '0123456789abcdef') {
      const share = (digits.split(digit).length - 1) / digits.length
      assert.ok(Math.abs(share - 1 / 16) < 0.005, `${digit}: ${share}`)
    }
  }
})

test('two sources of ids share nothing', () => {
  const ids = [createRandomHex(12), createRandomHex(12)].flatMap((next) => Array.from({ length: 1000 }, next))
  assert.equal(new Set(ids).size, 2000)
})

describe('a request id from a proxy', () => {
  test('is kept when it is what proxies send', () => {
    for (const id of ['0123456789abcdef', 'f81d4fae-7dec-11d0-a765-00a0c91e6bf6', 'Root=1-67891233:abc', 'x'.repeat(128)])
      assert.equal(incomingRequestId(id), id)
  })

  test('is dropped when it could break a log or a header, or is too short to be unique', () => {
    for (const id of [
      '1234567',
      'x'.repeat(129),
      '',
      'has a blank',
      'quote"quote',
      'line\r\nbreak',
      'line-at-end\n',
      'ünïcödé-id',
      '<script>',
      'comma,comma',
      undefined,
      ['12345678'],
      12345678,
    ])
      assert.equal(incomingRequestId(id), undefined, JSON.stringify(id))
  })

  test('never holds a character that needs escaping', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 8 }), (text) =>
        assert.match(incomingRequestId(text) ?? '', /^[A-Za-z0-9._~+/=:-]*$/),
      ),
    )
  })
})

describe('traceparent (W3C Trace Context section 3.2)', () => {
  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
  const parentId = '00f067aa0ba902b7'

  test('gives its trace id', () => {
    for (const flags of ['00', '01', 'ff']) assert.equal(incomingTraceId(`00-${traceId}-${parentId}-${flags}`), traceId)
  })

  test('is refused when it is malformed, in upper case, all-zero, or there twice', () => {
    const good = `00-${traceId}-${parentId}-01`
    const refused = [
      '',
      traceId,
      good.toUpperCase(),
      ` ${good}`,
      `${good}\n`,
      `${good}-extra`,
      `${good}, ${good}`,
      `00-${traceId.slice(1)}-${parentId}-01`,
      `00-${traceId}-${parentId}0-01`,
      `00-${traceId}-${parentId}`,
      `0-${traceId}-${parentId}-01`,
      `00-${'0'.repeat(32)}-${parentId}-01`,
      undefined,
      [good],
    ]
    for (const value of refused) assert.equal(incomingTraceId(value), undefined, JSON.stringify(value))
  })

  test('is invalid with the forbidden version ff, and with an all-zero parent id', () => {
    assert.equal(incomingTraceId(`ff-${traceId}-${parentId}-01`), undefined)
    assert.equal(incomingTraceId(`00-${traceId}-${'0'.repeat(16)}-01`), undefined)
  })
})
