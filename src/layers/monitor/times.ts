/**
 * A time for each of many keys of 64 bits, in one open-addressing hash table of numbers: linear probing, backward-shift deletion, no objects,
 * 16 bytes a slot, all of them in one line of the processor's cache. It is cut into segments, and a segment grows alone: a table that doubles at
 * once would stall every request, at a moment that an attacker chooses. The keys are digests under a key of this process, so nobody can choose
 * which of them collide. Times are whole numbers from 1 to 2^53.
 */

/** Words of a slot: the halves of its key, then those of its time, which are 0 where it is free. */
type Segment = Uint32Array
const slotWords = 4
const loWord = 2
const hiWord = 3

const firstSlots = 16
const plannedPerSegment = 1024
const maxSegments = 65_536
/** Beyond four fifths the probe sequences of an absent key get long. */
const maxLoad = 0.8

export class Times {
  /** Those that have passed are in it until they are swept. */
  size = 0
  readonly capacity: number
  readonly #segments: Segment[]
  readonly #sizes: Uint32Array
  #cursorSegment = 0
  #cursorAt = 0

  constructor(capacity: number) {
    this.capacity = capacity
    const wanted = Math.min(maxSegments, Math.max(1, capacity / plannedPerSegment))
    this.#segments = Array.from({ length: 2 ** Math.ceil(Math.log2(wanted)) }, () => new Uint32Array(firstSlots * slotWords))
    this.#sizes = new Uint32Array(this.#segments.length)
  }

  /** 0 for a key that is absent. */
  get(lo: number, hi: number): number {
    const segment = this.#segments[hi & (this.#segments.length - 1)]!
    return timeAt(segment, placeOf(segment, lo >>> 0, hi >>> 0))
  }

  /** False, and nothing is changed, where there is no room for a key that is absent. */
  set(lo: number, hi: number, time: number): boolean {
    const index = hi & (this.#segments.length - 1)
    const segment = this.#segments[index]!
    const at = placeOf(segment, lo >>> 0, hi >>> 0)
    if (timeAt(segment, at) !== 0) writeTime(segment, at, time)
    else if (this.size >= this.capacity) return false
    else this.#insert(index, { lo: lo >>> 0, hi: hi >>> 0, time, at })
    return true
  }

  delete(lo: number, hi: number): void {
    const index = hi & (this.#segments.length - 1)
    const segment = this.#segments[index]!
    const at = placeOf(segment, lo >>> 0, hi >>> 0)
    if (timeAt(segment, at) !== 0) this.#remove(index, at)
  }

  /** Looks at the next `slots` slots and forgets the times that are not after `now`. */
  sweep(now: number, slots: number): void {
    for (let left = slots; left > 0; left--) {
      const segment = this.#segments[this.#cursorSegment]!
      if (this.#cursorAt >= segment.length) {
        this.#cursorAt = 0
        this.#cursorSegment = (this.#cursorSegment + 1) % this.#segments.length
        continue
      }
      const time = timeAt(segment, this.#cursorAt)
      // The cursor stays where one is removed: another may have moved into this slot.
      if (time !== 0 && time <= now) this.#remove(this.#cursorSegment, this.#cursorAt)
      else this.#cursorAt += slotWords
    }
  }

  #insert(index: number, { lo, hi, time, at }: Readonly<Record<'lo' | 'hi' | 'time' | 'at', number>>): void {
    let segment = this.#segments[index]!
    let free = at
    if (++this.#sizes[index]! * slotWords > segment.length * maxLoad) {
      segment = grown(segment)
      this.#segments[index] = segment
      free = placeOf(segment, lo, hi)
    }
    segment[free] = lo
    segment[free + 1] = hi
    writeTime(segment, free, time)
    this.size++
  }

  #remove(index: number, at: number): void {
    closeGap(this.#segments[index]!, at)
    this.#sizes[index]!--
    this.size--
  }
}

const timeAt = (segment: Segment, at: number): number => segment[at + hiWord]! * 2 ** 32 + segment[at + loWord]!

const writeTime = (segment: Segment, at: number, time: number): void => {
  segment[at + loWord] = time >>> 0
  segment[at + hiWord] = Math.floor(time / 2 ** 32)
}

const isFree = (segment: Segment, at: number): boolean => (segment[at + loWord]! | segment[at + hiWord]!) === 0

/** Where the key is, or the free slot where it would be. */
const placeOf = (segment: Segment, lo: number, hi: number): number => {
  const mask = segment.length - 1
  // Both are powers of two, and so is the number of slots.
  let at = (lo * slotWords) & mask
  while (!isFree(segment, at) && (segment[at] !== lo || segment[at + 1] !== hi)) at = (at + slotWords) & mask
  return at
}

const grown = (old: Segment): Segment => {
  const segment = new Uint32Array(2 * old.length)
  for (let from = 0; from < old.length; from += slotWords) {
    if (!isFree(old, from)) segment.set(old.subarray(from, from + slotWords), placeOf(segment, old[from]!, old[from + 1]!))
  }
  return segment
}

/** Backward-shift deletion (Knuth, TAOCP 6.4, algorithm R): no tombstones, so an attack that has passed leaves no long probes behind. */
const closeGap = (segment: Segment, removed: number): void => {
  const mask = segment.length - 1
  let gap = removed
  for (let at = (gap + slotWords) & mask; !isFree(segment, at); at = (at + slotWords) & mask) {
    const home = (segment[at]! * slotWords) & mask
    // It may move back into the gap unless its home lies behind the gap.
    if (((at - home) & mask) < ((at - gap) & mask)) continue
    segment.copyWithin(gap, at, at + slotWords)
    gap = at
  }
  segment.fill(0, gap, gap + slotWords)
}
