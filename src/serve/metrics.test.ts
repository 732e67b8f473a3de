import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { parseMetrics } from '../../test/support/metrics-text.ts'
import { createMemoryStore, type Quota } from '../layers/index.ts'
import type { OpenLimiterStore } from './limiter-store.ts'
import { countVotes, measureStore, openMetrics } from './metrics.ts'

const quota = (scope: string, limit: number): Quota => ({ scope, windows: [{ name: scope, limit, windowMs: 60_000 }] })
const who = { id: '203.0.113.7' }
const clock = { monotonicMs: () => 1000 }

const open = (store: OpenLimiterStore = createMemoryStore({ clock, maxTrackedClients: 100 })) => {
  const metrics = openMetrics({ droppedLines: 5, isFailing: true })
  return { metrics, store: measureStore(store, metrics), read: async () => parseMetrics(await metrics.text()) }
}

describe('a store that is measured', () => {
  test('decides as before; each quota of a decision is counted, and of a refusal only those that had no room', async () => {
    const { store, read } = open()
    const quotas = [quota('total', 3), quota('route GET /', 2), quota('key key:abc', 100)]
    const allowed = [1, 2, 3].map(() => store.consume(who, quotas, 1)).map((decision) => !(decision instanceof Promise) && decision.allowed)
    assert.deepEqual(allowed, [true, true, false])
    const text = await read()
    const outcomes = text.samples
      .filter(({ name }) => name === 'filmgate_limiter_decisions_total')
      .map(({ labels, value }) => `${labels['policy']} ${labels['outcome']} ${value}`)
    assert.deepEqual(outcomes, [
      'total allowed 2',
      'total refused 0',
      'total failed 0',
      'route GET / allowed 2',
      'route GET / refused 1',
      'route GET / failed 0',
      // Which key it is stands in no label.
      'key allowed 2',
      'key refused 0',
      'key failed 0',
    ])
    assert.equal(text.value('filmgate_limiter_store_duration_seconds_count'), 3)
  })

  test('that answers later is measured until it does, and one that fails is counted as that', async () => {
    const memory = createMemoryStore({ clock, maxTrackedClients: 100 })
    let isUp = true
    const { store, read } = open({
      ...memory,
      consume: (...args) => (isUp ? Promise.resolve(memory.consume(...args)) : Promise.reject(new Error('gone'))),
      refund: () => undefined,
      peek: (...args) => memory.peek(...args),
      reset: () => undefined,
      close: () => undefined,
      get isUp() {
        return isUp
      },
    })
    const quotas = [quota('total', 1)]
    await store.consume(who, quotas, 1)
    assert.equal(store.isUp, true)
    isUp = false
    await assert.rejects(async () => store.consume(who, quotas, 1), /gone/)
    assert.equal(store.isUp, false, 'asked at each look')
    const text = await read()
    assert.equal(text.value('filmgate_limiter_decisions_total', { policy: 'total', outcome: 'allowed' }), 1)
    assert.equal(text.value('filmgate_limiter_decisions_total', { policy: 'total', outcome: 'failed' }), 1)
    assert.equal(text.value('filmgate_limiter_store_duration_seconds_count'), 2)
  })
})

test('what only others know is not there before they are, and then as they say', async () => {
  const { metrics, store, read } = open()
  const before = await read()
  for (const name of ['filmgate_limiter_tracked_clients', 'filmgate_decisions_active', 'filmgate_monitor_tracked'])
    assert.equal(before.value(name), undefined, name)
  assert.equal(before.value('filmgate_log_dropped_lines_total'), 5)
  assert.equal(before.value('filmgate_log_failing'), 1)
  void store.consume(who, [quota('a', 1), quota('b', 1)], 1)
  metrics.watch({
    config: { limits: { maxTrackedClients: 100 } },
    limiterStore: store,
    monitor: { tracked: 7, decisions: { enforced: 2 } },
    routes: [],
  } as never)
  const text = await read()
  assert.equal(text.value('filmgate_limiter_tracked_clients'), 1, 'two logs of the four that a client may have')
  assert.equal(text.value('filmgate_decisions_active'), 2)
  assert.equal(text.value('filmgate_monitor_tracked'), 7)
})

test('votes are counted where they were recorded, and none for a film that is not there', async () => {
  const { metrics, read } = open()
  const votes = countVotes({ record: () => Promise.resolve([true, false, true]) }, metrics)
  assert.deepEqual(await votes.record('v', []), [true, false, true])
  assert.equal((await read()).value('filmgate_votes_total'), 2)
  const failing = countVotes({ record: () => Promise.reject(new Error('full')) }, metrics)
  await assert.rejects(failing.record('v', []), /full/)
  assert.equal((await read()).value('filmgate_votes_total'), 2)
})
