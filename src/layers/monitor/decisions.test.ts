import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { clientPrefix, formatAddress, inCidr, parseAddress, parseCidr } from '../../core/address.ts'
import type { Client } from '../../core/request.ts'
import { addressWords, createAddressWords, readAddress } from './address-words.ts'
import type { Decision, DecisionScope, Evidence } from './decision.ts'
import { Decisions } from './decisions.ts'

const clientAt = (address: string): Client => ({ address, prefix: clientPrefix(parseAddress(address) ?? []) })

let made = 0
const decision = (parts: Partial<Decision>): Decision => ({
  id: `d${++made}`,
  scope: 'client',
  target: '203.0.113.7',
  type: 'ban',
  rule: null,
  reason: 'test',
  by: 'u1',
  createdAt: 0,
  expiresAt: 1000,
  offence: 1,
  observed: false,
  evidence: null,
  ...parts,
})

const evidence: Evidence = { bucket: { capacity: 1, leakPerSecond: 1, level: 2 }, signals: [] }

const decide = (decisions: Decisions, parts: Partial<Decision>): Decision => {
  const one = decision(parts)
  decisions.apply({ change: 'decided', decision: one })
  return one
}

/** Few bits differ, so that addresses and ranges meet often, at any length. */
const ipv4 = fc.array(fc.constantFrom(0, 1, 128, 203, 255), { minLength: 4, maxLength: 4 })
const ipv6 = fc.array(fc.constantFrom(0, 1, 0x2001, 0x8000, 0xffff), { minLength: 8, maxLength: 8 })
const address = fc.oneof(ipv4, ipv6).map((parts) => formatAddress(parseAddress(formatAddress(parts)) ?? []))
const range = fc
  .oneof(fc.tuple(ipv4, fc.integer({ min: 0, max: 32 })), fc.tuple(ipv6, fc.integer({ min: 0, max: 128 })))
  .map(([parts, bits]) => `${formatAddress(parts)}/${bits}`)

const facts = fc.record({
  type: fc.constantFrom('ban' as const, 'tighten' as const, 'require_login' as const, 'tell' as const),
  expiresAt: fc.integer({ min: 1, max: 100 }),
  observed: fc.boolean(),
})
const decided = fc.oneof(
  fc.tuple(facts, range).map(([parts, target]) => ({ ...parts, scope: 'range' as const, target })),
  fc.tuple(facts, address).map(([parts, at]) => ({ ...parts, scope: 'client' as const, target: clientAt(at).prefix })),
)
const step = fc.oneof(
  { weight: 6, arbitrary: decided.map((parts) => ({ decided: parts })) },
  { weight: 2, arbitrary: fc.nat().map((which) => ({ lifted: which })) },
  { weight: 1, arbitrary: fc.nat().map((which) => ({ again: which })) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 30 }).map((ms) => ({ passed: ms })) },
)
const strength = { ban: 3, tighten: 2, require_login: 1, tell: 0 }

test('the strongest decision that is in force, enforced and about a client holds for it, whatever came and went', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.array(address, { minLength: 1, maxLength: 10 }), (steps, addresses) => {
      let now = 0
      const decisions = new Decisions(() => now)
      const known: Decision[] = []
      const lifted = new Set<string>()
      const inForce = (): Decision[] => known.filter(({ id, expiresAt }) => !lifted.has(id) && expiresAt > now)
      for (const one of steps) {
        if ('decided' in one) known.push(decide(decisions, one.decided))
        else if ('passed' in one) now += one.passed
        else if (known.length > 0) {
          const which = known[('lifted' in one ? one.lifted : one.again) % known.length]!
          if ('lifted' in one) {
            lifted.add(which.id)
            decisions.apply({ change: 'lifted', id: which.id, by: 'u1' })
          } else if (!lifted.has(which.id)) decisions.apply({ change: 'decided', decision: which })
        }
      }
      for (const at of addresses) {
        const parts = parseAddress(at) ?? []
        const { prefix } = clientAt(at)
        const about = inForce().filter(({ scope, target, observed }) => {
          const cidr = parseCidr(target)
          return !observed && (scope === 'client' ? target === prefix : cidr !== undefined && inCidr(parts, cidr))
        })
        const strongest = Math.max(-1, ...about.map(({ type }) => strength[type]))
        const found = decisions.ofClient(clientAt(at))
        assert.equal(found === undefined ? -1 : strength[found.type], strongest, at)
        if (found !== undefined) assert.ok(about.some(({ id }) => id === found.id))
      }
      assert.deepEqual(new Set(decisions.all()), new Set(inForce()))
      assert.equal(decisions.size, inForce().length)
    }),
    { numRuns: 500 },
  )
})

test('an address is read as it is parsed elsewhere', () => {
  const words = createAddressWords()
  const anyIpv6 = fc.array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff })), { minLength: 8, maxLength: 8 })
  const anyIpv4 = fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 4, maxLength: 4 })
  fc.assert(
    fc.property(fc.oneof(anyIpv4, anyIpv6), (parts) => {
      const text = formatAddress(parts)
      readAddress(text, words)
      // A mapped address is another one by then.
      const expected = text.startsWith('::ffff:') ? addressWords(parts) : addressWords(parseAddress(text) ?? [])
      assert.equal(words.size, expected.size)
      assert.deepEqual(words.words.subarray(0, words.size), expected.words.subarray(0, words.size), text)
    }),
    { numRuns: 1000 },
  )
})

test('what is no address is in no range, not even in that of everybody', () => {
  const decisions = new Decisions(() => 0)
  decide(decisions, { scope: 'range', target: '0.0.0.0/0' })
  decide(decisions, { scope: 'range', target: '::/0' })
  for (const text of ['unknown', '', '1.2.3', '1.2.3.4.5', ':', '1:2', '1:2:3:4:5:6:7:8:9', 'g::', '99'])
    assert.equal(decisions.ofClient({ address: text, prefix: text }), undefined, text)
  assert.ok(decisions.ofClient(clientAt('8.8.8.8')))
  assert.ok(decisions.ofClient(clientAt('2001:db8::1')))
})

test('attack: a botnet whose every address is banned does not fill the memory: those that end first make room', () => {
  const decisions = new Decisions(() => 0, 100)
  for (let i = 0; i < 300; i++) decide(decisions, { target: `203.0.${i >> 8}.${i & 255}`, expiresAt: 1000 + i })
  assert.equal(decisions.size, 100)
  assert.equal(decisions.dropped, 200)
  assert.equal(decisions.ofClient(clientAt('203.0.0.199')), undefined)
  assert.ok(decisions.ofClient(clientAt('203.0.0.200')))
  assert.ok(decisions.ofClient(clientAt('203.0.1.43')))
  // One that would be the first to end does not push out another.
  decide(decisions, { target: '198.51.100.1', expiresAt: 10 })
  assert.equal(decisions.ofClient(clientAt('198.51.100.1')), undefined)
  assert.equal(decisions.dropped, 201)
})

test('deciding and lifting over and over leaves nothing behind', () => {
  const decisions = new Decisions(() => 0)
  for (let i = 0; i < 20_000; i++) {
    const scope: DecisionScope = i % 2 === 0 ? 'range' : 'account'
    const { id } = decide(decisions, { scope, target: scope === 'range' ? `10.${i & 255}.${(i >> 8) & 255}.0/24` : `u${i}` })
    decisions.apply({ change: 'lifted', id, by: 'u1' })
  }
  assert.equal(decisions.size, 0)
  assert.deepEqual(decisions.all(), [])
  assert.equal(decisions.ofClient(clientAt('10.1.1.1')), undefined)
})

test('evidence is told with a decision, of the newest ten thousand', () => {
  const decisions = new Decisions(() => 0)
  const [oldest] = Array.from({ length: 10_001 }, (_, i) => decide(decisions, { target: `c${i}`, evidence }))
  assert.equal(decisions.get(oldest!.id)?.evidence, null)
  assert.deepEqual(decisions.about('client', 'c10000')[0]?.evidence, evidence)
  assert.equal(decisions.all().filter((one) => one.evidence !== null).length, 10_000)
})

test('a decision that comes back from the store without its evidence keeps it, and one that was lifted leaves none', () => {
  const decisions = new Decisions(() => 0)
  const known = decide(decisions, { evidence })
  decisions.apply({ change: 'decided', decision: { ...known, evidence: null } })
  assert.deepEqual([decisions.size, decisions.get(known.id)?.evidence], [1, evidence])
  decisions.apply({ change: 'lifted', id: known.id, by: 'uadmin' })
  decisions.apply({ change: 'decided', decision: { ...known, evidence: null } })
  assert.equal(decisions.get(known.id)?.evidence, null)
})

test('those that are only observed, or over, are not counted as enforced', () => {
  const decisions = new Decisions(Date.now)
  decide(decisions, { id: 'a', expiresAt: Date.now() + 60_000, observed: false })
  decide(decisions, { id: 'b', expiresAt: Date.now() + 60_000, observed: true })
  decide(decisions, { id: 'c', expiresAt: Date.now() - 1, observed: false })
  assert.equal(decisions.enforced, 1)
})
