import { randomInt } from 'node:crypto'
import type { TestContext } from 'node:test'

export interface Random {
  /** An integer from 0 to `bound` - 1. */
  below(bound: number): number
  /** Runs about `chance` of the times. */
  often(chance: number): boolean
}

/** Randomness that a failed run can be repeated with: the seed is printed, and FILMGATE_TEST_SEED sets it. */
export const seededRandom = (t: TestContext): Random => {
  const seed = Number(process.env['FILMGATE_TEST_SEED'] ?? randomInt(2 ** 32))
  t.diagnostic(`FILMGATE_TEST_SEED=${seed}`)
  return randomOf(seed)
}

export const randomOf = (seed: number): Random => {
  const next = mulberry32(seed)
  return { below: (bound) => Math.floor(next() * bound), often: (chance) => next() < chance }
}

/** Tommy Ettinger's mulberry32, public domain: [0, 1) from a 32-bit state. */
const mulberry32 = (seed: number): (() => number) => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let word = Math.imul(state ^ (state >>> 15), state | 1)
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61)
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32
  }
}
