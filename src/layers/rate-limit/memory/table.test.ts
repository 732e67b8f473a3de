import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { nowhere, Table } from './table.ts'

interface Entry {
  readonly ref: number
  readonly ring: number
  readonly deadAtS: number
}

/** Few homes and, with one segment, long probe sequences that wrap around: where backward-shift deletion goes wrong if it does. */
const keys = fc.record({
  lo: fc.oneof(fc.integer({ min: 0, max: 7 }), fc.integer({ min: -4, max: -1 }), fc.integer()),
  hi: fc.integer({ min: -3, max: 3 }),
})
const commands = fc.oneof(
  { weight: 4, arbitrary: fc.record({ name: fc.constant('put' as const), key: keys, livesS: fc.integer({ min: 1, max: 40 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      name: fc.constant('sweep' as const),
      afterS: fc.integer({ min: 0, max: 10 }),
      slots: fc.integer({ min: 1, max: 100 }),
    }),
  },
)

test('holds what a Map holds; sweeping removes only dead records, and a full turn removes all of them', () => {
  fc.assert(
    fc.property(fc.constantFrom(1, 5000), fc.array(commands, { maxLength: 200 }), (plannedRecords, steps) => {
      const table = new Table(plannedRecords)
      const model = new Map<string, Entry & { readonly lo: number; readonly hi: number }>()
      let nowS = 0
      let serial = 0
      const sweep = (slots: number): void => {
        table.sweep(nowS, slots, (ref) => {
          const found = [...model].find(([, entry]) => entry.ref === ref)
          assert.ok(found !== undefined && found[1].deadAtS <= nowS, 'swept a live or unknown record')
          model.delete(found[0])
        })
      }
      for (const step of steps) {
        if (step.name === 'sweep') {
          nowS += step.afterS
          sweep(step.slots)
        } else {
          const { lo, hi } = step.key
          const entry = { lo, hi, ref: ++serial, ring: serial, deadAtS: nowS + step.livesS }
          const known = table.find(lo, hi)
          assert.equal(known !== nowhere, model.has(`${lo},${hi}`))
          table.write(known === nowhere ? table.insert(lo, hi) : known, entry.ref, entry.ring, entry.deadAtS)
          model.set(`${lo},${hi}`, entry)
        }
        assert.equal(table.size, model.size)
        for (const { lo, hi, ref, ring } of model.values()) {
          const place = table.find(lo, hi)
          assert.notEqual(place, nowhere)
          assert.deepEqual([table.ref(place), table.ring(place)], [ref, ring])
        }
      }
      nowS += 1000
      sweep(20_000)
      assert.equal(table.size, 0)
    }),
  )
})

test('a hundred thousand records come and go', () => {
  const table = new Table(100_000)
  for (let round = 0; round < 3; round++) {
    for (let index = 0; index < 100_000; index++) {
      const lo = Math.imul(index + round, 0x9e3779b1)
      const hi = Math.imul(index, 0x85ebca6b) ^ (lo >>> 15)
      table.write(table.insert(lo, hi), index, 1, round + 1)
    }
    assert.equal(table.size, 100_000)
    table.sweep(round + 1, 1_000_000, () => {})
    assert.equal(table.size, 0)
  }
})
