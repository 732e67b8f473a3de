import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import fc from 'fast-check'

import { lookEveryMs, Shedding } from './overload.ts'

const maxDelayMs = 300
const quiet = { elapsedMs: lookEveryMs, delayMs: 0, heapShare: 0.1 }
const late = (delayMs: number) => ({ elapsedMs: lookEveryMs + delayMs, delayMs, heapShare: 0.1 })

const looks = (shedding: Shedding, count: number, load: Parameters<Shedding['look']>[0]): number[] =>
  Array.from({ length: count }, () => {
    shedding.look(load)
    return shedding.share
  })

/**
 * A loop that can do `capacity` units a second, asked for `offered`: what it cannot do at once waits for it and makes it late; a refusal costs a
 * fifth of a request. Deterministic; returns the share refused and the delay at each look.
 */
const simulate = (shedding: Shedding, capacity: number, offered: number, seconds: number): { share: number; delayMs: number }[] => {
  const seen: { share: number; delayMs: number }[] = []
  let queued = 0
  for (let nowMs = 0; nowMs < seconds * 1000;) {
    const delayMs = Math.min(2000, (queued / capacity) * 1000)
    const elapsedMs = lookEveryMs + delayMs
    shedding.look({ elapsedMs, delayMs, heapShare: 0.1 })
    const { share } = shedding
    const work = (offered * elapsedMs * (1 - share + share / 5)) / 1000
    queued = Math.max(0, queued + work - (capacity * elapsedMs) / 1000)
    seen.push({ share, delayMs })
    nowMs += elapsedMs
  }
  return seen
}

describe('what is shed', () => {
  test('nothing of a loop that is in time, however long', () => {
    assert.ok(looks(new Shedding(), 1000, late(maxDelayMs)).every((share) => share === 0))
  })

  test('nothing for a burst, a collection or a sleep that is over at the next look', () => {
    const shedding = new Shedding()
    for (const delayMs of [250, 1000, 60_000, 86_400_000]) {
      shedding.look(late(delayMs))
      assert.equal(shedding.share, 0)
      shedding.look(quiet)
      assert.equal(shedding.share, 0)
    }
  })

  test('more and more while the loop stays late, and never everything', () => {
    const shares = looks(new Shedding(), 100, late(500))
    for (const [i, share] of shares.entries()) assert.ok(share >= (shares[i - 1] ?? 0) && share <= 0.98, `${share}`)
    assert.equal(shares.at(-1), 0.98)
  })

  test('less and less when it is over, and nothing 5 seconds later', () => {
    const shedding = new Shedding()
    looks(shedding, 100, late(500))
    const shares = looks(shedding, 50, quiet)
    for (const [i, share] of shares.entries()) assert.ok(share <= (shares[i - 1] ?? 1))
    assert.equal(shares.at(-1), 0)
  })

  test('a full heap counts like a late loop', () => {
    const shedding = new Shedding()
    assert.ok((looks(shedding, 40, { ...quiet, heapShare: 0.98 }).at(-1) ?? 0) > 0.4)
    assert.equal(looks(shedding, 50, quiet).at(-1), 0)
  })

  test('the share is one, whatever is seen', () => {
    const load = fc.record({
      elapsedMs: fc.double({ min: 0, noNaN: true }),
      delayMs: fc.double({ min: 0, noNaN: true }),
      heapShare: fc.double({ min: 0, max: 1, noNaN: true }),
    })
    fc.assert(
      fc.property(fc.array(load), (loads) => {
        const shedding = new Shedding()
        for (const one of loads) {
          shedding.look(one)
          assert.ok(shedding.share >= 0 && shedding.share <= 0.98, `${shedding.share}`)
        }
      }),
    )
  })
})

describe('a load that stays above what can be done', () => {
  for (const times of [1.1, 1.2, 1.5, 2, 3]) {
    test(`${times} times: it settles near what is needed, and the delay stays bounded`, () => {
      const needed = (times - 1) / (times * 0.8)
      const settled = simulate(new Shedding(), 1000, 1000 * times, 200).slice(-100)
      const mean = settled.reduce((sum, { share }) => sum + share, 0) / settled.length
      assert.ok(Math.abs(mean - needed) < 0.05, `${mean} for ${needed}`)
      assert.ok(
        settled.every(({ delayMs }) => delayMs < 1.5 * maxDelayMs),
        JSON.stringify(settled.map(({ delayMs }) => Math.round(delayMs))),
      )
      // The swing between all and nothing is what a switch at the mark makes.
      assert.ok(settled.every(({ share }) => share > needed / 2))
    })
  }

  test('0.9 times: nothing is shed', () => {
    assert.ok(simulate(new Shedding(), 1000, 900, 60).every(({ share }) => share === 0))
  })
})
