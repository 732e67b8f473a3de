import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createMemoryStore, type MemoryStore } from './memory-store.ts'
import { parseLimits } from './notation.ts'
import type { Quota } from './store.ts'

const [secondMs, minuteMs, hourMs, dayMs] = [1000, 60_000, 3_600_000, 86_400_000]

const quota = (limits: string, scope = 'films'): Quota => ({ scope, windows: parseLimits(limits) })

interface Bench {
  nowMs: number
  readonly store: MemoryStore
}

const bench = (maxTrackedClients = 100): Bench => {
  const moving = { nowMs: 1000 }
  const store = createMemoryStore({ clock: { monotonicMs: () => moving.nowMs }, maxTrackedClients })
  return Object.assign(moving, { store })
}

const admitted = (store: MemoryStore, quotas: readonly Quota[], attempts: number, identity = 'client'): number => {
  let count = 0
  for (let attempt = 0; attempt < attempts; attempt++) if (store.consume({ id: identity }, quotas, 1).allowed) count++
  return count
}

/** The most that was admitted in any span of `windowMs`, given the ascending moments of all admissions. */
const worstSpan = (moments: readonly number[], windowMs: number): number => {
  let worst = 0
  let first = 0
  for (const [last, moment] of moments.entries()) {
    while (moment - moments[first]! >= windowMs) first++
    worst = Math.max(worst, last - first + 1)
  }
  return worst
}

describe('one window', () => {
  for (const limits of ['5 per minute', '300 per minute']) {
    test(`${limits}: admits the limit, then refuses, remaining falling to 0`, () => {
      const { store } = bench()
      const quotas = [quota(limits)]
      const { limit } = quotas[0]!.windows[0]!
      for (let used = 1; used <= limit; used++) {
        const decision = store.consume({ id: 'client' }, quotas, 1)
        assert.deepEqual(decision, {
          allowed: true,
          states: [{ window: quotas[0]!.windows[0], remaining: limit - used, resetMs: minuteMs }],
          violated: [],
          retryAfterMs: 0,
          delayMs: 0,
          at: 1000,
          arrivals: undefined,
        })
      }
      assert.deepEqual(store.consume({ id: 'client' }, quotas, 1), {
        allowed: false,
        states: [{ window: quotas[0]!.windows[0], remaining: 0, resetMs: minuteMs }],
        violated: quotas[0]!.windows,
        retryAfterMs: minuteMs,
        delayMs: 0,
        at: 1000,
        arrivals: undefined,
      })
    })

    test(`${limits}: twenty times the limit at once admits exactly the limit`, () => {
      const { store } = bench()
      const quotas = [quota(limits)]
      const { limit } = quotas[0]!.windows[0]!
      assert.equal(admitted(store, quotas, 20 * limit), limit)
    })
  }

  test('an event leaves exactly when its window has passed', () => {
    const at = bench()
    const quotas = [quota('1 per second')]
    assert.ok(at.store.consume({ id: 'client' }, quotas, 1).allowed)
    at.nowMs += 999.999
    assert.ok(!at.store.consume({ id: 'client' }, quotas, 1).allowed)
    at.nowMs = 2000
    assert.ok(at.store.consume({ id: 'client' }, quotas, 1).allowed)
  })

  test('Retry-After honoured succeeds; a millisecond earlier does not', () => {
    for (const limits of ['3 per minute', '400 per minute', '2 per second; 3 per minute']) {
      const at = bench()
      const quotas = [quota(limits)]
      for (let step = 0; step < 2000; step++) {
        const decision = at.store.consume({ id: 'client' }, quotas, 1)
        if (decision.allowed) {
          at.nowMs += 7.3
          continue
        }
        const refusedAtMs = at.nowMs
        at.nowMs = Math.max(refusedAtMs, refusedAtMs + decision.retryAfterMs - 1)
        assert.ok(!at.store.consume({ id: 'client' }, quotas, 1).allowed, `${limits}: early`)
        at.nowMs = refusedAtMs + decision.retryAfterMs
        assert.ok(at.store.consume({ id: 'client' }, quotas, 1).allowed, `${limits}: honoured`)
      }
    }
  })

  test('attack: a burst at each side of the border finds no more than the limit in any span', () => {
    for (const limits of ['100 per minute', '1000 per minute']) {
      const at = bench()
      const quotas = [quota(limits)]
      const { limit, windowMs } = quotas[0]!.windows[0]!
      const moments: number[] = []
      const tryNow = (): boolean => {
        const { allowed } = at.store.consume({ id: 'client' }, quotas, 1)
        if (allowed) moments.push(at.nowMs)
        return allowed
      }
      at.nowMs = 59_999
      for (let attempt = 0; attempt < limit; attempt++) assert.ok(tryNow())
      for (; at.nowMs < 10 * windowMs; at.nowMs += 7) while (tryNow());
      assert.equal(worstSpan(moments, windowMs), limit)
      // The coarse log gives an event back at most one sixtieth of the window late.
      assert.ok(moments.length >= (limit * 10 * 60) / 61 - limit)
    }
  })

  test('a coarse window names the moment at which it gives back, also after that moment moved', () => {
    const at = bench()
    const quotas = [quota('300 per minute')]
    const resetMs = (): number => at.store.consume({ id: 'client' }, quotas, 1).states[0]!.resetMs
    at.nowMs = 60_000
    assert.equal(resetMs(), minuteMs)
    at.nowMs = 60_900
    assert.equal(resetMs(), minuteMs)
    at.nowMs = 61_000
    assert.equal(resetMs(), minuteMs - 100)
  })

  test('for a clock that goes back time stands still: nothing counts for less or longer', () => {
    const at = bench()
    const quotas = [quota('3 per second')]
    at.nowMs = 2000
    assert.equal(admitted(at.store, quotas, 1), 1)
    at.nowMs = 1100
    assert.equal(admitted(at.store, quotas, 1), 1)
    at.nowMs = 2150
    assert.equal(admitted(at.store, quotas, 3), 1)
    at.nowMs = 3000
    assert.equal(admitted(at.store, quotas, 3), 2)
  })
})

describe('cost', () => {
  test('more than remains is refused and leaves what remains', () => {
    for (const limits of ['10 per minute', '1000 per minute']) {
      const { store } = bench()
      const quotas = [quota(limits)]
      const { limit } = quotas[0]!.windows[0]!
      assert.equal(store.consume({ id: 'client' }, quotas, limit - 3).states[0]!.remaining, 3)
      for (let attempt = 0; attempt < 5; attempt++) assert.equal(store.consume({ id: 'client' }, quotas, 4).states[0]!.remaining, 3)
      assert.equal(store.consume({ id: 'client' }, quotas, 3).states[0]!.remaining, 0)
    }
  })

  test('more than the limit never fits: no Retry-After that would be followed in vain', () => {
    const { store } = bench()
    const quotas = [quota('10 per minute'), quota('300 per hour', 'total')]
    assert.equal(store.consume({ id: 'client' }, quotas, 11).retryAfterMs, Infinity)
    assert.equal(store.consume({ id: 'client' }, quotas, 301).violated.length, 2)
    assert.deepEqual(
      store.consume({ id: 'client' }, quotas, 11).states.map(({ remaining, resetMs }) => [remaining, resetMs]),
      [
        [10, 0],
        [300, 0],
      ],
    )
  })

  test('attack: costs and windows that would corrupt the count are errors', () => {
    const { store } = bench()
    for (const cost of [0, -1, 0.5, Number.NaN, Infinity, '1'])
      assert.throws(() => store.consume({ id: 'client' }, [quota('5 per day')], cost as number), RangeError)
    for (const broken of [
      { limit: 0 },
      { limit: -1 },
      { limit: 1.5 },
      { limit: Number.NaN },
      { windowMs: 0 },
      { windowMs: Number.NaN },
      { windowMs: Infinity },
    ]) {
      const windows = [{ name: 'broken', limit: 1, windowMs: 1000, ...broken }]
      assert.throws(() => store.consume({ id: 'client' }, [{ scope: 'films', windows }], 1), RangeError)
    }
    assert.equal(store.tracked, 0)
  })
})

describe('several windows', () => {
  test('"5 per minute; 8 per hour": a hundred refusals burn nothing, the next minute has exactly three', () => {
    const at = bench()
    const quotas = [quota('5 per minute; 8 per hour')]
    assert.equal(admitted(at.store, quotas, 5), 5)
    assert.equal(admitted(at.store, quotas, 100), 0)
    at.nowMs += minuteMs
    assert.equal(admitted(at.store, quotas, 100), 3)
    assert.deepEqual(
      at.store.consume({ id: 'client' }, quotas, 1).violated.map(({ name }) => name),
      ['hour'],
    )
  })

  test('"200 per day; 50 per hour; 1 per second" against a client that tries four times a second for three days', () => {
    const at = bench()
    const quotas = [quota('200 per day; 50 per hour; 1 per second')]
    const moments: number[] = []
    const startMs = at.nowMs
    for (; at.nowMs < startMs + 3 * dayMs; at.nowMs += 250)
      if (at.store.consume({ id: 'client' }, quotas, 1).allowed) moments.push(at.nowMs)
    assert.deepEqual([worstSpan(moments, dayMs), worstSpan(moments, hourMs), worstSpan(moments, secondMs)], [200, 50, 1])
    assert.equal(moments.length, 600)
  })

  test('quotas are all or nothing, whichever of them refuses', () => {
    const at = bench()
    const [narrow, wide, huge] = [quota('2 per minute', 'narrow'), quota('100 per hour', 'wide'), quota('3000 per hour', 'huge')]
    for (const quotas of [
      [narrow, wide, huge],
      [huge, wide, narrow],
    ]) {
      at.nowMs += dayMs
      assert.equal(admitted(at.store, quotas, 50), 2)
      assert.deepEqual(
        at.store.consume({ id: 'client' }, [wide, huge], 1).states.map(({ remaining }) => remaining),
        [97, 2997],
      )
    }
  })

  test('states follow the order of quotas and windows, with exact and coarse windows mixed', () => {
    const { store } = bench()
    const quotas = [quota('20 per second; 3000 per hour; 30 per minute', 'total'), quota('1 per second', 'add')]
    assert.deepEqual(
      store.consume({ id: 'client' }, quotas, 1).states.map(({ window }) => window),
      quotas.flatMap(({ windows }) => windows),
    )
  })

  test('a scope that stands twice in one decision is an error, not a double count', () => {
    const { store } = bench()
    assert.throws(() => store.consume({ id: 'client' }, [quota('5 per day'), quota('9 per hour')], 1), /share the scope "films"/)
  })

  test('a limit that is raised or lowered keeps the count', () => {
    const { store } = bench()
    assert.equal(admitted(store, [quota('5 per day')], 10), 5)
    assert.equal(admitted(store, [quota('8 per day')], 10), 3)
    const lowered = store.consume({ id: 'client' }, [quota('4 per day')], 1)
    assert.deepEqual([lowered.allowed, lowered.states[0]!.remaining], [false, 0])
  })
})

describe('keys', () => {
  test('scope and identity do not run into each other', () => {
    const { store } = bench()
    assert.equal(admitted(store, [quota('1 per day', 'a')], 2, 'bc'), 1)
    assert.equal(admitted(store, [quota('1 per day', 'ab')], 2, 'c'), 1)
    assert.equal(admitted(store, [quota('1 per day', '')], 2, 'abc'), 1)
    assert.equal(admitted(store, [quota('1 per day', 'abc')], 2, ''), 1)
    for (const name of ['total', 'add', '0:total']) assert.equal(admitted(store, [quota('1 per day', name)], 2, name), 1)
  })

  test('attack: strange identities are clients of their own', () => {
    const { store } = bench()
    const long = 'k'.repeat(8192)
    const texts = ['', '\0', '\0\0', 'a\0', 'a', '{}', '{a}', '{a}b', '\ud800', '\udc00', '\ufffd', '\u00e9', 'e\u0301', '__proto__']
    const identities = [...texts, long, `${long}1`, `${long}2`]
    for (const identity of identities)
      assert.equal(admitted(store, [quota('2 per day')], 5, identity), 2, JSON.stringify(identity.slice(-5)))
  })

  test('two stores share nothing', () => {
    const quotas = [quota('1 per day')]
    assert.equal(admitted(bench().store, quotas, 2), 1)
    assert.equal(admitted(bench().store, quotas, 2), 1)
  })
})
