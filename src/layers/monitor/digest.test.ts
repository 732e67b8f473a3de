import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import fc from 'fast-check'

import { createManualClock } from '../../../test/support/manual-clock.ts'
import type { SecurityEvent } from '../../core/events.ts'
import { alertOf, type DigestData, type Message } from './alerts.ts'
import { Digest } from './digest.ts'

const decided = (n: number, rule: string | null = 'credential-stuffing', observed = false): SecurityEvent => ({
  event: 'decision_created',
  requestId: null,
  client: null,
  decision: `d${n}`,
  type: 'ban',
  scope: 'client',
  target: `203.0.113.${n % 256}`,
  rule,
  by: rule === null ? 'uadmin' : 'monitor',
  until: '2026-01-01T00:00:00.000Z',
  ...(observed ? { observed: true } : {}),
})

const createScene = (options: { readonly gatherMs?: number; readonly perHour?: number } = {}) => {
  const clock = createManualClock(1_767_225_600_000)
  const told: Message[] = []
  const digest = new Digest({ clock, timers: clock, deliver: (message) => void told.push(message), ...options })
  const add = (event: SecurityEvent): void => {
    const alert = alertOf(event, clock.epochMs())
    assert.ok(alert)
    digest.add(alert)
  }
  return { clock, told, digest, add }
}

describe('a digest', () => {
  test('the first alert is told at once; what follows within 60 s comes as one message, counted by rule', () => {
    const { clock, told, add } = createScene()
    add(decided(0))
    assert.deepEqual(
      told.map(({ type }) => type),
      ['filmgate.alert'],
    )
    for (let n = 1; n <= 9; n++) add(decided(n))
    add(decided(10, 'path-probing', true))
    add(decided(11, null))
    clock.advance(59_999)
    assert.equal(told.length, 1)
    clock.advance(1)
    const [, message] = told
    const data = message?.data as DigestData
    assert.equal(message?.type, 'filmgate.digest')
    assert.deepEqual(
      [data.total, data.counts.map(({ rule, observed, count }) => [rule, observed, count]), data.examples.length],
      [
        11,
        [
          ['credential-stuffing', false, 9],
          ['path-probing', true, 1],
          [null, false, 1],
        ],
        5,
      ],
    )
    assert.match(
      message?.text ?? '',
      /^11 more alerts since 2026-01-01T00:00:00\.000Z: 9 × credential-stuffing, 1 × path-probing \(only observed\), 1 × decision_created\.$/,
    )
  })

  test('after a minute without any, the next one is told at once again, and no timer is left', () => {
    const { clock, told, add } = createScene()
    add(decided(0))
    clock.advance(60_000)
    assert.equal(clock.timers, 0)
    add(decided(1))
    assert.equal(told.length, 2)
  })

  test('a flood of 10,000 decisions of 200 rules: two messages, 50 counts, 5 examples, a few kilobytes', () => {
    const { clock, told, add } = createScene()
    for (let n = 0; n < 10_000; n++) add(decided(n, `rule-${n % 200}`))
    clock.advance(60_000)
    assert.equal(told.length, 2)
    const data = told[1]?.data as DigestData
    assert.deepEqual([data.total, data.counts.length, data.examples.length], [9999, 50, 5])
    assert.ok(JSON.stringify(told[1]).length < 10_000)
  })

  test('whoever sets off an alert a minute for a day does not send a message a minute: at most 15 in any hour', () => {
    const { clock, told, add } = createScene()
    const at: number[] = []
    for (let minute = 0; minute < 24 * 60; minute++) {
      const before = told.length
      add(decided(minute))
      clock.advance(60_001)
      for (let i = before; i < told.length; i++) at.push(clock.monotonicMs())
    }
    clock.advance(3_600_000)
    assert.ok(at.length <= 15 * 25, `${at.length}`)
    const counted = told.reduce((sum, { data }) => sum + ('total' in data ? (data as DigestData).total : 1), 0)
    assert.equal(counted, 24 * 60, 'none is left out')
  })

  test('what was gathered is told when the server stops', () => {
    const { clock, told, digest, add } = createScene()
    add(decided(0))
    add(decided(1))
    digest.flush()
    assert.deepEqual(
      told.map(({ type }) => type),
      ['filmgate.alert', 'filmgate.digest'],
    )
    assert.equal(clock.timers, 0)
  })

  test('whatever comes whenever: every alert is told or counted once, and never more messages an hour than there may be', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 400_000 }), { maxLength: 200 }),
        fc.integer({ min: 1, max: 20 }),
        (pauses, perHour) => {
          const { clock, told, digest, add } = createScene({ perHour })
          const at: number[] = []
          const note = (): void => {
            while (at.length < told.length) at.push(clock.monotonicMs())
          }
          for (const [n, ms] of pauses.entries()) {
            add(decided(n))
            note()
            // In steps, so that what a timer tells is seen when it tells it.
            for (let left = ms; left > 0; left -= 1000) {
              clock.advance(Math.min(1000, left))
              note()
            }
          }
          for (const [i, ms] of at.entries()) assert.ok(at.filter((other, j) => j > i && other - ms < 3_599_000).length < perHour)
          digest.flush()
          const counted = told.reduce((sum, { data }) => sum + ('total' in data ? (data as DigestData).total : 1), 0)
          assert.equal(counted, pauses.length)
        },
      ),
      { numRuns: 50 },
    )
  })
})

describe('an alert', () => {
  test('says of a decision that is only observed that nobody is refused', () => {
    assert.match(alertOf(decided(1, 'x', true), 0)?.text ?? '', /would have been banned \(only observed\)/)
    assert.match(
      alertOf(decided(1, null), 0)?.text ?? '',
      /^203\.0\.113\.1 is banned until 2026-01-01T00:00:00\.000Z by uadmin\. Decision d1\.$/,
    )
  })

  test('is not made of what happens all day: of a refused guess, a limit, a probe, an enforced ban', () => {
    const facts = { requestId: 'r', client: '203.0.113.7' }
    const quiet: SecurityEvent[] = [
      { event: 'authn_login_fail', ...facts, reason: 'password' },
      { event: 'excess_rate_limit_exceeded', ...facts, policy: 'total', violated: ['second'] },
      { event: 'malicious_extraneous', ...facts, reason: 'smuggling' },
      { event: 'decision_enforced', ...facts, decision: 'd', type: 'ban' },
      { event: 'decision_lifted', ...facts, decision: 'd', by: 'monitor' },
      { event: 'sys_startup', address: 'http://127.0.0.1:3000' },
    ]
    for (const event of quiet) assert.equal(alertOf(event, 0), undefined, event.event)
  })

  test('commands of chat programs, line breaks, ANSI and characters that turn the reading direction do not reach people', () => {
    const alert = alertOf({ event: 'sys_store_failure', store: 'redis', error: '<!channel> @everyone\r\n\u001b[31m\u202egnp & more' }, 0)
    assert.equal(alert?.text, 'The store redis fails: !channel everyone [31m gnp more')
    assert.equal(alert?.data['error'], ' !channel everyone [31m gnp more')
  })

  test('a text without end is cut', () => {
    const alert = alertOf({ event: 'sys_store_failure', store: 'redis', error: 'x'.repeat(100_000) }, 0)
    assert.ok(JSON.stringify(alert).length < 1500)
  })
})
