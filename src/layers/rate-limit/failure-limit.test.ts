import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { FastifyRequest } from 'fastify'

import type { Problem } from '../../core/errors.ts'
import type { SecurityEvent } from '../../core/events.ts'
import { createFailureLimit } from './failure-limit.ts'
import { createMemoryStore } from './memory-store.ts'
import type { LimiterStore } from './store.ts'

const request = { id: 'r1', client: { address: '10.0.0.1', prefix: '10.0.0.1', network: '10.0.0.0/24' } } as unknown as FastifyRequest
const [prefix, account] = [{ id: '10.0.0.1' }, { id: 'account a@x' }]
const both = [prefix, account]

const setUp = (wrap: (store: LimiterStore) => LimiterStore = (store) => store, limits = '3 per minute') => {
  const clock = { nowMs: 0, monotonicMs: () => clock.nowMs }
  const store = createMemoryStore({ clock, maxTrackedClients: 10 })
  const events: SecurityEvent[] = []
  const failures = createFailureLimit({ store: wrap(store), observe: (event) => void events.push(event), policy: 'login', limits })
  return { clock, store, events, failures }
}

const codeOf = async (pending: Promise<unknown>): Promise<string> =>
  pending.then(
    () => 'taken',
    (problem: Problem) => problem.code,
  )

test('attack: fifty guesses at the same time get no more than the limit', async () => {
  const { failures, events } = setUp()
  const codes = await Promise.all(Array.from({ length: 50 }, () => codeOf(failures.reserve(request, both))))
  assert.equal(codes.filter((code) => code === 'taken').length, 3)
  assert.equal(codes.filter((code) => code === 'quota_exceeded').length, 47)
  assert.deepEqual(events[0], {
    event: 'excess_rate_limit_exceeded',
    requestId: 'r1',
    client: '10.0.0.1',
    policy: 'login',
    violated: ['login-minute'],
  })
})

for (const limits of ['3 per minute', '300 per minute', '3 per minute burst 3']) {
  test(`${limits}: what went well is given back, and only once`, async () => {
    const { clock, failures } = setUp(undefined, limits)
    for (let time = 0; time < 1000; time++) {
      clock.nowMs += 1
      const giveBack = await failures.reserve(request, both)
      await giveBack()
    }
    const [first] = await Promise.all([failures.reserve(request, both), failures.reserve(request, both)])
    for (let time = 0; time < 5; time++) await first()
    const left = Number.parseInt(limits, 10) - 1
    for (let time = 0; time < left; time++) assert.equal(await codeOf(failures.reserve(request, both)), 'taken')
    assert.equal(await codeOf(failures.reserve(request, both)), 'quota_exceeded')
  })
}

test('a refusal by one identity counts for none: an attacked account takes nothing from who else asks', async () => {
  const { failures } = setUp()
  for (let time = 0; time < 3; time++) await failures.reserve(request, [account])
  for (let time = 0; time < 10; time++) assert.equal(await codeOf(failures.reserve(request, both)), 'quota_exceeded')
  for (let time = 0; time < 3; time++) assert.equal(await codeOf(failures.reserve(request, [prefix])), 'taken')
})

const lost = async (): Promise<never> => Promise.reject(new Error('connection lost'))

const halfWay = (store: LimiterStore): LimiterStore => ({
  consume: (identity, ...given) => (identity === account ? lost() : store.consume(identity, ...given)),
  refund: (...given) => store.refund(...given),
  peek: (...given) => store.peek(...given),
  reset: (identity) => store.reset(identity),
  close: () => store.close(),
})

test('a store that fails half way refuses, and what was taken is given back', async () => {
  const { store, failures } = setUp(halfWay)
  for (let time = 0; time < 5; time++) assert.equal(await codeOf(failures.reserve(request, both)), 'store_unavailable')
  assert.equal(store.tracked, 0)
})

test('a store that is gone when it should take back does not fail who has logged in', async () => {
  for (const refund of [
    () => {
      throw new Error('connection lost')
    },
    async () => Promise.reject(new Error('connection lost')),
  ]) {
    const { failures } = setUp((store) => ({
      consume: (...given) => store.consume(...given),
      refund,
      peek: (...given) => store.peek(...given),
      reset: (identity) => store.reset(identity),
      close: () => store.close(),
    }))
    const giveBack = await failures.reserve(request, both)
    await giveBack()
  }
})

test('attack: a guesser with a whole IPv6 site gets 32 times what one of its prefixes gets, not 65,536 times', async () => {
  const store = createMemoryStore({ clock: { monotonicMs: () => 0 }, maxTrackedClients: 10_000 })
  const failures = createFailureLimit({ store, observe: () => undefined, policy: 'login', limits: '3 per minute' })
  const siteOf = (site: string) => ({
    at: (i: number) => codeOf(failures.reserve(request, [{ id: `${site}:${i.toString(16)}::/64`, wider: `${site}::/48` }])),
  })
  const [guesser, neighbour] = [siteOf('2001:db8:1'), siteOf('2001:db8:2')]
  const codes = await Promise.all(Array.from({ length: 500 }, (_, i) => guesser.at(i)))
  assert.equal(codes.filter((code) => code === 'taken').length, 96)
  assert.equal(await neighbour.at(1), 'taken')
})
