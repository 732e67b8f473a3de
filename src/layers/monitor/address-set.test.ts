import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { formatAddress, inCidr, parseAddress, parseCidr } from '../../core/address.ts'
import { createAddressSet } from './address-set.ts'

const ipv4 = fc.array(fc.constantFrom(0, 1, 10, 127, 255), { minLength: 4, maxLength: 4 })
const ipv6 = fc.array(fc.constantFrom(0, 1, 0x2001, 0xffff), { minLength: 8, maxLength: 8 })
const cidr = fc
  .oneof(fc.tuple(ipv4, fc.integer({ min: 0, max: 32 })), fc.tuple(ipv6, fc.integer({ min: 0, max: 128 })))
  .map(([parts, bits]) => parseCidr(`${formatAddress(parts)}/${bits}`))
  .filter((parsed) => parsed !== undefined)
/** In any spelling. */
const address = fc.oneof(
  ipv4.map((parts) => parts.join('.')),
  ipv4.map((parts) => `::ffff:${parts.join('.')}`),
  ipv4.map(([a = 0, b = 0, c = 0, d = 0]) => `::FFFF:${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`),
  ipv6.map(formatAddress),
  fc.array(fc.constantFrom(':', '::', '0', '1', 'f', '.', '1:', '10.'), { maxLength: 18 }).map((parts) => parts.join('')),
  ipv6.map((parts) => parts.map((group) => group.toString(16).toUpperCase().padStart(4, '0')).join(':')),
  fc.constantFrom(
    '',
    'unknown',
    '1.2.3',
    ':',
    '::g',
    '1.2.3.4.5',
    '010.0.0.1',
    '256.1.1.1',
    '1..2.3',
    '127.0.0.',
    '00.0.0.1',
    '1000:',
    '127',
  ),
)

test('attack: no spelling of an address is in another network than the address', () => {
  fc.assert(
    fc.property(fc.array(cidr, { maxLength: 8 }), address, fc.constantFrom('', '/64', '/24'), (cidrs, text, suffix) => {
      const parts = parseAddress(text)
      const expected = parts !== undefined && cidrs.some((one) => inCidr(parts, one))
      assert.equal(createAddressSet(cidrs)(text + suffix), expected)
    }),
    { numRuns: 10_000 },
  )
})
