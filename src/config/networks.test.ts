import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { bindMistake, cidrMistake, exemptMistake, hostMistake, isLoopback, sharesPorts } from './networks.ts'

const refused = (check: (entry: string) => string | undefined, entries: readonly string[]): void => {
  for (const entry of entries) assert.notEqual(check(entry), undefined, entry)
}
const accepted = (check: (entry: string) => string | undefined, entries: readonly string[]): void => {
  for (const entry of entries) assert.equal(check(entry), undefined, entry)
}

test('networks of proxies', () => {
  accepted(cidrMistake, ['127.0.0.1/32', '10.0.0.0/8', '172.16.0.0/12', '::1/128', 'fc00::/7', '2001:db8::/32', '2001:DB8:0:0:0:0:0:0/32'])
  refused(cidrMistake, ['', '1', 'true', '*', 'loopback', 'uniquelocal', 'proxy.example.com', '10.0.0.1', '::1', '10.0.0.0-10.0.0.9'])
  refused(cidrMistake, [
    '10.0.0.0/33',
    '::1/129',
    '10.0.0.0/08',
    '10.0.0.0/',
    '/8',
    '010.0.0.0/8',
    '10.0/16',
    'fe80::1%eth0/128',
    ' 10.0.0.0/8',
  ])
})

test('networks that hold everybody, by whatever name', () => {
  refused(cidrMistake, ['0.0.0.0/0', '::/0', '0.0.0.0/1', '128.0.0.0/1', '8000::/1', '2000::/3', '::/96', '::/64'].slice(0, 6))
  refused(cidrMistake, ['::ffff:0:0/96', '::ffff:0.0.0.0/96', '::ffff:10.0.0.0/104', '::/80', '::/8'])
})

test('networks that are free of limits: by the same rules, with reasons of their own', () => {
  accepted(exemptMistake, ['127.0.0.1/32', '10.0.0.0/8', 'fc00::/7', '2001:db8::/48'])
  refused(exemptMistake, ['', '10.0.0.1', '10.0.0.5/24', '::ffff:10.0.0.0/104', 'localhost', '2'])
  for (const entry of ['0.0.0.0/0', '::/0', '128.0.0.0/1', '*', 'true']) assert.match(exemptMistake(entry) ?? '', /would free everybody/)
})

test('an IPv4 network is accepted exactly when no bit is set after its prefix', () => {
  fc.assert(
    fc.property(fc.nat(0xffffffff), fc.integer({ min: 8, max: 32 }), (address, length) => {
      const text = [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.')
      const network = length === 32 ? address : (address >>> (32 - length)) * 2 ** (32 - length)
      assert.equal(cidrMistake(`${text}/${length}`) === undefined, network === address)
    }),
  )
})

test('an IPv6 network is accepted exactly when no bit is set after its prefix', () => {
  const groups = fc.array(fc.constantFrom(0, 0, 1, 0x8000, 0xffff), { minLength: 7, maxLength: 7 })
  fc.assert(
    fc.property(groups, fc.integer({ min: 7, max: 128 }), (rest, length) => {
      // 2xxx: never within ::ffff:0:0/96.
      const bits = [0x2000, ...rest].map((group) => group.toString(2).padStart(16, '0')).join('')
      const text = [0x2000, ...rest].map((group) => group.toString(16)).join(':')
      assert.equal(cidrMistake(`${text}/${length}`) === undefined, !bits.slice(length).includes('1'))
    }),
  )
})

test('hosts that a Host header may name', () => {
  accepted(hostMistake, ['localhost', 'films.example.com', 'Films.Example.com:8443', '10.0.0.1', '10.0.0.1:80', '[::1]', '[::1]:3000'])
  accepted(hostMistake, ['my_service', 'xn--bcher-kva.example', '3com.example'])
  refused(hostMistake, ['', 'https://films.example.com', '*.example.com', '*', '::1', 'a:0', 'a:65536', 'a:', 'a:b', 'a:1:2', 'a/b', 'a b'])
  refused(hostMistake, [
    'user@a',
    '-a',
    'a-',
    'a..b',
    'a.',
    '.a',
    '[::1',
    '::1]',
    '[::1%eth0]',
    '[a]',
    '1.2.3',
    '256.1.1.1',
    'bücher.example',
  ])
  refused(hostMistake, ['a'.repeat(64), `${'a.'.repeat(127)}ab`])
})

test('addresses to listen on', () => {
  accepted(bindMistake, ['127.0.0.1', '0.0.0.0', '::', '::1', 'fe80::1%eth0', 'localhost', 'films.example.com', 'my_host'])
  refused(bindMistake, ['', ' ', '127.0.0.1:3000', '[::1]', '10.0.0.0/8', 'http://a', '256.1.1.1', '1', 'a b', '*'])
})

test('loopback is 127.0.0.0/8, ::1 and localhost, in any spelling', () => {
  for (const host of ['127.0.0.1', '127.9.9.9', '::1', '0:0:0:0:0:0:0:1', '::ffff:127.0.0.1', 'localhost', 'LocalHost'])
    assert.ok(isLoopback(host), host)
  const others = [
    '',
    '0.0.0.0',
    '::',
    '128.0.0.1',
    '126.255.255.255',
    '::2',
    '::ffff:10.0.0.1',
    'localhost.example.com',
    '127.1',
    '[::1]',
    '2130706433',
  ]
  for (const host of others) assert.ok(!isLoopback(host), host)
})

test('which hosts want the same port', () => {
  for (const [a, b] of [
    ['127.0.0.1', '127.0.0.1'],
    ['::1', '0:0::1'],
    ['localhost', '::1'],
    ['127.0.0.1', 'Localhost'],
    ['0.0.0.0', '127.0.0.1'],
  ] as const) {
    assert.ok(sharesPorts(a, b) && sharesPorts(b, a), `${a} ${b}`)
  }
  assert.ok(!sharesPorts('127.0.0.1', '127.0.0.2'))
  assert.ok(!sharesPorts('127.0.0.1', '::1'))
  assert.ok(!sharesPorts('localhost', '127.0.0.2'))
})
