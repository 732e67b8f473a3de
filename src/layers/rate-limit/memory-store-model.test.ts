import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createMemoryStore } from './memory-store.ts'
import type { Decision, Quota, Window } from './store.ts'

/** The promise of the seam, written down as slowly and plainly as possible: every unit of cost ever admitted, and a look at all of them. */
class SlowModel {
  readonly #moments = new Map<string, number[]>()

  admit(identity: string, quotas: readonly Quota[], cost: number, nowMs: number): void {
    for (const { scope } of quotas) {
      const key = JSON.stringify([scope, identity])
      const moments = this.#moments.get(key) ?? []
      for (let unit = 0; unit < cost; unit++) moments.push(nowMs)
      this.#moments.set(key, moments)
    }
  }

  /** The units in the last `spanMs`, oldest first. */
  inside(identity: string, scope: string, spanMs: number, nowMs: number): number[] {
    return (this.#moments.get(JSON.stringify([scope, identity])) ?? []).filter((moment) => nowMs - moment < spanMs)
  }
}

const isExact = ({ limit }: Window): boolean => limit <= 256

const fitsInMs = (inside: readonly number[], cost: number, { limit, windowMs }: Window, nowMs: number): number => {
  if (cost > limit) return Infinity
  const tooMany = inside.length + cost - limit
  return tooMany <= 0 ? 0 : windowMs - (nowMs - inside[tooMany - 1]!)
}

/** Compares one decision with the model, then counts it there. */
const check = (model: SlowModel, decision: Decision, identity: string, quotas: readonly Quota[], cost: number, nowMs: number): void => {
  const charged = decision.allowed ? cost : 0
  const windows = quotas.flatMap(({ scope, windows: own }) => own.map((window) => ({ scope, window })))
  const violated: Window[] = []
  let exactWaitMs = 0
  for (const [index, { scope, window }] of windows.entries()) {
    const { limit, windowMs } = window
    const state = decision.states[index]!
    const inside = model.inside(identity, scope, windowMs, nowMs)
    const refuses = decision.violated.includes(window)
    if (refuses) violated.push(window)
    assert.equal(state.window, window)
    assert.ok(inside.length + charged <= limit, 'more than the limit in one span')
    if (isExact(window)) {
      assert.equal(refuses, inside.length + cost > limit)
      assert.equal(state.remaining, limit - inside.length - charged)
      const oldest = inside[0] ?? (decision.allowed ? nowMs : undefined)
      assert.equal(state.resetMs, oldest === undefined ? 0 : windowMs - (nowMs - oldest))
      if (refuses) exactWaitMs = Math.max(exactWaitMs, fitsInMs(inside, cost, window, nowMs))
    } else {
      const mostCounted = model.inside(identity, scope, windowMs + windowMs / 60, nowMs).length
      assert.ok(state.remaining <= limit - inside.length - charged, 'less counted than there is')
      assert.ok(state.remaining >= limit - mostCounted - charged, 'more counted than one sub-window too long')
      assert.equal(refuses, charged === 0 && cost > state.remaining)
    }
  }
  assert.deepEqual(decision.violated, violated)
  assert.equal(decision.allowed, violated.length === 0)
  if (violated.every(isExact)) assertClose(decision.retryAfterMs, exactWaitMs, nowMs)
  else assert.ok(decision.retryAfterMs >= exactWaitMs)
  if (decision.allowed) model.admit(identity, quotas, cost, nowMs)
}

/** The store may add the last bit of `now`, so that the wait holds in doubles. */
const assertClose = (actual: number, expected: number, nowMs: number): void => {
  if (expected === Infinity) assert.equal(actual, Infinity)
  else assert.ok(actual >= expected && actual - expected <= 4 * Number.EPSILON * (nowMs + expected), `${actual} is not ${expected}`)
}

const lengthMs = fc.oneof(
  fc.constantFrom(1, 10, 60, 100, 1000),
  fc.integer({ min: 1, max: 5000 }),
  fc.double({ min: 0.1, max: 500, noNaN: true }),
)
const exactLimit = fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 10, max: 256 }), fc.constantFrom(4, 8, 255, 256))
const coarseLimit = fc.integer({ min: 257, max: 1000 })
const windowOf = (limit: fc.Arbitrary<number>): fc.Arbitrary<Window> => fc.record({ name: fc.constant('any'), limit, windowMs: lengthMs })
const windowsOf = fc.array(fc.oneof({ weight: 3, arbitrary: windowOf(exactLimit) }, { weight: 1, arbitrary: windowOf(coarseLimit) }), {
  minLength: 1,
  maxLength: 3,
})

/** A moment to go to: a step from now, or the very border at which something admitted earlier leaves some window, or just beside it. */
const moment = fc.oneof(
  fc.record({
    name: fc.constant('step' as const),
    ms: fc.oneof(fc.constantFrom(0, 0, 1, 0.1), fc.double({ min: 0, max: 100, noNaN: true }), fc.integer({ min: 0, max: 6000 })),
  }),
  fc.record({ name: fc.constant('border' as const), event: fc.nat(), window: fc.nat(), byMs: fc.constantFrom(-1, -1e-9, 0, 0, 0, 1e-9) }),
)
const request = fc.record({
  identity: fc.constantFrom('a', 'b'),
  scopes: fc.constantFrom([0], [1], [0, 1], [1, 0]),
  cost: fc.oneof(
    { weight: 4, arbitrary: fc.constant(1) },
    { weight: 2, arbitrary: fc.integer({ min: 1, max: 12 }) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 300 }) },
  ),
  /** How often at the same moment. */
  times: fc.oneof({ weight: 5, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.integer({ min: 2, max: 30 }) }),
})
const scenario = fc.record({
  startMs: fc.constantFrom(0, 0.1, 12_345.678, 1e9 + 0.3),
  windows: fc.tuple(windowsOf, windowsOf),
  steps: fc.array(fc.record({ moment, request }), { minLength: 1, maxLength: 120, size: 'max' }),
})

test('agrees with the slow model: exact windows in every number, coarse windows within one sub-window', () => {
  fc.assert(
    fc.property(scenario, ({ startMs, windows, steps }) => {
      let nowMs = startMs
      const store = createMemoryStore({ clock: { monotonicMs: () => nowMs }, maxTrackedClients: 10 })
      const model = new SlowModel()
      const both: readonly Quota[] = windows.map((own, index) => ({ scope: `scope${index}`, windows: own }))
      const allWindows = windows.flat()
      const events: number[] = []
      for (const { moment: to, request: wanted } of steps) {
        if (to.name === 'step') nowMs += to.ms
        else if (events.length > 0) {
          const borderMs = events[to.event % events.length]! + allWindows[to.window % allWindows.length]!.windowMs + to.byMs
          nowMs = Math.max(nowMs, borderMs)
        }
        const quotas = wanted.scopes.map((index) => both[index]!)
        for (let time = 0; time < wanted.times; time++) {
          const decision = store.consume({ id: wanted.identity }, quotas, wanted.cost)
          check(model, decision, wanted.identity, quotas, wanted.cost, nowMs)
          if (decision.allowed) events.push(nowMs)
        }
      }
    }),
    { numRuns: 1500 },
  )
})

test('a wait that is honoured to the last bit is enough, and anything shorter is not', () => {
  fc.assert(
    fc.property(scenario, ({ startMs, windows, steps }) => {
      let nowMs = startMs
      const store = createMemoryStore({ clock: { monotonicMs: () => nowMs }, maxTrackedClients: 10 })
      const both: readonly Quota[] = windows.map((own, index) => ({ scope: `scope${index}`, windows: own }))
      for (const { moment: to, request: wanted } of steps) {
        if (to.name === 'step') nowMs += to.ms
        const quotas = wanted.scopes.map((index) => both[index]!)
        const { allowed, retryAfterMs } = store.consume({ id: wanted.identity }, quotas, wanted.cost)
        if (allowed || retryAfterMs === Infinity) continue
        const refusedAtMs = nowMs
        // A wait below the resolution of doubles at this moment has no earlier one to try.
        nowMs = refusedAtMs + retryAfterMs * 0.999
        if (retryAfterMs > 1e-3)
          assert.ok(!store.consume({ id: wanted.identity }, quotas, wanted.cost).allowed, 'allowed before the wait was over')
        nowMs = refusedAtMs + retryAfterMs
        assert.ok(store.consume({ id: wanted.identity }, quotas, wanted.cost).allowed, 'refused after the wait')
      }
    }),
    { numRuns: 500 },
  )
})

test('with far more clients than room, no client ever gets more than the limit: not by overflow, not by sweeping, not by both in turn', () => {
  const steps = fc.array(
    fc.record({ client: fc.nat({ max: 15 }), cost: fc.integer({ min: 1, max: 3 }), ms: fc.oneof(fc.constant(0), fc.nat({ max: 2500 })) }),
    {
      minLength: 50,
      maxLength: 400,
      size: 'max',
    },
  )
  let overflowed = 0
  fc.assert(
    fc.property(steps, fc.integer({ min: 3, max: 20 }), (requests, limit) => {
      let nowMs = 0.5
      const store = createMemoryStore({ clock: { monotonicMs: () => nowMs }, maxTrackedClients: 1 })
      const model = new SlowModel()
      const quotas: readonly Quota[] = [
        {
          scope: 'exact',
          windows: [
            { name: 'long', limit, windowMs: 20_000 },
            { name: 'short', limit: 3, windowMs: 900 },
          ],
        },
        { scope: 'coarse', windows: [{ name: 'coarse', limit: 300, windowMs: 6000 }] },
      ]
      for (const { client, cost, ms } of requests) {
        nowMs += ms
        const identity = `client-${client}`
        if (!store.consume({ id: identity }, quotas, cost).allowed) continue
        model.admit(identity, quotas, cost, nowMs)
        for (const { scope, windows } of quotas) {
          for (const window of windows) assert.ok(model.inside(identity, scope, window.windowMs, nowMs).length <= window.limit)
        }
        assert.ok(store.tracked <= store.capacity + 2)
      }
      overflowed += store.overflowed
    }),
    { numRuns: 500 },
  )
  assert.ok(overflowed > 1000, 'the overflow was hardly used')
})
