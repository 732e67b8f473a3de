import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import fc from 'fast-check'

import { createManualClock } from '../../../test/support/manual-clock.ts'
import { type Cidr, inCidr, parseCidr } from '../../core/address.ts'
import type { MonitorDecision } from '../../layers/index.ts'
import { Decisions } from '../../layers/monitor/decisions.ts'
import { BouncerFeed, type BouncerFeedOptions, type Delta } from './bouncer-feed.ts'
import { formatDuration } from './bouncers.ts'

const hourMs = 3_600_000

const createScene = (options: Partial<BouncerFeedOptions> = {}) => {
  const clock = createManualClock()
  const decisions = new Decisions(clock.epochMs)
  let policy: ReturnType<BouncerFeedOptions['policy']> = { isExempt: () => false }
  const exempt = (target: string): void => void (policy = { isExempt: (other) => other === target })
  const allow = (...cidrs: readonly string[]): void =>
    void (policy = { isExempt: () => false, exempt: cidrs.map(parseCidr).filter((cidr) => cidr !== undefined) })
  const feed = new BouncerFeed({ decisions, policy: () => policy, epochMs: clock.epochMs, ...options })
  const lift = (id: string): void => decisions.apply({ change: 'lifted', id, by: 'uadmin' })
  const decide = (id: string, target: string, more: Partial<MonitorDecision> = {}): void =>
    decisions.apply({
      change: 'decided',
      decision: {
        id,
        scope: target.includes('/') && !target.endsWith('/64') ? 'range' : 'client',
        target,
        type: 'ban',
        rule: 'a-rule',
        reason: 'a reason',
        by: 'monitor',
        createdAt: clock.epochMs(),
        expiresAt: clock.epochMs() + hourMs,
        offence: 1,
        observed: false,
        requestId: null,
        evidence: null,
        ...more,
      } as MonitorDecision,
    })
  /** As a bouncer does: what arrived was told. */
  const poll = (bouncer = 'key:a', startup = false) => {
    const delta: Delta = startup ? feed.all() : feed.since(bouncer)
    feed.told(bouncer, delta.place)
    return [delta.added.map(({ value }) => value), delta.removed.map(({ value }) => value)]
  }
  return { clock, feed, decisions, exempt, allow, decide, lift, poll }
}

const holds = (outer: Cidr, inner: Cidr): boolean => outer.bits <= inner.bits && inCidr(inner.parts, outer)
const values = (found: readonly { value: string }[]) => found.map(({ value }) => value).toSorted()

describe('what a bouncer is told', () => {
  test('attack: of a network with somebody in it who is never refused nothing, for a firewall knows no exception', () => {
    const { allow, decide, poll } = createScene()
    decide('1', '198.51.0.0/16')
    decide('2', '2001:db8::/64')
    decide('3', '203.0.113.7')
    decide('4', '192.0.2.0/25')
    assert.deepEqual(poll('key:a', true), [['198.51.0.0/16', '2001:db8::/64', '203.0.113.7', '192.0.2.0/25'], []])
    allow('198.51.100.9/32', '2001:db8::9/128', '192.0.2.128/32', '127.0.0.0/8', '::1/128')
    assert.deepEqual(poll(), [[], ['198.51.0.0/16', '2001:db8::/64']])
    allow('192.0.2.0/32')
    assert.deepEqual(poll(), [['198.51.0.0/16', '2001:db8::/64'], ['192.0.2.0/25']])
  })

  test('all that is in force at its start, then only what changed: what was decided, lifted, or ran out', () => {
    const { clock, lift, decide, poll } = createScene()
    decide('1', '203.0.113.1')
    decide('2', '2001:db8::/64')
    assert.deepEqual(poll('key:a', true), [['203.0.113.1', '2001:db8::/64'], []])
    assert.deepEqual(poll(), [[], []])
    decide('3', '198.51.100.0/24', { expiresAt: clock.epochMs() + 2 * hourMs })
    lift('1')
    assert.deepEqual(poll(), [['198.51.100.0/24'], ['203.0.113.1']])
    clock.advance(hourMs)
    assert.deepEqual(poll(), [[], ['2001:db8::/64']])
    assert.deepEqual(poll('key:b'), [['198.51.100.0/24'], ['203.0.113.1', '2001:db8::/64']], 'each bouncer has its own place')
  })

  test('nothing of what is only observed, slows down, asks for a login, or is about an account or a credential', () => {
    const { decide, poll } = createScene()
    decide('1', '203.0.113.1', { observed: true })
    decide('2', '203.0.113.2', { type: 'tighten' })
    decide('3', '203.0.113.3', { type: 'require_login' })
    decide('4', 'uSomebody', { scope: 'account' })
    decide('5', 'key:4fGh7Kq2LmZx', { scope: 'principal' })
    decide('6', 'no address', { scope: 'client' })
    assert.deepEqual(poll('key:a', true), [[], []])
  })

  test('of two bans of one address one lifted: it stays out', () => {
    const { lift, decide, poll } = createScene()
    decide('1', '203.0.113.1')
    decide('2', '203.0.113.1', { rule: 'another' })
    assert.deepEqual(poll('key:a', true), [['203.0.113.1'], []])
    lift('1')
    assert.deepEqual(poll(), [[], []])
    lift('2')
    assert.deepEqual(poll(), [[], ['203.0.113.1']])
  })

  test('a longer ban of the same address is told, for a firewall lets in again when the first would be over', () => {
    const { clock, decide, poll } = createScene()
    decide('1', '203.0.113.1')
    poll('key:a', true)
    decide('2', '203.0.113.1', { expiresAt: clock.epochMs() + 9 * hourMs })
    assert.deepEqual(poll(), [['203.0.113.1'], []])
  })

  test('lifted and banned again between two polls: only that it is banned', () => {
    const { lift, decide, poll, feed } = createScene()
    decide('1', '203.0.113.1')
    poll('key:a', true)
    lift('1')
    feed.all()
    decide('2', '203.0.113.1')
    assert.deepEqual(poll(), [['203.0.113.1'], []])
  })

  test('the allow list acts at once', () => {
    const { exempt, decide, poll } = createScene()
    decide('1', '203.0.113.1')
    poll('key:a', true)
    exempt('203.0.113.1')
    assert.deepEqual(poll(), [[], ['203.0.113.1']])
  })

  test('an answer that never arrived is told again', () => {
    const { decide, feed, poll } = createScene()
    poll('key:a', true)
    decide('1', '203.0.113.1')
    feed.since('key:a')
    assert.deepEqual(poll(), [['203.0.113.1'], []])
  })

  test('more lifts than are kept, while a bouncer was away: it is told everything in force, and what is known to be over', () => {
    const { lift, decide, poll } = createScene({ maxRemoved: 10 })
    for (let n = 0; n < 100; n++) decide(`${n}`, `203.0.113.${n}`)
    decide('stays', '198.51.100.1')
    poll('key:a', true)
    for (let n = 0; n < 100; n++) lift(`${n}`)
    const [added, removed] = poll()
    assert.deepEqual([added, removed?.length], [['198.51.100.1'], 10])
    assert.deepEqual(poll(), [[], []])
  })

  test('100,000 bans: a poll behind the first looks at what changed alone', () => {
    const { decide, lift, feed, poll, decisions } = createScene()
    for (let n = 0; n < 100_000; n++) decide(`${n}`, `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`)
    assert.equal(poll('key:a', true)[0]?.length, 100_000)
    let looked = 0
    const about = decisions.about.bind(decisions)
    decisions.about = (scope, target) => {
      looked++
      return about(scope, target)
    }
    feed.since('key:a')
    assert.equal(looked, 0)
    decide('new', '203.0.113.1')
    lift('7')
    assert.deepEqual(poll(), [['203.0.113.1'], ['10.0.0.7']])
    assert.equal(looked, 2)
  })

  test('live: what is around an address or a network, and what is inside, is what comparing each of them finds', () => {
    const octet = fc.integer({ min: 0, max: 3 })
    const bits = fc.constantFrom(8, 15, 16, 24, 29, 30, 31, 32)
    const network = fc.tuple(octet, octet, octet, octet, bits).map(([a, b, c, d, length]) => {
      const parts = [a, b, c, d].map((part, i) => part & (0xff00 >> Math.max(0, Math.min(8, length - i * 8))))
      return { parts, bits: length, text: length === 32 ? parts.join('.') : `${parts.join('.')}/${length}` }
    })
    fc.assert(
      fc.property(fc.array(network, { maxLength: 20 }), network, (blocks, asked) => {
        const { decide, feed } = createScene()
        for (const [i, { text }] of blocks.entries()) decide(`d${i}`, text)
        const texts = (fits: (block: Cidr) => boolean) => [...new Set(blocks.filter(fits).map(({ text }) => text))].toSorted()
        assert.deepEqual(
          values(feed.around(asked)),
          texts((block) => holds(block, asked)),
        )
        assert.deepEqual(
          values(feed.inside(asked)),
          texts((block) => holds(asked, block)),
        )
      }),
    )
  })

  test('bouncers without end: the places of so many are kept', () => {
    const { decide, poll } = createScene({ maxBouncers: 3 })
    decide('1', '203.0.113.1')
    for (let n = 0; n < 10; n++) poll(`key:${n}`, true)
    assert.deepEqual(poll('key:9'), [[], []])
    assert.deepEqual(poll('key:0'), [['203.0.113.1'], []], 'one that is not known is told all')
  })

  test('whatever happens when: a bouncer that does as it is told refuses whom the server refuses', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('decide' as const), n: fc.nat(5), hours: fc.integer({ min: 1, max: 5 }) }),
      fc.record({ kind: fc.constant('lift' as const), n: fc.nat(20) }),
      fc.record({ kind: fc.constant('wait' as const), minutes: fc.nat(120) }),
      fc.record({ kind: fc.constant('poll' as const), who: fc.nat(2), arrives: fc.boolean() }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { clock, feed, decisions, decide, lift } = createScene({ maxRemoved: 1000 })
        const walls = [0, 1, 2].map(() => new Set<string>())
        const poll = (who: number, arrives: boolean): void => {
          const { added, removed, place } = feed.since(`key:${who}`)
          if (!arrives) return
          feed.told(`key:${who}`, place)
          for (const { value } of removed) walls[who]?.delete(value)
          for (const { value } of added) walls[who]?.add(value)
        }
        for (const [i, one] of steps.entries()) {
          if (one.kind === 'decide') decide(`d${i}`, `203.0.113.${one.n}`, { expiresAt: clock.epochMs() + one.hours * hourMs })
          else if (one.kind === 'lift') lift(decisions.all()[one.n]?.id ?? '')
          else if (one.kind === 'wait') clock.advance(one.minutes * 60_000)
          else poll(one.who, one.arrives)
        }
        const refused = new Set(decisions.all().map(({ target }) => target))
        for (const who of [0, 1, 2]) {
          poll(who, true)
          assert.deepEqual(walls[who], refused)
        }
      }),
      { numRuns: 300 },
    )
  })
})

test('durations are written as Go reads them', () => {
  for (const [ms, text] of [
    [0, '0.000s'],
    [345, '0.345s'],
    [59_999, '59.999s'],
    [60_000, '1m0.000s'],
    [14_391_000, '3h59m51.000s'],
    [-5000, '-5.000s'],
    [90 * 24 * hourMs, '2160h0m0.000s'],
  ] as const)
    assert.equal(formatDuration(ms), text)
})
