import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createMemoryStore } from './memory-store.ts'
import { parseLimits } from './notation.ts'
import type { Quota } from './store.ts'

const minuteMs = 60_000
const perMinute: Quota = { scope: 'films', windows: parseLimits('3 per minute') }

/** A store with room for `capacity` logs of `perMinute`, and a client that has used all of its own. */
const storeWithVictim = (maxTrackedClients: number) => {
  const clock = { nowMs: 0, monotonicMs: () => clock.nowMs }
  const store = createMemoryStore({ clock, maxTrackedClients })
  const admits = (identity: string): boolean => store.consume({ id: identity }, [perMinute], 1).allowed
  while (admits('victim'));
  return { clock, store, admits }
}

test('attack: filling the table does not make it forget an exhausted client', () => {
  const { clock, store, admits } = storeWithVictim(50)
  for (let index = 0; index < 10_000; index++) {
    clock.nowMs += 1
    admits(`flood-${index}`)
    assert.ok(!admits('victim'))
  }
  assert.ok(store.overflowed > 0)
  assert.ok(store.tracked <= store.capacity + 1, `${store.tracked} logs`)
})

test('newcomers without room are counted together, and known clients go on as before', () => {
  const { store, admits } = storeWithVictim(50)
  let served = 0
  for (let index = 0; index < 10_000; index++) if (admits(`flood-${index}`)) served++
  const own = store.capacity - 1
  assert.equal(served, own + 3)
  assert.ok(admits('flood-0') && admits('flood-0') && !admits('flood-0'))
  assert.equal(store.overflowed, 3)
})

test('attack: a client of the overflow does not get a second quota when there is room again', () => {
  const { clock, store, admits } = storeWithVictim(50)
  clock.nowMs = 30_000
  for (let index = 1; index < store.capacity; index++) admits(`flood-${index}`)
  clock.nowMs = 55_000
  while (admits('late'));
  assert.equal(store.overflowed, 3)
  // The flood is dead and there is room, but three of the last minute's requests were made by somebody without a log.
  clock.nowMs = 95_000
  assert.ok(!admits('late'), 'admitted six within a minute')
  assert.ok(!admits('later'), 'the store cannot know that this is somebody else')
  assert.ok(store.tracked < store.capacity)
  clock.nowMs = 55_000 + minuteMs
  assert.ok(admits('late') && admits('later') && admits('late') && admits('late') && !admits('late'))
  assert.equal(store.overflowed, 3)
})

test('a newcomer who inherits the count of the overflow goes on alone from there', () => {
  const { clock, admits } = storeWithVictim(50)
  clock.nowMs = 30_000
  for (let index = 1; index < 200; index++) admits(`flood-${index}`)
  clock.nowMs = 55_000
  assert.ok(admits('late'))
  clock.nowMs = 95_000
  for (const identity of ['late', 'later', 'latest']) assert.ok(admits(identity) && admits(identity) && !admits(identity), identity)
})

test('each kind of log has an overflow of its own, and all or nothing holds there too', () => {
  const nowMs = 0
  const store = createMemoryStore({ clock: { monotonicMs: () => nowMs }, maxTrackedClients: 1 })
  const wide: Quota = { scope: 'wide', windows: parseLimits('5 per hour') }
  const huge: Quota = { scope: 'huge', windows: parseLimits('400 per hour') }
  for (let index = 0; index < store.capacity; index++) store.consume({ id: `flood-${index}` }, [perMinute], 1)
  const admitted = ['a', 'b', 'c', 'd', 'e'].filter((identity) => store.consume({ id: identity }, [perMinute, wide, huge], 1).allowed)
  assert.deepEqual(admitted, ['a', 'b', 'c'])
  const { states } = store.consume({ id: 'f' }, [wide, huge], 1)
  assert.deepEqual(
    states.map(({ remaining }) => remaining),
    [1, 396],
  )
})

test('dead logs are swept by newcomers: a long flood of one-time clients stays far below the bound', () => {
  const { clock, store, admits } = storeWithVictim(1_000_000)
  let most = 0
  for (let index = 0; index < 1_000_000; index++) {
    clock.nowMs += 6
    admits(`once-${index}`)
    most = Math.max(most, store.tracked)
  }
  // 10 000 of them are alive at any time.
  assert.ok(most < 30_000, `${most} logs at the most`)
  assert.equal(store.overflowed, 0)
})

test('sweeping frees slabs for others: memory does not grow from one generation to the next', () => {
  const { clock, store } = storeWithVictim(20_000)
  const busy: Quota = { scope: 'busy', windows: parseLimits('100 per minute') }
  const generation = (name: string): number => {
    for (let index = 0; index < 20_000; index++) for (let time = 0; time < 20; time++) store.consume({ id: `${name}-${index}` }, [busy], 1)
    clock.nowMs += 2 * minuteMs
    return process.memoryUsage().arrayBuffers
  }
  generation('warm')
  const first = generation('first')
  for (const name of ['second', 'third', 'fourth']) assert.ok(generation(name) < first * 1.6, name)
})
