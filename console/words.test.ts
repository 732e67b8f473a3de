import assert from 'node:assert/strict'
import { test } from 'node:test'

import { duration, fieldWords, numberWords, runtimeWords, shortNumber, windowWords } from './words.ts'

test('durations in at most two units', () => {
  const expected: readonly [number, string][] = [
    [-1, '0 s'],
    [0, '0 s'],
    [0.2, '1 s'],
    [59, '59 s'],
    [60, '1 min'],
    [725, '12 min 5 s'],
    [3600, '1 h'],
    [3605, '1 h'],
    [7500, '2 h 5 min'],
    [86_400, '1 d'],
    [90_000, '1 d 1 h'],
  ]
  for (const [seconds, words] of expected) assert.equal(duration(seconds), words)
  assert.equal(runtimeWords(102), '1 h 42 min')
})

test('numbers in a sentence and in a ring', () => {
  assert.deepEqual([0, 49, 100_000_000].map(numberWords), ['0', '49', '100,000,000'])
  assert.deepEqual([0, 49, 999, 1999, 20_000, 99_999_999].map(shortNumber), ['0', '49', '999', '2K', '20K', '100M'])
})

test('windows as people say them', () => {
  assert.deepEqual([1, 60, 3600, 86_400].map(windowWords), ['this second', 'this minute', 'this hour', 'today'])
  assert.deepEqual([5, 900, 7200].map(windowWords), ['in 5 seconds', 'in 15 minutes', 'in 2 hours'])
})

test('what a schema finds, for people', () => {
  const expected: readonly [string, string][] = [
    ["must have required property 'name'", 'A film needs this.'],
    ['must be number,null', 'must be a number'],
    ['must be integer,null', 'must be a whole number'],
    ['must be >= 1870', 'must be at least 1870'],
    ['must be <= 10', 'must be at most 10'],
    ['must NOT have more than 200 characters', 'must have at most 200 characters'],
    ['must match pattern "^(?!x)$"', 'must be visible text, without control characters'],
    ['is not known here', 'is not known here'],
  ]
  for (const [detail, words] of expected) assert.equal(fieldWords(detail), words)
})
