import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { systemClock } from '../../src/core/clock.ts'
import type { Decision, Quota } from '../../src/layers/rate-limit/store.ts'
import { eventually } from '../support/deadline.ts'
import { callsOf, many, openTestStore, quota, type TestStore } from '../support/limiter-redis.ts'
import { seededRandom } from '../support/random.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { describeUnless, servicesMissing } from '../support/services.ts'

const minute = 60_000

describeUnless(servicesMissing('redis'), 'limits in one Redis for several instances', () => {
  let redis: RedisServer
  let opened: TestStore[] = []
  before(async () => {
    redis = await startRedis()
    opened = await Promise.all([0, 1, 2, 3].map(() => openTestStore(redis.url)))
  })
  after(async () => {
    for (const each of opened) await each[Symbol.asyncDispose]()
    await redis[Symbol.asyncDispose]()
  })
  const storeAt = (index: number): TestStore['store'] => opened[index % opened.length]!.store
  let ids = 0
  const newId = (): string => `client ${ids++}`

  test('of 20 times the limit at once, over four instances, exactly the limit is admitted', async (t) => {
    const random = seededRandom(t)
    for (let round = 0; round < 40; round++) {
      const limit = round % 4 === 0 ? 257 + random.below(50) : 1 + random.below(60)
      const [id, quotas] = [{ id: newId(), wider: `wider ${round}` }, quota(limit, minute)]
      const decisions = await many(20 * limit, () => storeAt(random.below(4)).consume(id, quotas, 1))
      assert.equal(decisions.filter(({ allowed }) => allowed).length, limit)
      const remaining = decisions.filter(({ allowed }) => allowed).map(({ states }) => states[0]!.remaining)
      assert.equal(new Set(remaining).size, limit, 'each admitted request saw another remainder')
    }
  })

  test('all quotas or none, whichever instance asks', async () => {
    const id = { id: newId(), wider: newId() }
    const both: readonly Quota[] = [...quota(5, minute, 'a'), { ...quota(3, minute, 'b')[0]!, of: 'wider' }]
    for (let i = 0; i < 3; i++) assert.equal((await storeAt(i).consume(id, both, 1)).allowed, true)
    for (let i = 0; i < 20; i++) assert.deepEqual((await storeAt(i).consume(id, both, 1)).violated, both[1]!.windows)
    assert.equal((await storeAt(0).peek(id, both)).states[0]!.remaining, 2)
    const neighbour = { id: newId(), wider: id.wider }
    assert.equal((await storeAt(1).consume(neighbour, both, 1)).allowed, false, 'the wider prefix is shared')
  })

  test('identities that look alike are counted apart, and no key tells anything of them', async () => {
    const strange = ['', '{}', '{a}b', '}{', 'a\0b', 'a', 'x'.repeat(8192), '192.0.2.1', '2001:db8::/64', '-a', '+a', '1:ab']
    const identities = strange.flatMap((id) => [{ id }, { id, wider: 'bc' }, { id, wider: 'b' }])
    identities.push({ id: 'bc', wider: 'a' }, { id: 'c', wider: 'ab' }, { id: 'abc' })
    const quotas = quota(1, minute, 'alike')
    for (const id of identities) assert.equal((await storeAt(0).consume(id, quotas, 1)).allowed, true, JSON.stringify(id).slice(0, 40))
    for (const id of identities) assert.equal((await storeAt(1).consume(id, quotas, 1)).allowed, false, JSON.stringify(id).slice(0, 40))
    const keys = (await redis.cli('keys', '*')).split('\n')
    for (const key of keys) assert.match(key, /^filmgate:(instances|installation|\{[\w-]{22}\}([\w-]{22})?)$/)
  })

  test('a refusal is repeated without asking Redis, until the moment that it named and for a second at most', async () => {
    const [id, quotas] = [{ id: newId() }, quota(2, minute)]
    await storeAt(0).consume(id, quotas, 2)
    const first = await storeAt(0).consume(id, quotas, 1)
    const earlier = await callsOf(redis, 'evalsha')
    const again = storeAt(0).consume(id, quotas, 1)
    assert.ok(!(again instanceof Promise), 'answered at once')
    for (let i = 0; i < 1000; i++) assert.equal((storeAt(0).consume(id, quotas, 1) as Decision).allowed, false)
    // Four heartbeats a second may be among them.
    assert.ok((await callsOf(redis, 'evalsha')) - earlier < 10)
    assert.equal(again.allowed, false)
    assert.deepEqual(again.violated, first.violated)
    assert.ok(again.retryAfterMs <= first.retryAfterMs && again.retryAfterMs > first.retryAfterMs - 5000)
    assert.ok(storeAt(0).consume(id, quota(2, minute), 1) instanceof Promise, 'other quotas, as after a reload, ask again')
    assert.ok(storeAt(0).consume(id, quotas, 2) instanceof Promise, 'another cost asks again')
    await storeAt(0).consume(id, quotas, 1)
    await storeAt(1).reset(id)
    await eventually(3000, 'the reset by another instance is seen', async () => (await storeAt(0).consume(id, quotas, 1)).allowed)
  })

  test('Retry-After kept to the millisecond succeeds, and nothing earlier does', async () => {
    const [id, quotas] = [{ id: newId() }, quota(3, 400)]
    for (let i = 0; i < 3; i++) await storeAt(i).consume(id, quotas, 1)
    const heardMs = systemClock.monotonicMs()
    const { retryAfterMs, allowed } = await storeAt(0).consume(id, quotas, 1)
    assert.equal(allowed, false)
    let refused = 0
    await eventually(5000, 'the window is over', async () => {
      const askedMs = systemClock.monotonicMs()
      const decision = await storeAt(0).consume(id, quotas, 1)
      if (!decision.allowed) refused++
      else assert.ok(systemClock.monotonicMs() >= heardMs + retryAfterMs)
      assert.ok(decision.allowed || askedMs < heardMs + retryAfterMs + 1000)
      return decision.allowed
    })
    assert.ok(refused > 0)
  })

  test('a refund and a reset here are seen at once', async () => {
    const [id, quotas] = [{ id: newId() }, quota(1, minute)]
    const taken = await storeAt(0).consume(id, quotas, 1)
    assert.equal((await storeAt(0).consume(id, quotas, 1)).allowed, false)
    await storeAt(0).refund(id, quotas, 1, taken)
    const second = await storeAt(0).consume(id, quotas, 1)
    assert.equal(second.allowed, true)
    assert.equal((await storeAt(0).consume(id, quotas, 1)).allowed, false)
    await storeAt(0).reset(id)
    assert.equal((await storeAt(0).consume(id, quotas, 1)).allowed, true)
    await storeAt(0).refund(id, quotas, 1, second)
    assert.equal((await storeAt(0).peek(id, quotas)).states[0]!.remaining, 0, 'what was forgotten is not taken back from others')
  })

  test('a pace is shared: thirty at once over four instances get places one interval apart', async () => {
    const id = { id: newId() }
    const quotas: readonly Quota[] = [{ scope: 'pace', windows: [{ name: 'pace', limit: 10, windowMs: 1000, burst: 1, maxDelayMs: 2000 }] }]
    const decisions = await many(30, (i) => storeAt(i).consume(id, quotas, 1))
    const starts = decisions.filter(({ allowed }) => allowed).map(({ at, delayMs }) => at + delayMs)
    starts.sort((a, b) => a - b)
    assert.equal(starts.length, 21)
    for (const [i, start] of starts.entries()) assert.ok(Math.abs(start - starts[0]! - i * 100) < 0.01, `${i}: ${start - starts[0]!}`)
  })

  test('one command for each admitted request, and less when many come at once; a lost script is sent again and loses no count', async () => {
    const [id, quotas] = [{ id: newId() }, quota(200, minute)]
    const earlier = await callsOf(redis, 'evalsha')
    for (let i = 0; i < 50; i++) await storeAt(0).consume(id, quotas, 1)
    const alone = (await callsOf(redis, 'evalsha')) - earlier
    assert.ok(alone >= 50 && alone < 60, `${alone} commands`)
    await many(50, () => storeAt(0).consume(id, quotas, 1))
    assert.ok((await callsOf(redis, 'evalsha')) - earlier - alone < 10)
    await redis.cli('script', 'flush')
    const decisions = await many(200, (i) => storeAt(i).consume(id, quotas, 1))
    assert.equal(decisions.filter(({ allowed }) => allowed).length, 100)
    assert.ok(opened.every(({ events }) => events.length === 0))
  })

  test('what means nothing is refused before anything is asked', () => {
    const id = { id: newId() }
    for (const cost of [0, -1, 1.5, NaN]) assert.throws(() => storeAt(0).consume(id, quota(1, minute), cost), RangeError)
    for (const bad of [quota(0, minute), quota(1, 0), quota(1.5, 1), quota(1, Infinity), [...quota(1, 1), ...quota(2, 2)]])
      assert.throws(() => storeAt(0).consume(id, bad, 1), RangeError)
  })

  test('a cost above the limit never fits, and takes nothing', async () => {
    const [id, quotas] = [{ id: newId() }, quota(5, minute)]
    assert.equal((await storeAt(0).consume(id, quotas, 6)).retryAfterMs, Infinity)
    assert.equal((await storeAt(0).peek(id, quotas)).states[0]!.remaining, 5)
  })

  test('every instance knows how many there are', async () => {
    await eventually(5000, 'each has seen all', () => opened.every(({ store }) => store.instances === 4))
  })
})
