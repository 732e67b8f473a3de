import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import fc from 'fast-check'

import { clientPrefix, formatAddress, inCidr, parseAddress, parseCidr } from '../../core/address.ts'
import { endsOf, isInRange, readClient, readPrincipal, readRange } from './targets.ts'

const ipv4 = fc.array(fc.nat(255), { minLength: 4, maxLength: 4 })
const ipv6 = fc.array(fc.nat(0xffff), { minLength: 8, maxLength: 8 }).filter((parts) => formatAddress(parts).includes(':'))
const address = fc.oneof(ipv4, ipv6).map((parts) => parseAddress(formatAddress(parts)) ?? [])
const wild = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 50 }),
  fc.stringMatching(/^[0-9a-f:./]{1,50}$/),
  fc.tuple(address, fc.nat(140)).map(([parts, bits]) => `${formatAddress(parts)}/${bits}`),
)

describe('whom a text names', () => {
  test('every address is its prefix, and a prefix is itself: nobody has two names', () => {
    fc.assert(
      fc.property(address, (parts) => {
        const found = readClient(formatAddress(parts))
        const prefix = clientPrefix(parts)
        assert.deepEqual(found, { scope: 'client', target: prefix })
        assert.deepEqual(readClient(prefix), found)
        assert.deepEqual(readClient(formatAddress(parts).toUpperCase()), found)
      }),
    )
  })

  test('whatever is read is in the one spelling that decisions have, or is refused with a reason', () => {
    fc.assert(
      fc.property(wild, (text) => {
        for (const read of [readClient, readRange, readPrincipal]) {
          const found = read(text)
          if (typeof found === 'string') assert.ok(found.length > 0)
          else assert.deepEqual(read(found.target), found)
        }
      }),
    )
  })

  test('a range that is read has no bits behind its prefix, and is neither wider than a provider nor narrower than a client', () => {
    fc.assert(
      fc.property(fc.tuple(address, fc.nat(140)), ([parts, bits]) => {
        const found = readRange(`${formatAddress(parts)}/${bits}`)
        if (typeof found === 'string') return
        const cidr = parseCidr(found.target)
        assert.ok(cidr && (parts.length === 4 ? bits >= 8 && bits <= 32 : bits >= 19 && bits <= 64))
        const [first = '', last = ''] = endsOf(found.target) ?? []
        assert.equal(first, formatAddress(cidr.parts))
        for (const end of [first, last]) assert.ok(inCidr(parseAddress(end) ?? [], cidr))
        assert.ok(isInRange(first, found.target) && isInRange(last, found.target))
      }),
    )
  })

  test('its last address is the last: the next one is outside', () => {
    assert.deepEqual(endsOf('192.0.2.0/25'), ['192.0.2.0', '192.0.2.127'])
    assert.deepEqual(endsOf('10.0.0.0/8'), ['10.0.0.0', '10.255.255.255'])
    assert.deepEqual(endsOf('192.0.2.7/32'), ['192.0.2.7', '192.0.2.7'])
    assert.deepEqual(endsOf('2001:db8::/33'), ['2001:db8::', '2001:db8:7fff:ffff:ffff:ffff:ffff:ffff'])
    assert.deepEqual(endsOf('2001:db8:1:2::/64'), ['2001:db8:1:2::', '2001:db8:1:2:ffff:ffff:ffff:ffff'])
  })
})
