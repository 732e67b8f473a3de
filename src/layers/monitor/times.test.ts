import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { Times } from './times.ts'

/** Few keys whose homes are next to each other, so that probe sequences run into each other and around the end. */
const key = fc.record({ lo: fc.constantFrom(0, 1, 2, 13, 14, 15, 16, 31, -1, -2), hi: fc.constantFrom(0, 1, -1) })
const step = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.constant('set' as const), key, fc.integer({ min: 1, max: 50 })) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('delete' as const), key, fc.constant(0)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('sweep' as const), key, fc.integer({ min: 0, max: 50 })) },
)

test('holds what a Map would, through growth, deletion and sweeping', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const times = new Times(20)
      const model = new Map<string, number>()
      for (const [verb, { lo, hi }, time] of steps) {
        const name = `${lo} ${hi}`
        if (verb === 'set') {
          const hasRoom = model.has(name) || model.size < 20
          assert.equal(times.set(lo, hi, time), hasRoom)
          if (hasRoom) model.set(name, time)
        } else if (verb === 'delete') {
          times.delete(lo, hi)
          model.delete(name)
        } else {
          // As many slots as there are, and as many again where one is removed.
          times.sweep(time, 100)
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
