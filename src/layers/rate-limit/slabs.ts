/** Runs of doubles in seven sizes, 4 to 256, cut from large chunks: what the event logs are written on, without an object for each. */

export const smallestSlabDoubles = 4
export const largestSizeClass = 6

const chunkDoubles = 8192
const log2SlabsPerChunk = 11
const noSlab = -1

interface SizeClass {
  readonly chunks: Float64Array[]
  /** Slabs cut so far, free ones included. */
  cut: number
  /** First of the free slabs; each free slab names the next in its first double. */
  free: number
}

/** A slab is named by a ref, 32 bits unsigned: size class in the low 3 bits, number within the class above. */
export class Slabs {
  readonly #classes: readonly SizeClass[] = Array.from({ length: largestSizeClass + 1 }, () => ({ chunks: [], cut: 0, free: noSlab }))

  /** A slab of `4 << sizeClass` doubles whose content is left over from whoever had it before. */
  acquire(sizeClass: number): number {
    const pool = this.#classes[sizeClass]!
    let index = pool.free
    if (index === noSlab) {
      index = pool.cut++
      if (index >>> (log2SlabsPerChunk - sizeClass) === pool.chunks.length) pool.chunks.push(new Float64Array(chunkDoubles))
      return ((index << 3) | sizeClass) >>> 0
    }
    const ref = ((index << 3) | sizeClass) >>> 0
    pool.free = this.chunkOf(ref)[this.startOf(ref)]!
    return ref
  }

  release(ref: number): void {
    const pool = this.#classes[ref & 7]!
    this.chunkOf(ref)[this.startOf(ref)] = pool.free
    pool.free = ref >>> 3
  }

  /** The array that holds the slab, from `startOf(ref)` on. */
  chunkOf(ref: number): Float64Array {
    return this.#classes[ref & 7]!.chunks[ref >>> (3 + log2SlabsPerChunk - (ref & 7))]!
  }

  startOf(ref: number): number {
    const sizeClass = ref & 7
    return ((ref >>> 3) & ((1 << (log2SlabsPerChunk - sizeClass)) - 1)) << (2 + sizeClass)
  }
}
