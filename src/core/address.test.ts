import assert from 'node:assert/strict'
import { BlockList, isIP, isIPv6 } from 'node:net'
import { describe, test } from 'node:test'

import fc from 'fast-check'

import { type AddressParts, clientPrefix, formatAddress, inCidr, isLoopback, parseAddress, parseCidr } from './address.ts'

const canonical = (text: string): string | undefined => {
  const parts = parseAddress(text)
  return parts && formatAddress(parts)
}

const byte = fc.oneof(fc.constantFrom(0, 1, 127, 255), fc.nat({ max: 255 }))
const group = fc.oneof(fc.constantFrom(0, 0, 1, 0xffff), fc.nat({ max: 0xffff }))
const ipv4 = fc.array(byte, { minLength: 4, maxLength: 4 })
const ipv6 = fc.array(group, { minLength: 8, maxLength: 8 })

const isMapped = (groups: readonly number[]): boolean => groups.slice(0, 5).every((one) => one === 0) && groups[5] === 0xffff

/** All that RFC 4291 section 2.2 lets a writer choose: leading zeros, case, which run of zeros "::" stands for, a dotted tail. */
const spelling = fc
  .record({
    groups: fc.oneof(
      ipv6,
      fc.tuple(group, group).map((tail) => [0, 0, 0, 0, 0, 0xffff, ...tail]),
    ),
    widths: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 8, maxLength: 8 }),
    upper: fc.boolean(),
    dotted: fc.boolean(),
    gap: fc.option(fc.record({ at: fc.nat({ max: 7 }), length: fc.integer({ min: 1, max: 8 }) })),
  })
  .map(({ groups, widths, upper, dotted, gap }) => {
    const texts = groups.map((one, i) => one.toString(16).padStart(widths[i] ?? 1, '0'))
    const [high = 0, low = 0] = groups.slice(6)
    if (dotted) texts.splice(6, 2, [high >> 8, high & 255, low >> 8, low & 255].join('.'))
    const end = gap === null ? 0 : gap.at + gap.length
    const hasGap = gap !== null && end <= (dotted ? 6 : 8) && groups.slice(gap.at, end).every((one) => one === 0)
    const text = hasGap ? `${texts.slice(0, gap.at).join(':')}::${texts.slice(end).join(':')}` : texts.join(':')
    return { groups, text: upper ? text.toUpperCase() : text }
  })

describe('one address, one text', () => {
  test('every spelling of an IPv6 address is the text that the URL standard gives it', () => {
    fc.assert(
      fc.property(spelling, ({ groups, text }) => {
        assert.ok(isIPv6(text), `${text} is no IPv6 address`)
        const expected = isMapped(groups)
          ? canonical(groups.map((one) => one.toString(16)).join(':'))
          : new URL(`http://[${text}]`).hostname.slice(1, -1)
        assert.equal(canonical(text), expected)
      }),
      { numRuns: 2000 },
    )
  })

  test('a client cannot become two by writing its IPv4 address as IPv6', () => {
    const spellings = [
      '::ffff:203.0.113.7',
      '::FFFF:203.0.113.7',
      '::ffff:cb00:7107',
      '::ffff:CB00:7107',
      '0:0:0:0:0:ffff:cb00:7107',
      '0000:0000:0000:0000:0000:ffff:cb00:7107',
      '0000:0000:0000:0000:0000:ffff:203.0.113.7',
      '0::ffff:203.0.113.7',
      '::0:ffff:cb00:7107',
      '::ffff:203.0.113.7%eth0',
    ]
    for (const text of spellings) assert.equal(canonical(text), '203.0.113.7', text)
    assert.equal(canonical('::203.0.113.7'), '::cb00:7107', 'IPv4-compatible addresses are hosts of their own')
    assert.equal(canonical('::fffe:203.0.113.7'), '::fffe:cb00:7107')
  })

  test('formatting is stable, and parsing gives the same parts back', () => {
    fc.assert(
      fc.property(fc.oneof(ipv4, ipv6), (numbers) => {
        const text = formatAddress(numbers)
        const parts = parseAddress(text)
        assert.ok(parts)
        if (!isMapped(numbers)) assert.deepEqual(parts, numbers)
        assert.equal(formatAddress(parts), numbers.length === 8 && isMapped(numbers) ? canonical(text) : text)
      }),
      { numRuns: 2000 },
    )
  })

  test('"::" stands for the longest run of zeros, the first of several, never for a single one (RFC 5952)', () => {
    const expected: Readonly<Record<string, string>> = {
      '0:0:0:0:0:0:0:0': '::',
      '0:0:0:0:0:0:0:1': '::1',
      '1:0:0:0:0:0:0:0': '1::',
      '1:0:2:0:0:0:3:4': '1:0:2::3:4',
      '0:0:1:0:0:1:0:0': '::1:0:0:1:0:0',
      '1:0:0:2:0:0:3:4': '1::2:0:0:3:4',
      '1:0:2:3:4:5:6:7': '1:0:2:3:4:5:6:7',
      '10:0:0:100:0:0:0:10': '10:0:0:100::10',
      '2001:DB8::00A0:0': '2001:db8::a0:0',
    }
    for (const [text, wanted] of Object.entries(expected)) assert.equal(canonical(text), wanted, text)
  })
})

describe('what is not an address', () => {
  test('numbers that parsers read differently are refused: leading zeros, hexadecimal, fewer than four', () => {
    const refused = [
      '010.0.0.1',
      '127.0.0.01',
      '00.0.0.0',
      '0x7f.0.0.1',
      '2130706433',
      '127.1',
      '1.2.3',
      '1.2.3.4.5',
      '256.0.0.1',
      '1.2.3.-4',
      '１.2.3.4',
      '',
    ]
    for (const text of refused) assert.equal(parseAddress(text), undefined, text)
    for (const text of ['::ffff:010.0.0.1', '::ffff:1.2.3', '::1.2.3.4.5']) assert.equal(parseAddress(text), undefined, text)
  })

  test('a dotted quad stands at the end of an IPv6 address, nowhere else', () => {
    for (const text of ['1.2.3.4::', '1.2.3.4::1', '1:2.3.4.5::6', '1.2.3.4:1::']) assert.equal(parseAddress(text), undefined, text)
  })

  test('what node:net takes for an address is one, and nothing else', () => {
    const piece = fc.constantFrom(
      '0',
      '00',
      '1',
      'fF',
      'ffff',
      '10000',
      'g',
      ':',
      ':',
      '::',
      '.',
      '255',
      '256',
      '010',
      '1.2.3.4',
      ' ',
      '\n',
      '[',
      '/',
    )
    const text = fc.oneof(
      fc.array(piece, { maxLength: 17 }).map((pieces) => pieces.join('')),
      spelling.map((one) => one.text),
      fc.string(),
    )
    const damaged = fc
      .tuple(text, fc.nat({ max: 45 }), piece)
      .map(([whole, at, inserted]) => whole.slice(0, at) + inserted + whole.slice(at))
    fc.assert(
      fc.property(fc.oneof(text, damaged), (one) => {
        fc.pre(!one.includes('%'))
        assert.equal(parseAddress(one) !== undefined, isIP(one) !== 0, JSON.stringify(one))
      }),
      { numRuns: 5000 },
    )
  })

  test('a zone id names an interface, not a host: it is dropped', () => {
    for (const zone of ['eth0', '1', 'en0.100', '25eth0']) assert.equal(canonical(`fe80::1%${zone}`), 'fe80::1')
  })

  test('IPv4 has no zone ids, and an empty one is none', () => {
    for (const text of ['203.0.113.7%eth0', '203.0.113.7%', 'fe80::1%']) assert.equal(parseAddress(text), undefined, text)
  })
})

describe('client prefix', () => {
  test('IPv4 is one client each', () => {
    fc.assert(fc.property(ipv4, (parts) => assert.equal(clientPrefix(parts), parts.join('.'))))
  })

  test('IPv6 addresses are one client exactly when they share their /64', () => {
    const near = ipv6.chain((one) =>
      fc.tuple(
        fc.constant(one),
        fc.oneof(
          ipv6,
          ipv6.map((other) => [...one.slice(0, 4), ...other.slice(4)]),
        ),
      ),
    )
    fc.assert(
      fc.property(near, ([one, other]) => {
        const same = one.slice(0, 4).join() === other.slice(0, 4).join()
        assert.equal(clientPrefix(one) === clientPrefix(other), same)
        const cidr = parseCidr(clientPrefix(one))
        assert.ok(cidr && cidr.bits === 64 && inCidr(one, cidr))
      }),
    )
    assert.equal(clientPrefix(parseAddress('2001:db8:1:2:3:4:5:6') ?? []), '2001:db8:1:2::/64')
  })
})

/** An address, and another one that differs from it in at most one bit. */
const neighbours = fc.oneof(ipv4, ipv6).chain((parts) => {
  const width = parts.length === 4 ? 8 : 16
  const flipped = fc
    .nat({ max: parts.length * width - 1 })
    .map((bit) => parts.map((part, i) => (i === Math.floor(bit / width) ? part ^ (1 << (width - 1 - (bit % width))) : part)))
  return fc.tuple(fc.constant(parts), fc.oneof(flipped, fc.constant(parts)), fc.nat({ max: parts.length * width }))
})

const familyOf = (parts: AddressParts) => (parts.length === 4 ? 'ipv4' : 'ipv6')

describe('CIDR', () => {
  test('membership agrees with BlockList of node:net', () => {
    fc.assert(
      fc.property(neighbours, ([network, address, bits]) => {
        // BlockList takes mapped addresses for IPv4 ones in its own way; ours never reach it in that form.
        fc.pre(network.length === 4 || !(isMapped(network) || isMapped(address)))
        const list = new BlockList()
        list.addSubnet(formatAddress(network), bits, familyOf(network))
        const cidr = parseCidr(`${formatAddress(network)}/${bits}`)
        assert.ok(cidr)
        assert.equal(inCidr(address, cidr), list.check(formatAddress(address), familyOf(address)))
      }),
      { numRuns: 2000 },
    )
  })

  test('an IPv4 address is in no IPv6 network and the other way round, not even in /0', () => {
    fc.assert(
      fc.property(ipv4, ipv6, (four, six) => {
        assert.ok(!inCidr(four, { parts: six, bits: 0 }))
        assert.ok(!inCidr(six, { parts: four, bits: 0 }))
      }),
    )
  })

  test('a network without a whole number of bits in range is refused', () => {
    const refused = [
      '10.0.0.0',
      '10.0.0.0/',
      '10.0.0.0/33',
      '10.0.0.0/08',
      '10.0.0.0/-1',
      '10.0.0.0/8.0',
      '::/129',
      '10.0.0/8',
      '/8',
      '10.0.0.0/8/8',
      ' 10.0.0.0/8',
      'true',
      '*',
    ]
    for (const text of refused) assert.equal(parseCidr(text), undefined, text)
  })

  test('IPv4 in IPv6 notation is refused: ::ffff:10.0.0.0/24 is ::/24 to one reader and 10.0.0.0/24 to the next', () => {
    for (const bits of [0, 8, 24, 32, 96, 104, 128]) assert.equal(parseCidr(`::ffff:10.0.0.0/${bits}`), undefined, String(bits))
  })
})

test('loopback is 127.0.0.0/8 and ::1, mapped spellings included', () => {
  const loopback = new BlockList()
  loopback.addSubnet('127.0.0.0', 8)
  loopback.addAddress('::1', 'ipv6')
  fc.assert(
    fc.property(fc.oneof(ipv4, ipv6, fc.constant([0, 0, 0, 0, 0, 0, 0, 1])), (numbers) => {
      const parts = parseAddress(formatAddress(numbers)) ?? []
      assert.equal(isLoopback(parts), loopback.check(formatAddress(parts), familyOf(parts)))
    }),
  )
  for (const text of ['::ffff:127.0.0.1', '::ffff:7f01:203', '0:0:0:0:0:0:0:1']) assert.ok(isLoopback(parseAddress(text) ?? []), text)
  for (const text of ['128.0.0.1', '126.255.255.255', '::', '::2', '1::1', '::127.0.0.1'])
    assert.ok(!isLoopback(parseAddress(text) ?? []), text)
})
