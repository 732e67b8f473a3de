/**
 * The records of all clients in one open-addressing hash table of numbers: linear probing, backward-shift deletion, no objects.
 * It is cut into segments by bits of the key, and a segment grows alone: a table that doubles at once would stall every request of a
 * server with a million clients, at a moment that an attacker chooses.
 */

/** Numbers of a record, in this order: the key, its slab, how its ring lies in the slab, and the second from which on it counts nothing. */
const recordWords = 5
const keyLoWord = 0
const keyHiWord = 1
const refWord = 2
const ringWord = 3
const deadAtWord = 4

const firstSegmentSlots = 16
/** With a keyed hash no segment comes near this: the table plans for a thousand records in each. */
const log2MaxSegmentSlots = 15
const plannedSegmentRecords = 1024
const maxSegments = 65_536
/** Beyond four fifths the probe sequences of an absent key get long. */
const maxLoad = 0.8

/** Where a record lies. Valid until the next insertion or sweep. */
export type Place = number
export const nowhere: Place = -1

export class Table {
  /** Records held. */
  size = 0
  readonly #segments: Uint32Array[]
  readonly #segmentSizes: Uint32Array
  #cursorSegment = 0
  #cursorSlot = 0

  /** `plannedRecords`: how many records the cut into segments is made for; more are possible. */
  constructor(plannedRecords: number) {
    const wanted = Math.min(maxSegments, Math.max(1, plannedRecords / plannedSegmentRecords))
    const count = 2 ** Math.ceil(Math.log2(wanted))
    this.#segments = Array.from({ length: count }, () => new Uint32Array(firstSegmentSlots * recordWords))
    this.#segmentSizes = new Uint32Array(count)
  }

  find(keyLo: number, keyHi: number): Place {
    const segmentIndex = keyHi & (this.#segments.length - 1)
    const segment = this.#segments[segmentIndex]!
    const mask = segment.length / recordWords - 1
    const lo = keyLo >>> 0
    const hi = keyHi >>> 0
    for (let slot = keyLo & mask; ; slot = (slot + 1) & mask) {
      const at = slot * recordWords
      if (segment[at + ringWord] === 0) return nowhere
      if (segment[at + keyLoWord] === lo && segment[at + keyHiWord] === hi) return (segmentIndex << log2MaxSegmentSlots) | slot
    }
  }

  /** Adds a record for a key that is absent. The caller must `write` to it before anything else: a ring of 0 marks a free slot. */
  insert(keyLo: number, keyHi: number): Place {
    const segmentIndex = keyHi & (this.#segments.length - 1)
    let segment = this.#segments[segmentIndex]!
    const size = ++this.#segmentSizes[segmentIndex]!
    if (size * recordWords > segment.length * maxLoad) {
      segment = grown(segment)
      this.#segments[segmentIndex] = segment
    }
    const at = freeSlot(segment, keyLo)
    segment[at + keyLoWord] = keyLo
    segment[at + keyHiWord] = keyHi
    this.size++
    return (segmentIndex << log2MaxSegmentSlots) | (at / recordWords)
  }

  /** `ring` must not be 0; `deadAtS` in whole seconds of the caller's own count. */
  write(place: Place, ref: number, ring: number, deadAtS: number): void {
    const segment = this.#segmentOf(place)
    const at = offsetOf(place)
    segment[at + refWord] = ref
    segment[at + ringWord] = ring
    segment[at + deadAtWord] = deadAtS
  }

  /** The same record on another slab, or another ring on it. */
  move(place: Place, ref: number, ring: number): void {
    this.write(place, ref, ring, this.#segmentOf(place)[offsetOf(place) + deadAtWord]!)
  }

  /** Ends the life of all places. The slab is the caller's to release. */
  remove(place: Place): void {
    const index = place >>> log2MaxSegmentSlots
    this.#segmentSizes[index]!--
    this.size--
    closeGap(this.#segments[index]!, offsetOf(place) / recordWords)
  }

  ref(place: Place): number {
    return this.#segmentOf(place)[offsetOf(place) + refWord]!
  }

  ring(place: Place): number {
    return this.#segmentOf(place)[offsetOf(place) + ringWord]!
  }

  /** Looks at the next `slots` slots and removes the records that are dead at `nowS`, handing the slab of each to `release`. */
  sweep(nowS: number, slots: number, release: (ref: number) => void): void {
    for (let left = slots; left > 0; left--) {
      const segment = this.#segments[this.#cursorSegment]!
      const at = this.#cursorSlot * recordWords
      if (at >= segment.length) {
        this.#cursorSlot = 0
        this.#cursorSegment = (this.#cursorSegment + 1) % this.#segments.length
      } else if (segment[at + ringWord] !== 0 && segment[at + deadAtWord]! <= nowS) {
        // The cursor stays: another record may have moved into this slot.
        release(segment[at + refWord]!)
        this.remove((this.#cursorSegment << log2MaxSegmentSlots) | this.#cursorSlot)
      } else {
        this.#cursorSlot++
      }
    }
  }

  #segmentOf(place: Place): Uint32Array {
    return this.#segments[place >>> log2MaxSegmentSlots]!
  }
}

const offsetOf = (place: Place): number => (place & ((1 << log2MaxSegmentSlots) - 1)) * recordWords

const freeSlot = (segment: Uint32Array, keyLo: number): number => {
  const mask = segment.length / recordWords - 1
  let slot = keyLo & mask
  while (segment[slot * recordWords + ringWord] !== 0) slot = (slot + 1) & mask
  return slot * recordWords
}

const grown = (old: Uint32Array): Uint32Array => {
  if (old.length / recordWords >= 1 << log2MaxSegmentSlots) throw new RangeError('the limiter table was planned for far fewer records')
  const segment = new Uint32Array(old.length * 2)
  for (let from = 0; from < old.length; from += recordWords) {
    if (old[from + ringWord] === 0) continue
    const to = freeSlot(segment, old[from + keyLoWord]!)
    for (let word = 0; word < recordWords; word++) segment[to + word] = old[from + word]!
  }
  return segment
}

/** Backward-shift deletion (Knuth, TAOCP 6.4, algorithm R): no tombstones, so an attack that has passed leaves no long probes behind. */
const closeGap = (segment: Uint32Array, removedSlot: number): void => {
  const mask = segment.length / recordWords - 1
  let gap = removedSlot
  for (let slot = (gap + 1) & mask; ; slot = (slot + 1) & mask) {
    const at = slot * recordWords
    if (segment[at + ringWord] === 0) break
    const home = segment[at + keyLoWord]! & mask
    // A record may move back into the gap unless its home lies behind the gap.
    if (((slot - home) & mask) < ((slot - gap) & mask)) continue
    segment.copyWithin(gap * recordWords, at, at + recordWords)
    gap = slot
  }
  segment[gap * recordWords + ringWord] = 0
}
