import assert from 'node:assert/strict'
import { test } from 'node:test'

import { createNoteBudget } from './note-budget.ts'

test('so many a minute and not one more; the next minute tells how many were left out, once', () => {
  let nowMs = 5
  const budget = createNoteBudget(3, () => nowMs)
  const take = (times: number) => Array.from({ length: times }, () => budget.take())
  assert.deepEqual(take(5), [0, 0, 0, undefined, undefined])
  nowMs += 59_999
  assert.deepEqual(take(1), [undefined])
  nowMs += 1
  assert.deepEqual(take(4), [3, 0, 0, undefined])
  nowMs += 3_600_000
  assert.deepEqual(take(2), [1, 0])
})
