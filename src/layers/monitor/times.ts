/**
 * A time for each of many keys of 64 bits, in one open-addressing hash table of numbers: linear probing, backward-shift deletion, no objects,
 * 16 bytes a slot. It is cut into segments, and a segment grows alone: a table that doubles at once would stall every request, at a moment
 * that an attacker chooses. The keys are digests under a key of this process, so nobody can choose which of them collide.
 */

/** Free where the time is 0. */
interface Segment {
  /** Two words of each slot: the halves of its key. */
  readonly keys: Uint32Array
  readonly times: Float64Array
}

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
  #cursorSlot = 0

  constructor(capacity: number) {
    this.capacity = capacity
    const wanted = Math.min(maxSegments, Math.max(1, capacity / plannedPerSegment))
    this.#segments = Array.from({ length: 2 ** Math.ceil(Math.log2(wanted)) }, () => createSegment(firstSlots))
    this.#sizes = new Uint32Array(this.#segments.length)
  }

  /** 0 for a key that is absent. */
  get(lo: number, hi: number): number {
    const { keys, times } = this.#segments[hi & (this.#segments.length - 1)]!
    return times[placeOf(keys, times, lo >>> 0, hi >>> 0)]!
  }

  /** `time` above 0. False, and nothing is changed, where there is no room for a key that is absent. */
  set(lo: number, hi: number, time: number): boolean {
    const index = hi & (this.#segments.length - 1)
    const segment = this.#segments[index]!
    const place = placeOf(segment.keys, segment.times, lo >>> 0, hi >>> 0)
    if (segment.times[place] !== 0) segment.times[place] = time
    else if (this.size >= this.capacity) return false
    else this.#insert(index, { lo: lo >>> 0, hi: hi >>> 0, time, place })
    return true
  }

  delete(lo: number, hi: number): void {
    const index = hi & (this.#segments.length - 1)
    const segment = this.#segments[index]!
    const place = placeOf(segment.keys, segment.times, lo >>> 0, hi >>> 0)
    if (segment.times[place] !== 0) this.#remove(index, place)
  }

  /** Looks at the next `slots` slots and forgets the times that are not after `now`. */
  sweep(now: number, slots: number): void {
    for (let left = slots; left > 0; left--) {
      const { times } = this.#segments[this.#cursorSegment]!
      const time = times[this.#cursorSlot]
      if (time === undefined) {
        this.#cursorSlot = 0
        this.#cursorSegment = (this.#cursorSegment + 1) % this.#segments.length
        // The cursor stays where one is removed: another may have moved into this slot.
      } else if (time !== 0 && time <= now) this.#remove(this.#cursorSegment, this.#cursorSlot)
      else this.#cursorSlot++
    }
  }

  #insert(index: number, { lo, hi, time, place }: Readonly<Record<'lo' | 'hi' | 'time' | 'place', number>>): void {
    let segment = this.#segments[index]!
    let free = place
    if (++this.#sizes[index]! > segment.times.length * maxLoad) {
      segment = grown(segment)
      this.#segments[index] = segment
      free = placeOf(segment.keys, segment.times, lo, hi)
    }
    segment.keys[2 * free] = lo
    segment.keys[2 * free + 1] = hi
    segment.times[free] = time
    this.size++
  }

  #remove(index: number, place: number): void {
    closeGap(this.#segments[index]!, place)
    this.#sizes[index]!--
    this.size--
  }
}

const createSegment = (slots: number): Segment => ({ keys: new Uint32Array(2 * slots), times: new Float64Array(slots) })

/** Where the key is, or the free slot where it would be. */
const placeOf = (keys: Uint32Array, times: Float64Array, lo: number, hi: number): number => {
  const mask = times.length - 1
  let place = lo & mask
  while (times[place] !== 0 && (keys[2 * place] !== lo || keys[2 * place + 1] !== hi)) place = (place + 1) & mask
  return place
}

const grown = (old: Segment): Segment => {
  const segment = createSegment(2 * old.times.length)
  for (let from = 0; from < old.times.length; from++) {
    const time = old.times[from]!
    if (time === 0) continue
    const [lo, hi] = [old.keys[2 * from]!, old.keys[2 * from + 1]!]
    const to = placeOf(segment.keys, segment.times, lo, hi)
    segment.keys[2 * to] = lo
    segment.keys[2 * to + 1] = hi
    segment.times[to] = time
  }
  return segment
}

/** Backward-shift deletion (Knuth, TAOCP 6.4, algorithm R): no tombstones, so an attack that has passed leaves no long probes behind. */
const closeGap = ({ keys, times }: Segment, removed: number): void => {
  const mask = times.length - 1
  let gap = removed
  for (let place = (gap + 1) & mask; times[place] !== 0; place = (place + 1) & mask) {
    const home = keys[2 * place]! & mask
    // It may move back into the gap unless its home lies behind the gap.
    if (((place - home) & mask) < ((place - gap) & mask)) continue
    keys[2 * gap] = keys[2 * place]!
    keys[2 * gap + 1] = keys[2 * place + 1]!
    times[gap] = times[place]!
    gap = place
  }
  times[gap] = 0
}
