import assert from 'node:assert/strict'
import { test } from 'node:test'

import { eventually } from '../../../test/support/deadline.ts'
import type { DecisionChange } from './decision.ts'
import { Outbox } from './outbox.ts'

const decided = (id: string, expiresAt = Infinity): DecisionChange => ({ change: 'decided', decision: { id, expiresAt } as never })
const lifted = (id: string): DecisionChange => ({ change: 'lifted', id, by: 'uadmin' })
const idOf = (change: DecisionChange): string => (change.change === 'decided' ? change.decision.id : `-${change.id}`)

/** A store that is away until it is told otherwise. */
const createStore = () => {
  const store = {
    isAway: false,
    tries: 0,
    stored: [] as string[],
    deliver: async (changes: readonly DecisionChange[]): Promise<void> => {
      store.tries++
      await new Promise((resolve) => setImmediate(resolve))
      if (store.isAway) throw new Error('away')
      store.stored.push(...changes.map(idOf))
    },
  }
  return store
}

test('what a store is told arrives in order, once, however often it was said and however often the store was away', async () => {
  const store = createStore()
  store.isAway = true
  const outbox = new Outbox({ deliver: store.deliver, epochMs: () => 0 })
  const added = ['a', 'b', 'a', 'c'].map((id) => outbox.add(decided(id)))
  const end = outbox.add(lifted('a'))
  await eventually(5000, 'it is tried again', () => store.tries >= 3)
  assert.deepEqual([outbox.holds('a'), outbox.size], [true, 4])
  store.isAway = false
  await Promise.all([...added, end])
  assert.deepEqual(store.stored, ['a', 'b', 'c', '-a'])
  assert.deepEqual([outbox.holds('a'), outbox.size], [false, 0])
  await outbox.close(1000)
})

test('a flush does not wait for its turn, and ends with the store away, too', async () => {
  const store = createStore()
  store.isAway = true
  const outbox = new Outbox({ deliver: store.deliver, epochMs: () => 0 })
  const added = outbox.add(decided('a'))
  for (let i = 0; i < 8; i++) await outbox.flush()
  // By now it would wait for seconds.
  store.isAway = false
  await outbox.flush()
  assert.deepEqual(store.stored, ['a'])
  await added
})

test('what is over is not stored any more, and of too many the oldest is given up', async () => {
  const store = createStore()
  store.isAway = true
  let now = 0
  const outbox = new Outbox({ deliver: store.deliver, epochMs: () => now, most: 3 })
  const over = outbox.add(decided('over', 1000))
  const others = ['b', 'c', 'd'].map((id) => outbox.add(decided(id, 5000)))
  await assert.rejects(over, /too many/)
  const short = outbox.add(decided('short', 2000))
  await assert.rejects(others[0]!, /too many/)
  await outbox.flush()
  now = 2000
  store.isAway = false
  await outbox.flush()
  await assert.rejects(short, /over/)
  assert.deepEqual(store.stored, ['c', 'd'])
})

test('a store that hangs holds up the end for no longer than it may, and nothing is taken behind it', async () => {
  const hangs = new Outbox({ deliver: () => new Promise(() => undefined), epochMs: () => 0 })
  const added = hangs.add(decided('a'))
  const startMs = performance.now()
  await hangs.close(50)
  assert.ok(performance.now() - startMs >= 45)
  await assert.rejects(added, /closed/)
  await assert.rejects(hangs.add(decided('b')), /closed/)

  const store = createStore()
  store.isAway = true
  const late = new Outbox({ deliver: store.deliver, epochMs: () => 0 })
  const last = late.add(decided('a'))
  await eventually(5000, 'it was tried', () => store.tries > 0)
  store.isAway = false
  await late.close(5000)
  await last
  assert.deepEqual(store.stored, ['a'], 'the end is one more try')
})
