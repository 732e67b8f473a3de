import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { describe, test } from 'node:test'

import fc from 'fast-check'

import { formatAddress } from '../core/address.ts'
import { createClientAddresses } from './client-address.ts'

/** What the layer reads of a request: the peer's address and the field as Node joins it. */
const request = (remoteAddress: string | undefined, forwarded?: string): IncomingMessage => {
  const headers = forwarded === undefined ? {} : { 'x-forwarded-for': forwarded }
  return { socket: { remoteAddress } as Socket, headers } as IncomingMessage
}

const trustedProxies = ['10.0.0.0/8', 'fd00::/8']
const addresses = createClientAddresses({ trustedProxies })
const clientOf = (remoteAddress: string | undefined, forwarded?: string): string => addresses.of(request(remoteAddress, forwarded)).address

const isTrusted = (remoteAddress: string): boolean => addresses.isTrusted(request(remoteAddress).socket)

const anyIpv4 = fc.array(fc.nat({ max: 255 }), { minLength: 4, maxLength: 4 }).map((bytes) => bytes.join('.'))
const stranger = anyIpv4.filter((address) => !address.startsWith('10.'))

describe('without trusted proxies', () => {
  test('the client is the peer, in its canonical spelling, and the header is nobody', () => {
    const clients = createClientAddresses({ trustedProxies: [] })
    for (const forwarded of [undefined, '203.0.113.9', '127.0.0.1', '']) {
      assert.equal(clients.of(request('::ffff:198.51.100.1', forwarded)).address, '198.51.100.1')
      assert.equal(clients.of(request('2001:DB8:0:1::9', forwarded)).prefix, '2001:db8:0:1::/64')
    }
  })

  test('a peer that is already gone is unknown, one client for all of them', () => {
    const { address, prefix } = addresses.of(request(undefined))
    assert.deepEqual([address, prefix], ['unknown', 'unknown'])
  })
})

describe('behind trusted proxies', () => {
  test('the client is the first from the right that is no proxy of ours', () => {
    assert.equal(clientOf('10.0.0.1', '203.0.113.9'), '203.0.113.9')
    assert.equal(clientOf('10.0.0.1', '203.0.113.9, 10.1.1.1,fd00::2'), '203.0.113.9')
    assert.equal(clientOf('::ffff:10.0.0.1', '::ffff:203.0.113.9'), '203.0.113.9')
  })

  test('spoofing: whatever a client writes stands left of its own address and changes nothing', () => {
    const anything = fc.oneof(anyIpv4, fc.string({ unit: 'binary' }), fc.constantFrom('10.0.0.9', '127.0.0.1', '', ',', 'unknown'))
    fc.assert(
      fc.property(stranger, fc.array(anything), fc.constantFrom('', ', 10.2.2.2', ',10.0.0.1 , fd12::1'), (client, written, proxies) => {
        assert.equal(clientOf('10.0.0.1', `${written.join(',')},${client}${proxies}`), client)
      }),
    )
  })

  test('an untrusted peer cannot say whom it speaks for', () => {
    fc.assert(fc.property(stranger, fc.string(), (peer, forwarded) => assert.equal(clientOf(peer, forwarded), peer)))
  })

  test('all of the header is trusted: its leftmost address; there is none: the proxy itself', () => {
    assert.equal(clientOf('10.0.0.1', '10.3.3.3, 10.2.2.2'), '10.3.3.3')
    for (const header of [undefined, '', ' ', ',']) assert.equal(clientOf('10.0.0.1', header), '10.0.0.1')
  })

  test('what is left of something that no proxy of ours writes is not believed', () => {
    for (const garbage of ['unknown', '_hidden', '010.0.0.5', '203.0.113.9 evil', 'localhost', '<script>', '1.2.3', '']) {
      assert.equal(clientOf('10.0.0.1', `198.51.100.7, ${garbage}, 10.2.2.2`), '10.2.2.2', garbage)
    }
  })

  test('ports and brackets that proxies append are taken off', () => {
    const expected: Readonly<Record<string, string>> = {
      '203.0.113.9:4711': '203.0.113.9',
      '[2001:db8::9]:4711': '2001:db8::9',
      '[2001:DB8:0::9]': '2001:db8::9',
      '2001:db8::9': '2001:db8::9',
    }
    for (const [hop, address] of Object.entries(expected)) assert.equal(clientOf('10.0.0.1', hop), address)
  })

  test('an endless chain is read to its 32nd address, however long it is', () => {
    assert.equal(clientOf('10.0.0.1', `203.0.113.9${', 10.2.2.2'.repeat(31)}`), '203.0.113.9')
    assert.equal(clientOf('10.0.0.1', `203.0.113.9${', 10.2.2.2'.repeat(5000)}`), '10.2.2.2')
  })

  test('only a trusted peer may name requests', () => {
    assert.deepEqual(['10.9.9.9', '::ffff:10.9.9.9', 'fdff::1'].map(isTrusted), [true, true, true])
    assert.deepEqual(['11.0.0.1', '127.0.0.1', 'fe00::1', '::a00:1'].map(isTrusted), [false, false, false, false])
  })
})

test('one connection has one peer, also after it ended', () => {
  const socket = { remoteAddress: '198.51.100.1' } as { remoteAddress: string | undefined }
  assert.equal(addresses.ofSocket(socket as Socket).address, '198.51.100.1')
  socket.remoteAddress = undefined
  assert.equal(addresses.ofSocket(socket as Socket).address, '198.51.100.1')
})

const prefixOf = (numbers: readonly number[]): string => addresses.of(request(formatAddress(numbers))).prefix

test('a household with its 2^64 IPv6 addresses is one client', () => {
  const groups = fc.array(fc.nat({ max: 0xffff }), { minLength: 8, maxLength: 8 }).filter(([first = 0]) => first > 0)
  fc.assert(
    fc.property(groups, groups, (parts, other) => {
      assert.equal(prefixOf(parts), prefixOf([...parts.slice(0, 4), ...other.slice(4)]))
    }),
  )
})

test('a network that is none stops the start', () => {
  for (const text of ['10.0.0.0', 'true', '1', '10.0.0.0/33', '', '::/129']) {
    assert.throws(() => createClientAddresses({ trustedProxies: [text] }), /trustedProxies: .* is not a CIDR/, text)
  }
})

const warningsAfter = (proxies: readonly string[], requests: readonly IncomingMessage[]): number => {
  let warnings = 0
  const clients = createClientAddresses({ trustedProxies: proxies, onUntrustedProxy: () => warnings++ })
  for (const one of requests) clients.of(one)
  return warnings
}

describe('a proxy on this machine that the configuration forgot', () => {
  test('warns once, however many requests come', () => {
    const requests = ['127.0.0.1', '::1', '::ffff:127.0.0.9', '127.0.0.1'].map((peer) => request(peer, '203.0.113.9'))
    assert.equal(warningsAfter([], requests), 1)
    assert.equal(warningsAfter([], [request('127.0.0.1', '')]), 1)
  })

  test('does not warn without the header, for a peer elsewhere, or for a proxy that is trusted', () => {
    assert.equal(warningsAfter([], [request('127.0.0.1'), request('203.0.113.9', '127.0.0.1'), request(undefined, '1.2.3.4')]), 0)
    assert.equal(warningsAfter(['127.0.0.0/8'], [request('127.0.0.1', '203.0.113.9')]), 0)
  })
})
