import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { Slabs } from './slabs.ts'

test('no two slabs share a double, whatever is acquired and released', () => {
  const step = fc.record({ sizeClass: fc.integer({ min: 0, max: 6 }), times: fc.integer({ min: 1, max: 400 }), isRelease: fc.boolean() })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const slabs = new Slabs()
      const held: { readonly ref: number; readonly mark: number }[] = []
      let mark = 0
      for (const { sizeClass, times, isRelease } of steps) {
        for (let i = 0; i < times; i++) {
          if (isRelease) {
            const [gone] = held.splice((i * 7919) % Math.max(1, held.length), 1)
            if (gone !== undefined) slabs.release(gone.ref)
            continue
          }
          const ref = slabs.acquire(sizeClass)
          const start = slabs.startOf(ref)
          slabs.chunkOf(ref).fill(++mark, start, start + (4 << sizeClass))
          held.push({ ref, mark })
        }
      }
      for (const { ref, mark: own } of held) {
        const start = slabs.startOf(ref)
        const content = slabs.chunkOf(ref).subarray(start, start + (4 << (ref & 7)))
        assert.ok(content.every((double) => double === own))
      }
    }),
    { seed: 4, numRuns: 100 },
  )
})

test('what all give back in one size is there for another', () => {
  const slabs = new Slabs()
  const chunks = new Set<Float64Array>()
  let refs = Array.from({ length: 10_000 }, () => slabs.acquire(0))
  for (let sizeClass = 1; sizeClass <= 4; sizeClass++) {
    refs = refs.map((old) => {
      const grown = slabs.acquire(sizeClass)
      slabs.release(old)
      chunks.add(slabs.chunkOf(grown))
      return grown
    })
  }
  // 10,000 slabs of 64 doubles fill 79 chunks; half as much again is in use while they grow.
  assert.ok(chunks.size <= 79 * 1.6, `${chunks.size} chunks`)
})
