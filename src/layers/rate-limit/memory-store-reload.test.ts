import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import fc from 'fast-check'

import { createMemoryStore, type MemoryStore } from './memory-store.ts'
import { parseLimits } from './notation.ts'
import type { Identity, Quota } from './store.ts'

const quota = (limits: string, scope = 'films'): Quota => ({ scope, windows: parseLimits(limits) })

const bench = (maxTrackedClients = 100) => {
  const clock = { nowMs: 1000, monotonicMs: () => clock.nowMs }
  return { clock, store: createMemoryStore({ clock, maxTrackedClients }) }
}

const admitted = (store: MemoryStore, quotas: readonly Quota[], attempts: number, identity: Identity = { id: 'client' }): number => {
  let count = 0
  for (let attempt = 0; attempt < attempts; attempt++) if (store.consume(identity, quotas, 1).allowed) count++
  return count
}

const secondsOf = { second: 1, minute: 60, hour: 3600 } as const
const limit = (unit: keyof typeof secondsOf) =>
  fc
    .tuple(fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constantFrom(200, 256, 257, 300, 500)), fc.constantFrom(1, 2))
    .map(([count, amount]) => ({
      text: `${count} per ${amount} ${unit}`,
      limit: count,
      spanMs: amount * secondsOf[unit] * 1000,
    }))
const limits = fc.subarray(['second', 'minute', 'hour'] as const, { minLength: 1 }).chain((units) => fc.tuple(...units.map(limit)))

/** What is asked between two reloads. */
const asked = fc.array(
  fc.record({
    ms: fc.oneof(fc.constantFrom(0, 1), fc.integer({ min: 0, max: 3000 }), fc.integer({ min: 0, max: 600_000 })),
    cost: fc.oneof({ weight: 3, arbitrary: fc.constant(1) }, { weight: 2, arbitrary: fc.integer({ min: 1, max: 120 }) }),
    times: fc.integer({ min: 1, max: 12 }),
    client: fc.nat({ max: 5 }),
  }),
  { maxLength: 12 },
)
const reloads = fc.array(fc.record({ limits, asked }), { minLength: 2, maxLength: 7, size: 'max' })

interface Admitted {
  readonly atMs: number
  readonly cost: number
  readonly client: number
  /** The longest time for which all limits in force since have counted it. */
  rememberedMs: number
}

/** After each admission, what all limits in force since then have counted stays within the limits that are now in force. */
const neverExceeded = (maxTrackedClients: number, mostUnits = Infinity) =>
  fc.property(reloads, (all) => {
    const { clock, store } = bench(maxTrackedClients)
    const events: Admitted[] = []
    for (const { limits: now, asked: requests } of all) {
      const quotas = [quota(now.map(({ text }) => text).join(';'))]
      const longestMs = Math.max(...now.map(({ spanMs }) => spanMs))
      for (const event of events) event.rememberedMs = Math.min(event.rememberedMs, longestMs)
      // No reload is done before the next tick: what came before it and what comes after have moments of their own.
      clock.nowMs += 0.01
      for (const { ms, cost: wanted, times, client } of requests) {
        clock.nowMs += ms
        const cost = Math.min(wanted, mostUnits)
        const identity = { id: `client-${client}`, wider: `network-${client % 2}` }
        for (let time = 0; time < times; time++) {
          const { allowed, states } = store.consume(identity, quotas, cost)
          for (const { remaining } of states) assert.ok(Number.isInteger(remaining) && remaining >= 0, `${remaining} left`)
          if (!allowed) continue
          events.push({ atMs: clock.nowMs, cost, client, rememberedMs: longestMs })
          for (const { spanMs, limit: most } of now) {
            const inside = events.filter(
              (event) => event.client === client && clock.nowMs - event.atMs < Math.min(spanMs, event.rememberedMs),
            )
            const units = inside.reduce((sum, event) => sum + event.cost, 0)
            assert.ok(units <= most, `${units} in ${spanMs} ms, ${most} allowed`)
          }
        }
      }
    }
  })

test('limits that are raised, lowered, lengthened and shortened, over 256 and back: never more than the limit in force', () => {
  fc.assert(neverExceeded(100), { numRuns: 1000 })
})

// Few units: of more than 256 that a client shares with others only 256 come along into a log of his own.
test('the same where there is no room, and newcomers are counted together', () => {
  fc.assert(neverExceeded(1, 1), { numRuns: 1000 })
})

test('nothing that was counted outside the window is held against anyone: after a reload as many are let in as are left', () => {
  fc.assert(
    fc.property(reloads, (all) => {
      const { clock, store } = bench()
      const events: Admitted[] = []
      for (const { limits: now, asked: requests } of all) {
        const quotas = [quota(now.map(({ text }) => text).join(';'))]
        for (const { ms, cost, client } of requests) {
          clock.nowMs += ms
          const decision = store.consume({ id: String(client) }, quotas, cost)
          if (decision.allowed) events.push({ atMs: clock.nowMs, cost, client, rememberedMs: 0 })
          for (const { window, remaining } of decision.states) {
            // A log that counts by sixtieths, of any limits so far (the longest is two hours), may count for one sixtieth longer, and what
            // is in one sixtieth with a reload more than once: it errs on the strict side.
            const inside = events.filter((event) => event.client === client && clock.nowMs - event.atMs < window.windowMs + 7_200_000 / 30)
            const units = inside.reduce((sum, event) => sum + event.cost, 0)
            assert.ok(remaining >= window.limit - 3 * units, `${remaining} left of ${window.limit}, ${units} used`)
          }
        }
      }
    }),
    { numRuns: 500 },
  )
})

const identity = (index: number): Identity => ({ id: `client-${index}`, wider: 'network' })

describe('by example', () => {
  test('each way over 256, and back, keeps the count', () => {
    const { clock, store } = bench()
    const steps: readonly (readonly [limits: string, admits: number])[] = [
      ['50 per hour', 50],
      ['400 per hour', 350],
      ['100 per hour', 0],
      ['200 per hour', 0],
      ['450 per hour', 50],
      ['460 per 2 hours', 10],
      ['470 per hour', 10],
      ['20 per second; 480 per hour', 10],
      ['20 per second; 200 per hour', 0],
    ]
    for (const [text, admits] of steps) {
      assert.equal(admitted(store, [quota(text)], 1000), admits, text)
      clock.nowMs += 1000
    }
  })

  test('a limit that comes back finds what was counted while it was away', () => {
    const { store } = bench()
    const [many, few] = [[quota('400 per hour')], [quota('100 per hour')]]
    assert.equal(admitted(store, many, 50), 50)
    assert.equal(admitted(store, few, 1000), 50)
    assert.equal(admitted(store, many, 1000), 300)
    assert.equal(admitted(store, few, 1000), 0)
  })

  test('two quotas of one scope that are used in turn count together, whatever their logs', () => {
    const { clock, store } = bench()
    const [many, few] = [[quota('300 per hour; 2 per second')], [quota('250 per hour')]]
    let count = 0
    for (let time = 0; time < 400; time++) {
      clock.nowMs += 600
      count += admitted(store, time % 2 === 0 ? many : few, 1)
    }
    assert.equal(count, 300)
  })

  test('a reload while the table is full loses no count, neither of the known nor of the newcomers', () => {
    const { store } = bench(1)
    const [before, after] = [[quota('250 per hour')], [quota('300 per hour')]]
    for (let index = 0; index < store.capacity; index++) assert.equal(admitted(store, before, 250, identity(index)), 250)
    assert.equal(admitted(store, before, 1000, identity(99)), 250)
    for (const index of [0, 1, 2, 3, 99]) assert.equal(admitted(store, after, 1000, identity(index)), 50, `client ${index}`)
    assert.equal(admitted(store, after, 1000, identity(100)), 0)
  })

  test('old totals of a coarse log are not taken for recent ones', () => {
    const { clock, store } = bench()
    const minute = [quota('300 per minute')]
    for (let round = 0; round < 40; round++) {
      clock.nowMs += 30_000
      admitted(store, minute, 100)
    }
    // 200 of the last minute, or 300 if a sixtieth is counted for longer.
    const left = admitted(store, [quota('1000 per hour')], 2000)
    assert.ok(left >= 700 && left <= 800, String(left))
  })

  test('what was taken before a reload and is given back after it is free again', () => {
    const { store } = bench()
    const [many, few] = [[quota('400 per hour')], [quota('100 per hour')]]
    admitted(store, many, 99)
    const last = store.consume({ id: 'client' }, many, 1)
    assert.equal(admitted(store, few, 1), 0)
    store.refund({ id: 'client' }, few, 1, last)
    assert.equal(admitted(store, few, 5), 1)
  })

  test('a rate keeps its debt when it is raised or lowered', () => {
    const { clock, store } = bench()
    assert.equal(admitted(store, [quota('10 per second burst 5')], 10), 5)
    assert.equal(admitted(store, [quota('20 per second burst 10')], 20), 0)
    clock.nowMs += 500
    assert.equal(admitted(store, [quota('10 per second burst 5')], 20), 5)
  })
})
