import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import fc from 'fast-check'

import { createMemoryStore } from './memory-store.ts'
import { parseLimits } from './notation.ts'
import type { Decision, Quota, Window } from './store.ts'

/** A bucket of tokens, in milliseconds of debt: the other way to say GCRA, with nothing in common with the store's. */
class SlowBucket {
  readonly #window: Window
  #debtMs = 0
  #lastMs = 0

  constructor(window: Window) {
    this.#window = window
  }

  get intervalMs(): number {
    return this.#window.windowMs / this.#window.limit
  }

  get mostMs(): number {
    return (this.#window.burst ?? 0) * this.intervalMs + (this.#window.maxDelayMs ?? 0)
  }

  debtAt(nowMs: number): number {
    this.#debtMs = Math.max(0, this.#debtMs - (nowMs - this.#lastMs))
    this.#lastMs = nowMs
    return this.#debtMs
  }

  waitMs(cost: number, nowMs: number): number {
    if (cost * this.intervalMs > this.mostMs + slackMs) return Infinity
    return this.debtAt(nowMs) + cost * this.intervalMs - this.mostMs
  }

  take(cost: number, nowMs: number): number {
    this.#debtMs = this.debtAt(nowMs) + cost * this.intervalMs
    return Math.max(0, this.#debtMs - (this.#window.burst ?? 0) * this.intervalMs)
  }
}

/** Whatever lies nearer to a border than this may fall to either side: doubles are added in another order. */
const slackMs = 1e-4
const isNear = (ms: number): boolean => Math.abs(ms) <= slackMs

const rate = fc.record({
  name: fc.constant('rate'),
  limit: fc.integer({ min: 1, max: 50 }),
  windowMs: fc.constantFrom(1000, 1500, 60_000, 333),
  burst: fc.integer({ min: 1, max: 12 }),
  maxDelayMs: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 5000 }), fc.double({ min: 0.1, max: 100, noNaN: true })),
})
const strict = fc.record({
  name: fc.constant('window'),
  limit: fc.integer({ min: 1, max: 20 }),
  windowMs: fc.constantFrom(700, 1000, 30_000),
})
const steps = fc.array(
  fc.record({
    ms: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 300 }), fc.double({ min: 0, max: 4000, noNaN: true })),
    cost: fc.oneof({ weight: 4, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.integer({ min: 1, max: 15 }) }),
    waits: fc.boolean(),
  }),
  { minLength: 1, maxLength: 80, size: 'max' },
)
const startMs = fc.constantFrom(0, 0.1, 12_345.678, 1e9 + 0.3)

const assertSane = ({ states, retryAfterMs, delayMs, at }: Decision): void => {
  for (const { window, remaining, resetMs } of states) {
    assert.ok(Number.isInteger(remaining) && remaining >= 0 && remaining <= Math.max(window.limit, 1e9), `remaining ${remaining}`)
    assert.ok(Number.isFinite(resetMs) && resetMs >= 0, `reset ${resetMs}`)
  }
  assert.ok(retryAfterMs >= 0 && Number.isFinite(delayMs) && delayMs >= 0 && Number.isFinite(at))
}

test('rates and windows in one decision agree with slow models in every answer, and are taken together or not at all', () => {
  fc.assert(
    fc.property(startMs, rate, rate, strict, steps, (start, first, second, window, requests) => {
      let nowMs = start
      const store = createMemoryStore({ clock: { monotonicMs: () => nowMs }, maxTrackedClients: 10 })
      const quotas: readonly Quota[] = [
        { scope: 'mixed', windows: [first, window] },
        { scope: 'other', windows: [second] },
      ]
      const buckets = [new SlowBucket(first), new SlowBucket(second)]
      const moments: number[] = []
      for (const { ms, cost } of requests) {
        nowMs += ms
        const waits = buckets.map((bucket) => bucket.waitMs(cost, nowMs))
        // Too near to say: the models would go apart from here on.
        if (waits.some(isNear)) continue
        const inside = moments.filter((moment) => nowMs - moment < window.windowMs)
        const decision = store.consume({ id: 'a' }, quotas, cost)
        assertSane(decision)
        const [firstWaits, secondWaits] = waits.map((wait) => wait > 0)
        const windowWaits = inside.length + cost > window.limit
        assert.deepEqual(decision.violated, [firstWaits ? first : [], windowWaits ? window : [], secondWaits ? second : []].flat())
        assert.equal(decision.allowed, decision.violated.length === 0)
        if (decision.allowed) {
          for (let unit = 0; unit < cost; unit++) moments.push(nowMs)
          const delayMs = Math.max(...buckets.map((bucket) => bucket.take(cost, nowMs)))
          assert.ok(isNear(decision.delayMs - delayMs), `${decision.delayMs} is not ${delayMs}`)
        } else {
          const windowWait =
            cost > window.limit ? Infinity : windowWaits ? window.windowMs - (nowMs - inside[inside.length + cost - window.limit - 1]!) : 0
          const waitMs = Math.max(...waits, windowWait)
          assert.ok(decision.retryAfterMs === waitMs || isNear(decision.retryAfterMs - waitMs), `${decision.retryAfterMs} is not ${waitMs}`)
        }
        const left = [decision.states[0]!, decision.states[2]!].map(({ remaining }) => remaining)
        for (const [i, bucket] of buckets.entries()) {
          const exact = (bucket.mostMs - bucket.debtAt(nowMs)) / bucket.intervalMs
          assert.ok([Math.floor(exact - 1e-4), Math.floor(exact + 1e-4)].includes(left[i]!), `${left[i]} of ${exact}`)
        }
      }
    }),
    { numRuns: 1500 },
  )
})

test('a wait that is honoured is enough, and anything shorter is not; what is left stays for as long as the answer says', () => {
  fc.assert(
    fc.property(startMs, rate, steps, (start, window, requests) => {
      let nowMs = start
      const store = createMemoryStore({ clock: { monotonicMs: () => nowMs }, maxTrackedClients: 10 })
      const quotas: readonly Quota[] = [{ scope: 'rate', windows: [window] }]
      for (const { ms, cost, waits } of requests) {
        nowMs += ms
        const decision = store.consume({ id: 'a' }, quotas, cost)
        const [state] = decision.states
        if (state !== undefined && state.resetMs > 1) {
          const saidMs = nowMs
          nowMs = saidMs + state.resetMs * 0.99
          assert.equal(store.peek({ id: 'a' }, quotas).states[0]?.remaining, state.remaining)
          const most = window.burst + (window.maxDelayMs * window.limit) / window.windowMs
          if (!waits || state.remaining >= Math.floor(most + slackMs)) continue
          nowMs = saidMs + state.resetMs + slackMs
          assert.ok(store.peek({ id: 'a' }, quotas).states[0]!.remaining > state.remaining, 'more by then')
          continue
        }
        if (decision.allowed || decision.retryAfterMs === Infinity) continue
        const refusedMs = nowMs
        nowMs = refusedMs + decision.retryAfterMs * 0.99
        if (decision.retryAfterMs > 0.01) assert.ok(!store.consume({ id: 'a' }, quotas, cost).allowed, 'allowed before the wait was over')
        nowMs = refusedMs + decision.retryAfterMs
        assert.ok(store.consume({ id: 'a' }, quotas, cost).allowed, 'refused after the wait')
      }
    }),
    { numRuns: 1000 },
  )
})

test('attack: whatever the rhythm, no span sees more than the burst and what the span earns', () => {
  fc.assert(
    fc.property(startMs, rate, steps, (start, window, requests) => {
      let nowMs = start
      const store = createMemoryStore({ clock: { monotonicMs: () => nowMs }, maxTrackedClients: 10 })
      const admitted: { readonly startMs: number; readonly cost: number }[] = []
      for (const { ms, cost } of requests) {
        nowMs += ms
        const decision = store.consume({ id: 'a' }, [{ scope: 'rate', windows: [window] }], cost)
        if (decision.allowed) admitted.push({ startMs: nowMs + decision.delayMs, cost })
      }
      for (const [i, from] of admitted.entries()) {
        let units = 0
        for (const to of admitted.slice(i)) {
          units += to.cost
          // One that costs more than the burst begins when all of it but the burst is earned.
          const earned = ((to.startMs - from.startMs) * window.limit) / window.windowMs
          if (from.cost === 1 && to.cost === 1)
            assert.ok(units <= window.burst + earned + 1e-3 + longCosts(admitted.slice(i), window), `${units} units`)
        }
      }
    }),
    { numRuns: 300 },
  )
})

const longCosts = (admitted: readonly { readonly cost: number }[], { burst = 1 }: Window): number =>
  Math.max(0, ...admitted.map(({ cost }) => cost - burst))

const bench = (text: string, maxDelayMs = 0) => {
  const clock = { nowMs: 0, monotonicMs: () => clock.nowMs }
  const store = createMemoryStore({ clock, maxTrackedClients: 10 })
  const quotas: readonly Quota[] = [{ scope: 'rate', windows: parseLimits(text).map((window) => ({ ...window, maxDelayMs })) }]
  return { clock, store, quotas, take: (cost = 1) => store.consume({ id: 'a' }, quotas, cost) }
}

describe('by example', () => {
  test('"10 per second burst 3": three at once, then one each tenth of a second', () => {
    const { clock, take } = bench('10 per second burst 3')
    assert.deepEqual(
      [take(), take(), take(), take()].map(({ allowed, states: [state], retryAfterMs }) => [allowed, state?.remaining, retryAfterMs]),
      [
        [true, 2, 0],
        [true, 1, 0],
        [true, 0, 0],
        [false, 0, 100],
      ],
    )
    clock.nowMs = 100
    assert.deepEqual([take().allowed, take().allowed], [true, false])
    clock.nowMs = 1e6
    assert.deepEqual([take(3).allowed, take().allowed], [true, false])
  })

  test('with a delay, thirty at once are spaced by the interval, and the rest refused (case 23)', () => {
    const { take } = bench('10 per second burst 1', 1000)
    const all = Array.from({ length: 30 }, () => take())
    assert.deepEqual(
      all.filter(({ allowed }) => allowed).map(({ delayMs }) => Math.round(delayMs)),
      Array.from({ length: 11 }, (_, i) => i * 100),
    )
    for (const { allowed, retryAfterMs } of all.slice(11)) assert.deepEqual([allowed, Math.round(retryAfterMs)], [false, 100])
  })

  test('a cost above the burst is refused for good, and a rate that was raised helps at once', () => {
    const { store, take } = bench('1 per hour burst 2')
    assert.equal(take(3).retryAfterMs, Infinity)
    assert.ok(take(2).allowed && !take().allowed)
    const raised: readonly Quota[] = [{ scope: 'rate', windows: parseLimits('100 per hour burst 2') }]
    assert.equal(store.consume({ id: 'a' }, raised, 1).retryAfterMs, 36_000)
  })

  test('two rates of one period in a quota, which would be one, are an error', () => {
    const { store } = bench('1 per hour burst 2')
    const windows = [...parseLimits('1 per hour burst 2'), ...parseLimits('9 per hour burst 9')]
    assert.throws(() => store.consume({ id: 'a' }, [{ scope: 'x', windows }], 1), RangeError)
  })
})
