import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import type { SecurityEvent } from '../../core/events.ts'
import { Baseline, slotMs } from './baseline.ts'

interface Slot {
  readonly perSecond?: number
  /** Of the slowest tenth; the others take 5 ms. */
  readonly slowMs?: number
  /** Percent that fail. */
  readonly failing?: number
  /** Percent that are refused, at once. */
  readonly refused?: number
}

type Told = Extract<SecurityEvent, { readonly event: 'abnormal_performance'; readonly usual: number }>

/** Slots of a service with 20 requests a second, of which one in ten takes 40 ms, with a little noise that is always the same. */
const run = (slots: readonly Slot[]): (Told & { readonly slot: number })[] => {
  let nowMs = 0
  let slot = 0
  const told: (Told & { slot: number })[] = []
  const baseline = new Baseline({ monotonicMs: () => nowMs, observe: (event) => void told.push({ ...(event as Told), slot }) })
  for (const { perSecond = 20, slowMs = 40, failing = 0, refused = 0 } of [...slots, {}]) {
    const noise = 1 + 0.1 * Math.sin(slot * 7.3)
    const count = Math.round((perSecond * noise * slotMs) / 1000)
    for (let i = 0; i < count; i++) {
      nowMs = slot * slotMs + (i * slotMs) / count
      const percent = (i * 37) % 100
      if (percent < failing) baseline.request(3, 500, 'internal')
      else if (percent >= 100 - refused) baseline.request(0.1, 429, 'quota_exceeded')
      else baseline.request(i % 10 === 0 ? slowMs * noise : 5, 200, 'ok')
    }
    slot++
  }
  return told
}

const usual = (count: number, slot: Slot = {}): Slot[] => Array.from({ length: count }, () => slot)
const ramp = (count: number, slotAt: (share: number) => Slot): Slot[] => Array.from({ length: count }, (_, i) => slotAt(i / count))

/** 10 s each. */
const minute = 6
const hour = 60 * minute

describe('what leaves its usual level is told', () => {
  test('answers become five times as slow', () => {
    const [one, ...more] = run([...usual(10 * minute), ...usual(5 * minute, { slowMs: 200 })])
    assert.deepEqual([one?.reason, more.length], ['latency', 0])
    assert.ok(one !== undefined && one.value > 150 && one.value < 260 && one.usual > 30 && one.usual < 55, JSON.stringify(one))
    assert.equal(one.slot, 10 * minute + 3, 'after three slots in a row')
    assert.deepEqual([one.client, one.requestId], [null, null])
  })

  test('a fifth of all requests fails', () => {
    const [one, ...more] = run([...usual(10 * minute), ...usual(5 * minute, { failing: 20 })])
    assert.deepEqual([one?.reason, more.length], ['error_rate', 0])
    assert.ok(one !== undefined && one.value > 15 && one.value < 25 && one.usual < 1)
  })

  test('ten times as many requests', () => {
    const [one, ...more] = run([...usual(10 * minute), ...usual(5 * minute, { perSecond: 200 })])
    assert.deepEqual([one?.reason, more.length], ['traffic', 0])
    assert.ok(one !== undefined && one.value > 150 && one.usual > 15 && one.usual < 25)
  })

  test('a flood that is refused: it comes all the same', () => {
    const told = run([...usual(10 * minute), ...usual(3 * minute, { perSecond: 200, refused: 90 })])
    assert.deepEqual(
      told.map(({ reason }) => reason),
      ['traffic'],
    )
  })

  test('a service that hardly anybody asks has sixty requests a second', () => {
    const [one, ...more] = run([...usual(10 * minute, { perSecond: 2 }), ...usual(3 * minute, { perSecond: 60 })])
    assert.deepEqual([one?.reason, more.length], ['traffic', 0])
    assert.ok(one !== undefined && one.value > 50 && one.usual < 3)
  })

  test('slow answers among a flood of refusals, which are fast', () => {
    const told = run([...usual(10 * minute), ...usual(3 * minute, { slowMs: 400, refused: 60 })])
    assert.deepEqual(
      told.map(({ reason }) => reason),
      ['latency'],
    )
  })

  test('a second time, where it went away in between, but not within five minutes', () => {
    const burst = (pause: number): Slot[] => [
      ...usual(10 * minute),
      ...usual(5, { failing: 30 }),
      ...usual(pause),
      ...usual(5, { failing: 30 }),
    ]
    assert.equal(run(burst(8 * minute)).length, 2)
    assert.equal(run(burst(1 * minute)).length, 1)
  })

  test('a flapping service tells once in five minutes at most', () => {
    const flapping = Array.from({ length: 60 * minute }, (_, i): Slot => (Math.floor(i / 4) % 2 === 0 ? {} : { failing: 40 }))
    const told = run([...usual(10 * minute), ...flapping])
    assert.ok(told.length >= 1 && told.length <= 12, String(told.length))
    for (const [i, { slot }] of told.entries()) if (i > 0) assert.ok(slot - told[i - 1]!.slot >= 5 * minute)
  })
})

describe('what is usual is not told', () => {
  const quiet: Readonly<Record<string, readonly Slot[]>> = {
    'a day like any other': usual(24 * hour),
    'the first five minutes, whatever they are like': [
      ...usual(2 * minute),
      ...usual(2 * minute, { slowMs: 900, failing: 40, perSecond: 300 }),
    ],
    'a deploy: two slots of failures and slowness': [...usual(hour), ...usual(2, { failing: 50, slowMs: 2000 }), ...usual(hour)],
    'a night without anybody, and the morning after it': [
      ...usual(2 * hour),
      ...ramp(2 * hour, (share) => ({ perSecond: 20 * (1 - share) })),
      ...usual(6 * hour, { perSecond: 0 }),
      ...ramp(2 * hour, (share) => ({ perSecond: 40 * share })),
      ...usual(hour, { perSecond: 40 }),
    ],
    'a week that becomes slower and slower': [...usual(hour), ...ramp(12 * hour, (share) => ({ slowMs: 40 + 400 * share }))],
    'a launch that grows tenfold within two hours': [
      ...usual(hour),
      ...ramp(2 * hour, (share) => ({ perSecond: 20 * 10 ** share })),
      ...usual(hour, { perSecond: 200 }),
    ],
    'one request in a hundred always fails': usual(3 * hour, { failing: 1 }),
    'twice as many for an hour': [...usual(hour), ...usual(hour, { perSecond: 40 })],
    'few requests, each slow as it likes': [...usual(hour, { perSecond: 1 }), ...usual(hour, { perSecond: 1, slowMs: 900, failing: 30 })],
    'fast answers that become a little slower: nobody notices': [...usual(hour, { slowMs: 6 }), ...usual(hour, { slowMs: 30 })],
  }
  for (const [name, slots] of Object.entries(quiet)) test(name, () => assert.deepEqual(run(slots), []))
})

test('a level that stays becomes the usual one: what leaves that is told', () => {
  const told = run([...usual(hour), ...usual(3 * hour, { slowMs: 200 }), ...usual(minute, { slowMs: 1000 })])
  assert.deepEqual(
    told.map(({ reason }) => reason),
    ['latency', 'latency'],
  )
  assert.ok(told[1]!.usual > 120)
})

test('hours in which nobody came cost one look', () => {
  const told: SecurityEvent[] = []
  let nowMs = 0
  const baseline = new Baseline({ monotonicMs: () => nowMs, observe: (event) => void told.push(event) })
  for (let i = 0; i < 100; i++) {
    baseline.request(1, 200, 'ok')
    nowMs += 10 * 365 * 86_400_000
  }
  assert.deepEqual(told, [])
})
