import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { Times } from './times.ts'

/** Few keys whose homes are next to each other, so that probe sequences run into each other and around the end, and pages are split. */
const key = fc.record({ lo: fc.constantFrom(0, 1, 2, 13, 15, -1, -2), hi: fc.integer({ min: -9, max: 9 }) })
const step = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.constant('set' as const), key, fc.integer({ min: 1, max: 50 })) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('delete' as const), key, fc.constant(0)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('sweep' as const), key, fc.integer({ min: 0, max: 50 })) },
)

test('holds what a Map would, through growth, deletion and sweeping', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200, size: 'max' }), (steps) => {
      const times = new Times(40, 16)
      const model = new Map<string, number>()
      for (const [verb, { lo, hi }, time] of steps) {
        const name = `${lo} ${hi}`
        if (verb === 'set') {
          const hasRoom = model.has(name) || model.size < 40
          assert.equal(times.set(lo, hi, time), hasRoom)
          if (hasRoom) model.set(name, time)
        } else if (verb === 'delete') {
          times.delete(lo, hi)
          model.delete(name)
        } else {
          // As many slots as there are, and as many again where one is removed.
          times.sweep(time, 2000)
          for (const [other, until] of model) if (until <= time) model.delete(other)
        }
        assert.equal(times.size, model.size)
        assert.equal(times.get(lo, hi), model.get(name) ?? 0)
      }
      for (const [name, time] of model) {
        const [lo, hi] = name.split(' ').map(Number)
        assert.equal(times.get(lo!, hi!), time)
      }
    }),
    { numRuns: 500 },
  )
})

test('keys that no further bit tells apart are refused when their page is full, and found as long as it is not', () => {
  const times = new Times(1000, 16)
  const kept = Array.from({ length: 100 }, (_, lo) => times.set(lo, 7, 1)).filter(Boolean).length
  assert.equal(kept, 12)
  assert.equal(times.size, 12)
  assert.deepEqual([times.get(11, 7), times.get(12, 7)], [1, 0])
  assert.ok(times.set(12, 8, 5))
  assert.equal(times.get(12, 8), 5)
})
