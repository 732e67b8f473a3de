import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'

import { createManualClock, type ManualClock } from '../../../test/support/manual-clock.ts'
import { createMemoryStore } from '../rate-limit/memory-store.ts'
import { Gate, type GateOptions, type OnTurn, type Pace, type PaceStore, type Refusal, type Visit } from './gate.ts'

interface PaceShape {
  readonly limit: number
  readonly windowMs: number
  readonly burst?: number
  readonly maxDelayMs?: number
}

const paceOf = ({ limit, windowMs, burst = 1, maxDelayMs = 1e9 }: PaceShape): Pace => [
  { scope: 'throttle GET /', windows: [{ name: 'throttle', limit, windowMs, burst, maxDelayMs }] },
]

interface Outcome {
  readonly who: string
  readonly atMs: number
  readonly refusal: Refusal | undefined
}

const createScene = (options: Partial<GateOptions> = {}) => {
  const clock: ManualClock = createManualClock(1000)
  const store: PaceStore = createMemoryStore({ clock, maxTrackedClients: 1000 })
  const gate = new Gate({ store, clock, timers: clock, maxWaitingInAll: () => 1000, ...options })
  const outcomes: Outcome[] = []
  const heard =
    (who: string): OnTurn =>
    (refusal) =>
      void outcomes.push({ who, atMs: clock.monotonicMs() - 1000, refusal })
  const enter = (who: string, pace: Pace, id = 'client'): Visit => gate.enter({ id }, pace, heard(who))
  const started = () => outcomes.filter(({ refusal }) => refusal === undefined).map(({ who, atMs }) => [who, atMs])
  const refused = () => outcomes.filter(({ refusal }) => refusal !== undefined).map(({ who, refusal }) => [who, refusal])
  return { clock, store, gate, enter, started, refused }
}

const tenPerSecond = paceOf({ limit: 10, windowMs: 1000 })

describe('pace and order', () => {
  test('one at a time, in the order of arrival, each at its moment', () => {
    const { clock, gate, enter, started } = createScene()
    for (const who of 'abcd') enter(who, tenPerSecond)
    assert.deepEqual(started(), [['a', 0]])
    assert.deepEqual([gate.waiting, gate.lines, clock.timers], [3, 1, 1])
    clock.advance(1000)
    assert.deepEqual(started(), [
      ['a', 0],
      ['b', 100],
      ['c', 200],
      ['d', 300],
    ])
    assert.deepEqual([gate.waiting, gate.lines, clock.timers], [0, 0, 0])
  })

  test('a burst goes at once, the rest at the pace', () => {
    const { clock, enter, started } = createScene()
    const pace = paceOf({ limit: 10, windowMs: 1000, burst: 3 })
    for (const who of 'abcde') enter(who, pace)
    clock.advance(1000)
    assert.deepEqual(
      started().map(([, atMs]) => atMs),
      [0, 0, 0, 100, 200],
    )
  })

  test('identities and routes do not wait for each other', () => {
    const { gate, enter, started } = createScene()
    const other: Pace = [{ ...tenPerSecond[0], scope: 'throttle GET /other' }]
    enter('a', tenPerSecond)
    enter('b', tenPerSecond, 'somebody')
    enter('c', other)
    for (const who of 'def') enter(who, tenPerSecond)
    enter('g', other)
    assert.deepEqual(
      started().map(([who]) => who),
      ['a', 'b', 'c'],
    )
    assert.deepEqual([gate.waiting, gate.lines], [4, 2])
  })

  test('a late timer lets no newcomer overtake, an early one lets nobody through', () => {
    const callbacks: (() => void)[] = []
    const timers = { after: (_ms: number, callback: () => void) => (callbacks.push(callback), () => undefined) }
    const { clock, enter, started } = createScene({ timers })
    const burst = paceOf({ limit: 10, windowMs: 1000, burst: 2 })
    for (const who of 'abcd') enter(who, burst)
    clock.advance(99)
    callbacks.at(-1)?.()
    assert.equal(started().length, 2, 'the timer was early')
    clock.advance(901)
    enter('e', burst)
    assert.deepEqual(
      started().map(([who]) => who),
      ['a', 'b', 'c', 'd', 'e'],
    )
  })
})

describe('bounds', () => {
  test('nobody waits longer than the pace allows: refused with the time after which it would be let in to wait', () => {
    const { clock, enter, started, refused } = createScene()
    const pace = paceOf({ limit: 10, windowMs: 1000, maxDelayMs: 200 })
    for (const who of 'abcd') enter(who, pace)
    assert.deepEqual(refused(), [['d', { reason: 'pace', retryAfterMs: 100 }]])
    clock.advance(100)
    enter('e', pace)
    clock.advance(1000)
    assert.deepEqual(started().at(-1), ['e', 300])
  })

  test('waiters in all: one more is refused and its slot is free again', () => {
    const { clock, gate, enter, started, refused } = createScene({ maxWaitingInAll: () => 2 })
    enter('a', tenPerSecond)
    enter('b', tenPerSecond)
    enter('c', tenPerSecond, 'somebody')
    enter('d', tenPerSecond, 'somebody')
    enter('e', tenPerSecond)
    assert.deepEqual(refused(), [['e', { reason: 'full' }]])
    enter('f', tenPerSecond, 'a third')
    assert.equal(gate.waiting, 2, 'who need not wait is let through')
    clock.advance(100)
    enter('g', tenPerSecond)
    clock.advance(1000)
    assert.deepEqual(started().at(-1), ['g', 200])
  })
})

describe('leaving', () => {
  test('those behind move up, and the place at the end can be had again', () => {
    const { clock, gate, enter, started } = createScene()
    const [, b, , d] = ['a', 'b', 'c', 'd'].map((who) => enter(who, tenPerSecond))
    assert.equal(gate.leave(b!), true)
    assert.equal(gate.leave(b!), false)
    enter('e', tenPerSecond)
    assert.equal(gate.leave(d!), true)
    clock.advance(1000)
    assert.deepEqual(started(), [
      ['a', 0],
      ['c', 100],
      ['e', 200],
    ])
    assert.deepEqual([gate.waiting, gate.lines, clock.timers], [0, 0, 0])
  })

  test('who is through cannot leave; who leaves alone leaves nothing behind', () => {
    const { clock, gate, enter } = createScene()
    const [a, b] = ['a', 'b'].map((who) => enter(who, tenPerSecond))
    assert.equal(gate.leave(a!), false)
    assert.equal(gate.leave(b!), true)
    assert.deepEqual([gate.waiting, gate.lines, clock.timers], [0, 0, 0])
  })

  test('all may leave, one after the other: every place is free again', () => {
    const { clock, gate, enter, started } = createScene()
    clock.advance(1 / 3)
    const thirds = paceOf({ limit: 3, windowMs: 1000 })
    const visits = Array.from({ length: 50 }, (_, i) => enter(String(i), thirds))
    for (const visit of visits.slice(1)) assert.equal(gate.leave(visit), true)
    enter('late', thirds)
    clock.advance(1000)
    const [, late] = started()
    assert.equal(late?.[0], 'late')
    assert.ok(Math.abs(Number(late?.[1]) - 1000 / 3 - 1 / 3) < 0.001, String(late?.[1]))
  })
})

test('at the end those who wait are refused, their slots go back, and nobody waits any more', () => {
  const { clock, store, gate, enter, refused, started } = createScene()
  for (const who of 'abc') enter(who, tenPerSecond)
  gate.close()
  enter('d', tenPerSecond)
  assert.deepEqual(refused(), [
    ['b', { reason: 'closing' }],
    ['c', { reason: 'closing' }],
    ['d', { reason: 'closing' }],
  ])
  assert.deepEqual([gate.waiting, gate.lines, clock.timers], [0, 0, 0])
  enter('e', tenPerSecond, 'somebody')
  assert.equal(started().length, 2, 'who need not wait is let through')
  const decision = store.consume({ id: 'client' }, tenPerSecond, 1)
  assert.ok(!(decision instanceof Promise) && decision.delayMs === 100)
})

/** The memory store as if it stood far away. */
const far = (store: PaceStore): PaceStore => ({
  consume: async (...given) => {
    await turn()
    return store.consume(...given)
  },
  refund: async (...given) => store.refund(...given),
})

describe('a store that answers later', () => {
  test('who leaves before the answer leaves no gap', async () => {
    const near = createScene()
    const gate = new Gate({ store: far(near.store), clock: near.clock, timers: near.clock, maxWaitingInAll: () => 10 })
    const starts: [string, number][] = []
    const visits = ['a', 'b', 'c', 'd'].map((who) =>
      gate.enter({ id: 'client' }, tenPerSecond, () => void starts.push([who, near.clock.monotonicMs() - 1000])),
    )
    assert.equal(gate.leave(visits[3]!), true)
    await turn()
    await turn()
    gate.enter({ id: 'client' }, tenPerSecond, () => void starts.push(['e', near.clock.monotonicMs() - 1000]))
    await turn()
    await turn()
    near.clock.advance(1000)
    assert.deepEqual(starts, [
      ['a', 0],
      ['b', 100],
      ['c', 200],
      ['e', 300],
    ])
  })

  test('no answer: refused; no refund: the slot is lost, no more', async () => {
    const cause = new Error('down')
    const { clock, store } = createScene()
    let isDown = true
    const failing: PaceStore = {
      consume: (...given) => (isDown ? Promise.reject(cause) : store.consume(...given)),
      refund: () => Promise.reject(cause),
    }
    const gate = new Gate({ store: failing, clock, timers: clock, maxWaitingInAll: () => 10 })
    const heard: (Refusal | undefined)[] = []
    gate.enter({ id: 'client' }, tenPerSecond, (refusal) => void heard.push(refusal))
    await turn()
    assert.deepEqual(heard, [{ reason: 'store', cause }])
    isDown = false
    const visits = [1, 2, 3].map(() => gate.enter({ id: 'client' }, tenPerSecond, (refusal) => void heard.push(refusal)))
    gate.leave(visits[1]!)
    await turn()
    clock.advance(100)
    assert.deepEqual(heard.slice(1), [undefined, undefined])
  })
})
