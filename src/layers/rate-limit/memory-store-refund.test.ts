import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import fc from 'fast-check'

import { createMemoryStore } from './memory-store.ts'
import { parseLimits } from './notation.ts'
import type { Decision, Quota } from './store.ts'

const quota = (limits: string, scope = 'films', maxDelayMs?: number): Quota => ({
  scope,
  windows: parseLimits(limits).map((window) => (maxDelayMs === undefined ? window : { ...window, maxDelayMs })),
})

const bench = (maxTrackedClients = 100) => {
  const clock = { nowMs: 1000, monotonicMs: () => clock.nowMs }
  return { clock, store: createMemoryStore({ clock, maxTrackedClients }) }
}

const steps = fc.array(
  fc.record({
    ms: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 400 }), fc.integer({ min: 0, max: 20_000 })),
    cost: fc.oneof({ weight: 4, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.integer({ min: 1, max: 6 }) }),
    client: fc.constantFrom('a', 'b'),
    does: fc.oneof(
      { weight: 5, arbitrary: fc.constant('consume' as const) },
      { weight: 2, arbitrary: fc.constantFrom('refund' as const, 'peek' as const) },
      { weight: 1, arbitrary: fc.constant('reset' as const) },
    ),
    which: fc.nat(),
  }),
  { minLength: 1, maxLength: 150, size: 'max' },
)

interface Taken {
  readonly decision: Decision
  readonly atMs: number
  readonly cost: number
}

test('exact windows: after any mixture of refunds, peeks and resets all is as if what was given back had never been', () => {
  const quotas = [quota('9 per 10 seconds; 4 per second', 'one'), quota('30 per minute', 'two')]
  fc.assert(
    fc.property(steps, (all) => {
      const { clock, store } = bench()
      const taken = new Map<string, Taken[]>([
        ['a', []],
        ['b', []],
      ])
      for (const { ms, cost, client, does, which } of all) {
        clock.nowMs += ms
        const identity = { id: client }
        const own = taken.get(client)!
        if (does === 'reset') {
          store.reset(identity)
          own.length = 0
        } else if (does === 'refund' && own.length > 0) {
          const [back] = own.splice(which % own.length, 1)
          store.refund(identity, quotas, back!.cost, back!.decision)
        }
        const decision = does === 'consume' ? store.consume(identity, quotas, cost) : store.peek(identity, quotas)
        const charged = does === 'consume' ? cost : 0
        const inside = quotas.flatMap(({ windows }) =>
          windows.map(({ windowMs }) => own.filter(({ atMs }) => clock.nowMs - atMs < windowMs).reduce((sum, one) => sum + one.cost, 0)),
        )
        const fits = quotas.flatMap(({ windows }) => windows).every(({ limit }, i) => inside[i]! + charged <= limit)
        assert.equal(decision.allowed, fits)
        if (decision.allowed && charged > 0) own.push({ decision, atMs: clock.nowMs, cost })
        const used = decision.allowed ? charged : 0
        assert.deepEqual(
          decision.states.map(({ window, remaining }) => window.limit - remaining),
          inside.map((units) => units + used),
        )
      }
    }),
    { numRuns: 1000 },
  )
})

test('coarse windows: refunds at any time never let more than the limit stand in any span, and free what they give back', () => {
  const coarse = quota('300 per minute')
  const big = steps.map((all) => all.map((step) => ({ ...step, cost: step.cost * 17 })))
  fc.assert(
    fc.property(big, (all) => {
      const { clock, store } = bench()
      const own: Taken[] = []
      for (const { ms, cost, does, which } of all) {
        clock.nowMs += ms
        if (does === 'refund' && own.length > 0) {
          const [back] = own.splice(which % own.length, 1)
          store.refund({ id: 'a' }, [coarse], back!.cost, back!.decision)
        } else if (does === 'consume') {
          const decision = store.consume({ id: 'a' }, [coarse], cost)
          if (decision.allowed) own.push({ decision, atMs: clock.nowMs, cost })
        }
        const unitsIn = (spanMs: number): number =>
          own.filter(({ atMs }) => clock.nowMs - atMs < spanMs).reduce((sum, one) => sum + one.cost, 0)
        const { remaining } = store.peek({ id: 'a' }, [coarse]).states[0]!
        assert.ok(unitsIn(60_000) <= 300, `${unitsIn(60_000)} units stand`)
        assert.ok(remaining <= 300 - unitsIn(60_000) && remaining >= 300 - unitsIn(61_000), `${remaining} left`)
      }
    }),
    { numRuns: 500 },
  )
})

test('peek changes nothing: a store that is looked at answers like its twin that is not', () => {
  const quotas = [
    quota('9 per 10 seconds', 'one'),
    quota('300 per minute', 'two'),
    quota('5 per second burst 3', 'three'),
    quota('3 per second burst 1', 'four', 900),
  ]
  fc.assert(
    fc.property(steps, (all) => {
      const { clock, store } = bench()
      const twin = createMemoryStore({ clock, maxTrackedClients: 100 })
      for (const { ms, cost, client, does, which } of all) {
        clock.nowMs += ms
        const identity = { id: `${client}${which % 5}`, wider: client }
        for (const looked of [identity, { id: 'stranger' }, { id: 'x', wider: client }]) {
          const decision = store.peek(looked, quotas)
          assert.deepEqual([decision.allowed, decision.violated, decision.retryAfterMs], [true, [], 0])
        }
        if (does === 'reset') for (const one of [store, twin]) one.reset(identity)
        else assert.deepEqual(store.consume(identity, quotas, cost), twin.consume(identity, quotas, cost))
      }
    }),
    { numRuns: 300 },
  )
})

describe('rates', () => {
  test('what is given back at once is as if it had never been', () => {
    const { clock, store } = bench()
    const quotas = [quota('10 per second burst 4')]
    for (let round = 0; round < 50; round++) {
      const before = store.peek({ id: 'a' }, quotas).states
      const decision = store.consume({ id: 'a' }, quotas, 2)
      store.refund({ id: 'a' }, quotas, 2, decision)
      const after = store.peek({ id: 'a' }, quotas).states
      assert.deepEqual(
        after.map(({ remaining }) => remaining),
        before.map(({ remaining }) => remaining),
      )
      if (round % 3 === 0) store.consume({ id: 'a' }, quotas, 1)
      clock.nowMs += 37
    }
  })

  test('attack: what has run off is not given back: requests that are held open for long do not become a burst', () => {
    const { clock, store } = bench()
    const quotas = [quota('1 per second burst 2')]
    const held: Decision[] = []
    for (let second = 0; second < 20; second++) {
      const decision = store.consume({ id: 'a' }, quotas, 1)
      assert.ok(decision.allowed)
      held.push(decision)
      clock.nowMs += 1000
    }
    assert.ok(store.consume({ id: 'a' }, quotas, 2).allowed)
    for (const decision of held) store.refund({ id: 'a' }, quotas, 1, decision)
    assert.ok(!store.consume({ id: 'a' }, quotas, 1).allowed)
  })

  test('in a queue only the last place can be given back, so that no two requests have one', () => {
    const { clock, store } = bench()
    const quotas = [quota('1 per second burst 1', 'queue', 5000)]
    const decisions = Array.from({ length: 4 }, () => store.consume({ id: 'a' }, quotas, 1))
    const placed = new Set(decisions.map(({ delayMs }) => delayMs))
    store.refund({ id: 'a' }, quotas, 1, decisions[1]!)
    const next = store.consume({ id: 'a' }, quotas, 1)
    assert.ok(!placed.has(next.delayMs))
    store.refund({ id: 'a' }, quotas, 1, next)
    assert.equal(store.consume({ id: 'a' }, quotas, 1).delayMs, next.delayMs)
    clock.nowMs += 100
    assert.equal(Math.round(store.consume({ id: 'a' }, quotas, 1).delayMs), 4900)
  })
})

describe('attack', () => {
  test('a refusal gives nothing back, and neither does what was given back before a reset', () => {
    for (const limits of ['3 per minute', '300 per minute']) {
      const { store } = bench()
      const quotas = [quota(limits)]
      const limit = quotas[0]!.windows[0]!.limit
      const all = store.consume({ id: 'a' }, quotas, limit)
      const refused = store.consume({ id: 'a' }, quotas, 1)
      store.refund({ id: 'a' }, quotas, 1, refused)
      assert.equal(store.peek({ id: 'a' }, quotas).states[0]?.remaining, 0)
      store.reset({ id: 'a' })
      store.refund({ id: 'a' }, quotas, limit, all)
      assert.equal(store.peek({ id: 'a' }, quotas).states[0]?.remaining, limit)
      for (let time = 0; time < 3; time++) store.refund({ id: 'a' }, quotas, limit, all)
      assert.equal(store.peek({ id: 'a' }, quotas).states[0]?.remaining, limit)
      assert.equal(store.tracked, 0)
    }
  })

  test('given back twice and more, a count never falls below 0', () => {
    for (const limits of ['3 per minute', '300 per minute', '3 per minute burst 3']) {
      const { clock, store } = bench()
      const quotas = [quota(limits)]
      const { limit } = quotas[0]!.windows[0]!
      const decision = store.consume({ id: 'a' }, quotas, 1)
      clock.nowMs += 10
      for (let time = 0; time < 5; time++) store.refund({ id: 'a' }, quotas, 1, decision)
      assert.equal(store.peek({ id: 'a' }, quotas).states[0]?.remaining, limit)
      assert.ok(store.consume({ id: 'a' }, quotas, limit).allowed && !store.consume({ id: 'a' }, quotas, 1).allowed)
    }
  })

  test('what was counted in the overflow is given back there, and no other moment than its own', () => {
    const { clock, store } = bench(1)
    const quotas = [quota('3 per minute')]
    for (let index = 0; index < store.capacity; index++) store.consume({ id: `flood-${index}` }, quotas, 1)
    const first = store.consume({ id: 'x' }, quotas, 1)
    clock.nowMs += 1
    assert.ok(store.consume({ id: 'y' }, quotas, 2).allowed && !store.consume({ id: 'z' }, quotas, 1).allowed)
    store.refund({ id: 'x' }, quotas, 1, first)
    store.refund({ id: 'x' }, quotas, 1, first)
    assert.equal(store.peek({ id: 'z' }, quotas).states[0]?.remaining, 1)
  })

  test('a table that records leave in any order finds all that stay', () => {
    const { clock, store } = bench(500)
    const quotas = [quota('3 per hour')]
    const held = new Map<string, Decision[]>()
    let seed = 1
    const random = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below
    for (let step = 0; step < 60_000; step++) {
      clock.nowMs += 0.001
      const id = `client-${random(1500)}`
      const own = held.get(id) ?? []
      if (own.length > 0 && random(2) === 0) store.refund({ id }, quotas, 1, own.splice(random(own.length), 1)[0]!)
      else {
        const decision = store.consume({ id }, quotas, 1)
        assert.equal(decision.allowed, own.length < 3, id)
        if (decision.allowed) own.push(decision)
      }
      if (own.length === 0) held.delete(id)
      else held.set(id, own)
      assert.equal(store.tracked, held.size)
    }
    for (const [id, own] of held) assert.equal(store.peek({ id }, quotas).states[0]?.remaining, 3 - own.length)
  })
})
