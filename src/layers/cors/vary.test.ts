import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { joinVary } from './vary.ts'

const name = fc.constantFrom('Origin', 'origin', 'Authorization', 'Accept', 'Access-Control-Request-Method', 'Cookie')
const list = fc.array(name, { minLength: 1, maxLength: 5 }).map((names) => names.join(', '))
const namesOf = (vary: string): readonly string[] => vary.split(', ').map((one) => one.toLowerCase())

test('every name of both, each once; joined again it stays', () => {
  fc.assert(
    fc.property(list, fc.oneof(list, fc.array(list, { maxLength: 3 }), fc.constant(undefined)), (needed, present) => {
      const joined = joinVary(needed, present)
      const expected = new Set([needed, present ?? []].flat(2).flatMap(namesOf))
      if (present === undefined) assert.equal(joined, needed)
      else assert.deepEqual(new Set(namesOf(joined)), expected)
      assert.equal(joinVary(needed, joined), joinVary(needed, joinVary(needed, joined)))
    }),
  )
})

test('what is no name is nothing, and "*" is everything', () => {
  assert.equal(joinVary('Origin', ''), 'Origin')
  assert.equal(joinVary('Origin', ' , ,'), 'Origin')
  assert.equal(joinVary('Origin', 'Accept, *'), '*')
  assert.equal(joinVary('Origin', 7), 'Origin, 7')
})
