import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { RedisClocks } from './clocks.ts'
import { Denials } from './denials.ts'
import { createFallback } from './fallback.ts'
import { createKeyNames } from './keys.ts'
import { parseRedisUrl } from './url.ts'
import type { Decision, Quota } from '../store.ts'

const quotas: readonly Quota[] = [{ scope: 'a', windows: [{ name: 'hour', limit: 7, windowMs: 3_600_000 }] }]
const refusal = (retryAfterMs: number): Decision => ({
  allowed: false,
  states: [{ window: quotas[0]!.windows[0]!, remaining: 0, resetMs: retryAfterMs }],
  violated: quotas[0]!.windows,
  retryAfterMs,
  delayMs: 0,
  at: 5,
})

describe('remembered refusals', () => {
  test('end at the moment that was named, counted from when the question was sent', () => {
    const denials = new Denials(10)
    denials.add('k', quotas, 1, refusal(100), 1000, 1040)
    assert.equal(denials.find('k', quotas, 1, 1099)?.retryAfterMs, 41)
    assert.equal(denials.find('k', quotas, 1, 1099)?.states[0]?.resetMs, 41)
    assert.equal(denials.find('k', quotas, 1, 1100), undefined)
    denials.add('k', quotas, 1, refusal(30), 1000, 1040)
    assert.equal(denials.find('k', quotas, 1, 1001), undefined, 'over before it was heard')
  })

  test('last a second at most, also where the cost never fits', () => {
    const denials = new Denials(10)
    for (const retryAfterMs of [50_000, Infinity]) {
      denials.add('k', quotas, 9, refusal(retryAfterMs), 0, 0)
      assert.equal(denials.find('k', quotas, 9, 999)?.retryAfterMs, retryAfterMs - 999)
      assert.equal(denials.find('k', quotas, 9, 1000), undefined)
    }
  })

  test('are bounded, and forget the oldest', () => {
    const denials = new Denials(3)
    for (let i = 0; i < 5; i++) denials.add(`${i}`, quotas, 1, refusal(900), 0, 0)
    assert.deepEqual(
      [0, 1, 2, 3, 4].map((i) => denials.find(`${i}`, quotas, 1, 1) !== undefined),
      [false, false, true, true, true],
    )
  })
})

describe('names of keys', () => {
  const names = createKeyNames('p:', Buffer.alloc(32, 1))

  test('depend on the secret, and show nothing else', () => {
    const other = createKeyNames('p:', Buffer.alloc(32, 2))
    const id = { id: '192.0.2.1', wider: '192.0.2.0/24' }
    assert.notDeepEqual(names.of(id), other.of(id))
    assert.notEqual(names.check, other.check)
    assert.deepEqual(names.of(id), createKeyNames('p:', Buffer.alloc(32, 1)).of(id))
    assert.match(names.of(id).own, /^p:\{[\w-]{22}\}[\w-]{22}$/)
    assert.equal(names.of(id).wider, names.of(id).own.slice(0, -22))
  })

  test('stay the same however many clients come by', () => {
    const first = names.of({ id: 'first' })
    for (let i = 0; i < 60_000; i++) names.of({ id: `${i}` })
    assert.deepEqual(names.of({ id: 'first' }), first)
  })
})

test('the clock of a server is never told too late, and a step of it is noticed', () => {
  const clocks = new RedisClocks()
  assert.equal(clocks.at('a', 5), Number.MAX_SAFE_INTEGER)
  // 1000 s ahead; asked at 0, answered in the middle, heard at 20.
  clocks.learn('a', 1_000_010_000, 0, 20)
  assert.equal(clocks.at('a', 50), 1_000_040_000)
  clocks.learn('a', 1_000_101_000, 100, 102)
  assert.equal(clocks.at('a', 150), 1_000_149_000, 'the quicker answer says more')
  clocks.learn('a', 1_000_210_000, 200, 220)
  assert.equal(clocks.at('a', 150), 1_000_149_000)
  clocks.learn('a', 500_301_000, 300, 302)
  assert.equal(clocks.at('a', 350), 500_349_000, 'set back')
  clocks.learn('a', 900_401_000, 400, 402)
  assert.equal(clocks.at('a', 450), 900_449_000, 'set forward')
  assert.equal(clocks.at('b', 5), Number.MAX_SAFE_INTEGER)
})

test('addresses of Redis and Valkey', () => {
  assert.deepEqual(parseRedisUrl('valkeys://us%40er:p%3Aw@h.example:7000/3'), {
    host: 'h.example',
    port: 7000,
    tls: true,
    username: 'us@er',
    password: 'p:w',
    database: 3,
    label: 'valkeys://h.example:7000',
  })
  assert.equal(parseRedisUrl('redis://[::1]').host, '::1')
  assert.equal(parseRedisUrl('redis://h').port, 6379)
})

const fallback = (onFailure: 'local' | 'allow', instances: number): ReturnType<typeof createFallback> =>
  createFallback({ onFailure, clock: { monotonicMs: () => 1000 }, maxTrackedClients: 100, instances: () => instances })

describe('without Redis', () => {
  const id = { id: 'a' }

  test('local: a share of each limit, at least 1, under the names of the whole', () => {
    for (const [instances, share] of [
      [1, 7],
      [2, 3],
      [7, 1],
      [100, 1],
    ] as const) {
      const local = fallback('local', instances)
      for (let i = 0; i < share; i++) assert.equal(local.consume(id, quotas, 1).allowed, true)
      const refused = local.consume(id, quotas, 1)
      assert.deepEqual(refused.violated, quotas[0]!.windows)
      assert.equal(refused.states[0]!.window, quotas[0]!.windows[0])
    }
  })

  test('local: takes back what it counted itself, and nothing else', () => {
    const local = fallback('local', 1)
    const taken = local.consume(id, quotas, 1)
    assert.equal(local.refund(id, quotas, 1, { ...taken }), false)
    assert.equal(local.peek(id, quotas).states[0]!.remaining, 6)
    assert.equal(local.refund(id, quotas, 1, taken), true)
    assert.equal(local.peek(id, quotas).states[0]!.remaining, 7)
  })

  test('allow: everything, with all of every limit left', () => {
    const allow = fallback('allow', 3)
    for (let i = 0; i < 20; i++) assert.equal(allow.consume(id, quotas, 5).states[0]!.remaining, 7)
  })
})
