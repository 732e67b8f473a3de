import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import fc from 'fast-check'

import { isReachable } from './public-address.ts'

const own = ['127.0.0.1', '127.255.255.254', '10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', '100.64.0.1', '100.127.255.255']
const ownIpv6 = ['::1', 'fc00::1', 'fd12:3456::1', '::ffff:10.0.0.1', '::ffff:7f00:1', '0:0:0:0:0:ffff:192.168.0.1']
const never = [
  '0.0.0.0',
  '0.1.2.3',
  '169.254.169.254',
  '192.0.0.1',
  '192.0.2.1',
  '192.88.99.1',
  '198.18.0.1',
  '198.19.255.255',
  '198.51.100.1',
  '203.0.113.1',
  '224.0.0.1',
  '239.255.255.255',
  '240.0.0.1',
  '255.255.255.255',
  '::',
  'fe80::1',
  'fec0::1',
  'ff02::1',
  '::127.0.0.1',
  '::ffff:169.254.169.254',
  '::ffff:a9fe:a9fe',
  '::ffff:0:127.0.0.1',
  '64:ff9b::127.0.0.1',
  '64:ff9b::a00:1',
  '64:ff9b::169.254.169.254',
  '64:ff9b:1::8.8.8.8',
  '2002:7f00:1::',
  '2001::1',
  '2001:db8::1',
  '3fff::1',
  '100::1',
  '5f00::1',
  '4000::1',
]
const open = [
  '1.1.1.1',
  '8.8.8.8',
  '100.63.255.255',
  '100.128.0.1',
  '172.15.0.1',
  '172.32.0.1',
  '192.169.0.1',
  '198.20.0.1',
  '223.255.255.255',
]
const openIpv6 = ['2606:4700::1111', '2a00::1', '2001:4860:4860::8888', '::ffff:8.8.8.8', '64:ff9b::8.8.8.8', '64:ff9b::808:808']
const none = ['', 'localhost', 'example.com', '2130706433', '0x7f.1', '127.1', '010.0.0.1', '8.8.8.8.', '2606::1%eth0', '[::1]']

describe('where a connection may go', () => {
  for (const address of [...open, ...openIpv6]) {
    test(`${address}: out`, () => assert.deepEqual([isReachable(address, false), isReachable(address, true)], [true, true]))
  }
  for (const address of [...own, ...ownIpv6]) {
    test(`${address}: only where private addresses are allowed`, () => {
      assert.deepEqual([isReachable(address, false), isReachable(address, true)], [false, true])
    })
  }
  for (const address of [...never, ...none]) {
    test(`${address}: nowhere`, () => assert.deepEqual([isReachable(address, false), isReachable(address, true)], [false, false]))
  }

  test('an address of IPv4 is what it is in every spelling that IPv6 has for it', () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.boolean(), (address, allowPrivate) => {
        const [a = 0, b = 0, c = 0, d = 0] = address.split('.').map(Number)
        const hex = `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`
        for (const mapped of [`::ffff:${address}`, `::ffff:${hex}`, `0:0:0:0:0:FFFF:${hex}`]) {
          assert.equal(isReachable(mapped, allowPrivate), isReachable(address, allowPrivate), mapped)
        }
        // Through a translator nobody reaches a network of one's own.
        for (const translated of [`64:ff9b::${address}`, `64:ff9b::${hex}`]) {
          assert.equal(isReachable(translated, allowPrivate), isReachable(address, false), translated)
        }
      }),
    )
  })

  test('whatever may be reached without private networks may be with them; no text is too strange', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), fc.string()), (text) => {
        if (isReachable(text, false)) assert.ok(isReachable(text, true))
      }),
    )
  })
})
