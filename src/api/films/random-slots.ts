import { randomFillSync } from 'node:crypto'

/** Independent, uniform draws from 1 to `count`, from one call for random bits: those past the last whole multiple of `count` are drawn again. */
export const randomSlots = (length: number, count: number): number[] => {
  const limit = 2 ** 32 - (2 ** 32 % count)
  const slots: number[] = []
  while (slots.length < length) {
    for (const bits of randomFillSync(new Uint32Array(length))) if (bits < limit && slots.length < length) slots.push(1 + (bits % count))
  }
  return slots
}
