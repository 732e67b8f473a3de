import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { createManualClock } from '../../../test/support/manual-clock.ts'
import { createMemoryStore } from '../rate-limit/memory-store.ts'
import type { LimiterStore } from '../rate-limit/store.ts'
import { Gate, type Pace, type Visit } from './gate.ts'

/** What may happen, in any order: somebody comes, somebody who waits goes away, time passes. */
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ name: fc.constant('come' as const), id: fc.constantFrom('x', 'y') }) },
  { weight: 2, arbitrary: fc.record({ name: fc.constant('leave' as const), which: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ name: fc.constant('pass' as const), ms: fc.double({ min: 0, max: 400, noNaN: true }) }) },
)
const crowd = fc.record({
  limit: fc.integer({ min: 1, max: 20 }),
  windowMs: fc.constantFrom(1, 7, 100, 1000),
  burst: fc.integer({ min: 1, max: 4 }),
  mostWaiting: fc.integer({ min: 0, max: 6 }),
  inAll: fc.integer({ min: 0, max: 8 }),
  steps: fc.array(step, { minLength: 1, maxLength: 150, size: 'max' }),
})

/** Nobody's place is lost: the next who comes stands right behind those who wait. */
const assertNextPlace = (store: LimiterStore, pace: Pace, id: string, waiting: number): void => {
  const [{ windows }] = pace
  const [{ limit, windowMs, maxDelayMs }] = windows as [(typeof windows)[number]]
  const next = store.consume({ id }, pace, 1)
  assert.ok(!(next instanceof Promise))
  if (next.allowed) assert.ok(next.delayMs <= (waiting + 1) * (windowMs / limit) + 1e-6, `${next.delayMs} behind ${waiting}`)
  else assert.ok((waiting + 1) * (windowMs / limit) > maxDelayMs - 1e-6, `refused behind ${waiting}`)
  void store.refund({ id }, pace, 1, next)
}

interface Guest {
  readonly number: number
  readonly id: string
  readonly visit: Visit
}

test('whoever comes and goes: the pace is kept in every span, the order too, nobody is lost or served twice, nothing stays behind', () => {
  fc.assert(
    fc.property(crowd, ({ limit, windowMs, burst, mostWaiting, inAll, steps }) => {
      const intervalMs = windowMs / limit
      const clock = createManualClock(1000)
      const store = createMemoryStore({ clock, maxTrackedClients: 1000 })
      const gate = new Gate({ store, clock, timers: clock, maxWaitingInAll: () => inAll })
      const maxDelayMs = mostWaiting * intervalMs
      const pace: Pace = [{ scope: 'throttle', windows: [{ name: 'throttle', limit, windowMs, burst, maxDelayMs }] }]
      const guests: Guest[] = []
      const ends = new Map<number, number>()
      const left = new Set<number>()
      const starts: { readonly number: number; readonly id: string; readonly atMs: number }[] = []
      for (const one of steps) {
        if (one.name === 'pass') clock.advance(one.ms)
        else if (one.name === 'come') {
          const number = guests.length
          const { id } = one
          const visit = gate.enter({ id }, pace, (refusal) => {
            ends.set(number, (ends.get(number) ?? 0) + 1)
            if (refusal === undefined) starts.push({ number, id, atMs: clock.monotonicMs() })
          })
          guests.push({ number, id, visit })
        } else {
          const guest = guests[one.which % guests.length]
          if (guest !== undefined && gate.leave(guest.visit)) left.add(guest.number)
        }
        // The store forgives a nanosecond of rounding.
        clock.advance(1e-5)
        assert.ok(gate.waiting <= inAll)
        for (const id of ['x', 'y']) {
          const waiting = guests.filter((guest) => guest.id === id && !guest.visit.isOver).length
          assert.ok(waiting <= mostWaiting, `${waiting} wait`)
          assertNextPlace(store, pace, id, waiting)
        }
      }
      clock.advance((mostWaiting + 1) * intervalMs)
      for (const { number } of guests) assert.equal((ends.get(number) ?? 0) + (left.has(number) ? 1 : 0), 1, 'one end for each')
      for (const id of ['x', 'y']) {
        const own = starts.filter((start) => start.id === id)
        assert.deepEqual(
          own.map(({ number }) => number),
          own.map(({ number }) => number).toSorted((a, b) => a - b),
        )
        for (const [i, first] of own.entries()) {
          const last = own[i + burst]
          // The (burst + n)-th after another begins n intervals later, or the span has more than pace and burst.
          if (last !== undefined) assert.ok(last.atMs - first.atMs >= intervalMs - 1e-6, `${last.atMs - first.atMs} for ${burst + 1}`)
          for (let j = i + burst; j < own.length; j++)
            assert.ok(own[j]!.atMs - first.atMs >= (j - i - burst + 1) * intervalMs - 1e-6, 'more than the pace in a span')
        }
      }
      assert.deepEqual([gate.waiting, gate.lines, clock.timers], [0, 0, 0])
    }),
    { numRuns: 500 },
  )
})
