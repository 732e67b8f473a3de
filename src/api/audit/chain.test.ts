import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import fc from 'fast-check'

import { type AuditRow, isOurHead, macMatches, macOf, sealOf } from './chain.ts'

const key = Buffer.alloc(32, 7)
const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 8 }), fc.constantFrom('', 'null', '"', ',', '","', '[]', '\u0000'))
const row: fc.Arbitrary<AuditRow> = fc.record({
  seq: fc.nat(),
  at: fc.nat(),
  actor: text,
  action: text,
  target: text,
  details: text,
  request_id: fc.option(text),
  client: fc.option(text),
})

const macOfLink = ({ previous, row: one, keyByte }: { previous: string; row: AuditRow; keyByte: number }) =>
  macOf(Buffer.alloc(32, keyByte), previous, one)

describe('the MAC of a row', () => {
  test('is of that row, that predecessor and that key, and of no other', () => {
    const link = fc.record({ previous: text, row, keyByte: fc.nat(1) })
    fc.assert(
      fc.property(link, link, (one, other) => {
        assert.equal(macOfLink(one), macOfLink(structuredClone(one)))
        const same = JSON.stringify(one) === JSON.stringify(other)
        assert.equal(macOfLink(one) === macOfLink(other), same)
      }),
    )
  })

  test('moves with each member, and what stands at the border of two is never the same', () => {
    fc.assert(
      fc.property(row, fc.constantFrom('actor', 'action', 'target', 'details', 'request_id', 'client'), text, (one, member, value) => {
        if (one[member] === value) return
        assert.notEqual(macOf(key, '', { ...one, [member]: value }), macOf(key, '', one))
      }),
    )
    const base = { seq: 1, at: 1, actor: 'a', action: 'b', target: 'c', details: '{}', request_id: null, client: null }
    const shifted = [
      { ...base, actor: 'ab', action: '' },
      { ...base, actor: 'a","b', action: 'c' },
      { ...base, request_id: 'null' },
      { ...base, request_id: '' },
      { ...base, seq: 11, at: 0 },
    ]
    assert.equal(new Set([base, ...shifted].map((one) => macOf(key, '', one))).size, 1 + shifted.length)
  })

  test('is compared whole', () => {
    const mac = macOf(key, '', { seq: 1, at: 1, actor: 'a', action: 'b', target: 'c', details: '{}', request_id: null, client: null })
    assert.ok(macMatches(mac, mac))
    for (const other of ['', mac.slice(0, -1), `${mac}A`, mac.toLowerCase(), mac.slice(1)]) assert.ok(!macMatches(mac, other))
  })
})

describe('the seal of the head', () => {
  test('fits its link and its key alone, and no MAC of a row is one', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1 }), text, row, (seq, mac, other) => {
        const seal = sealOf(key, { seq, mac })
        assert.ok(isOurHead(key, { seq, mac, seal }, true))
        assert.ok(!isOurHead(key, { seq: seq + 1, mac, seal }, true))
        assert.ok(!isOurHead(key, { seq, mac: `${mac}x`, seal }, true))
        assert.ok(!isOurHead(Buffer.alloc(32, 8), { seq, mac, seal }, true))
        assert.ok(!isOurHead(key, { seq, mac, seal: macOf(key, mac, other) }, true))
        assert.ok(!isOurHead(key, { seq, mac, seal: '' }, false))
      }),
    )
  })

  test('an empty trail has none, and is no beginning where there is a history', () => {
    const empty = { seq: 0, mac: '', seal: '' }
    assert.deepEqual([isOurHead(key, empty, false), isOurHead(key, empty, true)], [true, false])
    assert.ok(!isOurHead(key, { ...empty, mac: 'x' }, false))
  })
})
