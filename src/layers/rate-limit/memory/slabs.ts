/** Runs of doubles in seven sizes, 4 to 256, cut from large chunks: what the event logs are written on, without an object for each. */

export const smallestSlabDoubles = 4
export const largestSizeClass = 6

const chunkDoubles = 8192
const log2SlabsPerChunk = 11
const none = -1

/** All slabs of a chunk have one size; when none of them is used, the chunk can be cut anew. */
interface Chunk {
  readonly doubles: Float64Array
  readonly index: number
  sizeClass: number
  /** Slabs cut so far, free ones included. */
  cut: number
  used: number
  /** First of the free slabs; each free slab names the next in its first double. */
  free: number
  /** Where it stands among the chunks of its size that have room; `none` when it is full. */
  place: number
}

/**
 * A slab is named by a ref, 32 bits unsigned: size class in the low 3 bits, above them its place in its chunk and the number of the chunk.
 * Chunks go from size to size: where all clients grow in step, what they leave behind would else be as large again as what they have.
 */
export class Slabs {
  readonly #chunks: Chunk[] = []
  readonly #unused: Chunk[] = []
  readonly #withRoom: readonly Chunk[][] = Array.from({ length: largestSizeClass + 1 }, () => [])

  /** A slab of `4 << sizeClass` doubles whose content is left over from whoever had it before. */
  acquire(sizeClass: number): number {
    const chunk = this.#withRoom[sizeClass]!.at(-1) ?? this.#newChunk(sizeClass)
    let slot = chunk.free
    if (slot === none) slot = chunk.cut++
    else chunk.free = chunk.doubles[slot << (2 + sizeClass)]!
    if (++chunk.used === 1 << (log2SlabsPerChunk - sizeClass)) {
      this.#withRoom[sizeClass]!.pop()
      chunk.place = none
    }
    return ((chunk.index << (3 + log2SlabsPerChunk - sizeClass)) | (slot << 3) | sizeClass) >>> 0
  }

  release(ref: number): void {
    const sizeClass = ref & 7
    const chunk = this.#chunkAt(ref)
    const slot = this.startOf(ref) >>> (2 + sizeClass)
    chunk.doubles[slot << (2 + sizeClass)] = chunk.free
    chunk.free = slot
    if (chunk.place === none) chunk.place = this.#withRoom[sizeClass]!.push(chunk) - 1
    if (--chunk.used === 0) this.#leave(chunk)
  }

  /** The array that holds the slab, from `startOf(ref)` on. */
  chunkOf(ref: number): Float64Array {
    return this.#chunkAt(ref).doubles
  }

  startOf(ref: number): number {
    const sizeClass = ref & 7
    return ((ref >>> 3) & ((1 << (log2SlabsPerChunk - sizeClass)) - 1)) << (2 + sizeClass)
  }

  #chunkAt(ref: number): Chunk {
    return this.#chunks[ref >>> (3 + log2SlabsPerChunk - (ref & 7))]!
  }

  #newChunk(sizeClass: number): Chunk {
    const chunk = this.#unused.pop() ?? this.#allocate()
    Object.assign(chunk, { sizeClass, cut: 0, used: 0, free: none })
    chunk.place = this.#withRoom[sizeClass]!.push(chunk) - 1
    return chunk
  }

  #allocate(): Chunk {
    const index = this.#chunks.length
    const chunk = { doubles: new Float64Array(chunkDoubles), index, sizeClass: 0, cut: 0, used: 0, free: none, place: none }
    this.#chunks.push(chunk)
    return chunk
  }

  /** The last chunk with room takes its place. */
  #leave(chunk: Chunk): void {
    const withRoom = this.#withRoom[chunk.sizeClass]!
    const last = withRoom.pop()!
    if (last !== chunk) {
      withRoom[chunk.place] = last
      last.place = chunk.place
    }
    chunk.place = none
    this.#unused.push(chunk)
  }
}
