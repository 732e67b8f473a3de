import { largestSizeClass, smallestSlabDoubles, type Slabs } from './slabs.ts'

/**
 * What one client did, as a ring of moments in a slab, oldest first; never a moment is forgotten that a window still counts.
 * An exact log has an entry (the moment) for each unit of cost. A coarse log has an entry (the latest moment, the running total)
 * for each quantum of time in which anything happened, and all its units count until the latest of them has left the window:
 * never too few, and too many for at most one quantum.
 */
export interface LogShape {
  /** Holds no moments of events, but a rate's theoretical arrival time alone. */
  readonly isRate: boolean
  /** Length of the quantum of a coarse log in milliseconds; null for an exact log. */
  readonly quantumMs: number | null
  /** The longest window that reads the log, in milliseconds: older entries count nowhere. */
  readonly longestMs: number
  /** Exact logs: the highest limit that reads the log. Entries beyond that many are never looked at. */
  readonly mostUnits: number
}

type Entry = readonly [moment: number, units: number]

const largestCoarseClass = 5
const headShift = 16
/** A ring has at most 256 entries: the seven bits between are for the record's own use. */
const countMask = 0x1ff

/** A view of one log at a time: `open` turns it to another. `ref` and `ring` are what the record must keep to find the log again. */
export class EventLog {
  readonly #slabs: Slabs
  readonly #shape: LogShape
  /** 0: an entry is one double; 1: it is two. */
  readonly #entryShift: 0 | 1
  readonly #largestClass: number
  #ref = 0
  #chunk: Float64Array = new Float64Array(0)
  #start = 0
  #mask = 0
  #head = 0
  /** Entries held. */
  count = 0
  /** Of a rate: what `append` is to write. */
  arrival = 0

  constructor(slabs: Slabs, shape: LogShape) {
    this.#slabs = slabs
    this.#shape = shape
    this.#entryShift = shape.quantumMs === null ? 0 : 1
    this.#largestClass = shape.quantumMs === null ? largestSizeClass : largestCoarseClass
  }

  get ref(): number {
    return this.#ref
  }

  /** Never 0 for a log with entries. */
  get ring(): number {
    return (this.#head << headShift) | this.count
  }

  open(ref: number, ring: number): void {
    this.#lieOn(ref)
    this.#head = ring >>> headShift
    this.count = ring & countMask
  }

  /** A log without entries and without a slab: to be looked at, or to be written after `claim`. */
  openEmpty(): void {
    this.#head = 0
    this.count = 0
  }

  /** A rate without debt: nothing to look at. */
  get isEmpty(): boolean {
    return this.count === 0
  }

  /** Moves what is in view to a slab of its own: another log keeps the old one. */
  claim(): void {
    this.#moveTo(this.count === 0 ? 0 : this.#ref & 7)
  }

  /** Index of the oldest entry that a window still counts; `count` when it counts none. */
  firstInside(nowMs: number, windowMs: number): number {
    let low = 0
    let high = this.count
    // Most short windows end before the newest entry and most long ones begin before the oldest.
    if (high === 0 || nowMs - this.momentAt(high - 1) >= windowMs) return high
    if (nowMs - this.momentAt(0) < windowMs) return 0
    while (low < high) {
      const middle = (low + high) >>> 1
      if (nowMs - this.momentAt(middle) >= windowMs) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Units of cost from entry `first` on. */
  unitsFrom(first: number): number {
    if (first >= this.count) return 0
    return this.#unitsThrough(this.count - 1) - this.#unitsThrough(first - 1)
  }

  /** Index of the entry with whose leaving `units` of those from entry `first` on have left. */
  entryFreeing(units: number, first: number): number {
    if (this.#entryShift === 0) return first + units - 1
    const before = this.#unitsThrough(first - 1)
    let index = first
    while (index < this.count - 1 && this.#unitsThrough(index) - before < units) index++
    return index
  }

  momentAt(index: number): number {
    return this.#chunk[this.#at(index)]!
  }

  /** Whether units added now would go into the newest entry, and so keep all of it counting for longer. */
  extendsNewest(nowMs: number): boolean {
    const { quantumMs } = this.#shape
    if (quantumMs === null || this.count === 0) return false
    return Math.floor(this.momentAt(this.count - 1) / quantumMs) === Math.floor(nowMs / quantumMs)
  }

  /** Writes `units` at `nowMs`, which is not before any entry. Needs a slab: `open` or `claim` first. */
  append(nowMs: number, units: number): void {
    if (this.#shape.isRate) {
      this.count = 1
      this.#chunk[this.#at(0)] = this.arrival
      return
    }
    if (this.count > 0 && nowMs - this.momentAt(this.count - 1) >= this.#shape.longestMs) this.#restart()
    if (this.#entryShift === 0) {
      for (let unit = 0; unit < units; unit++) this.#push(nowMs)
      return
    }
    const total = this.#unitsThrough(this.count - 1) + units
    if (this.extendsNewest(nowMs)) this.#chunk[this.#at(this.count - 1)] = nowMs
    else this.#push(nowMs)
    this.#chunk[this.#at(this.count - 1) + 1] = total
  }

  /** Takes back units that were written at that very moment; false where there are none (any more). */
  remove(moment: number, units: number): boolean {
    const index = this.#firstFrom(moment)
    if (index === this.count) return false
    if (this.#entryShift === 1) return this.#reduce(index, moment, units)
    let last = index
    while (last < this.count && last - index < units && this.momentAt(last) === moment) last++
    const removed = last - index
    if (removed === 0) return false
    // Never a younger one instead: it would leave the window too early.
    for (let from = last; from < this.count; from++) this.#chunk[this.#at(from - removed)] = this.momentAt(from)
    this.count -= removed
    return true
  }

  /** How many units `adopt` would find. */
  unitsFor(reader: EventLog, nowMs: number): number {
    return this.unitsFrom(this.firstInside(nowMs, this.#commonMs(reader)))
  }

  /** What `reader` could know from here: moments, ascending, each with its units, all of them after `afterMs`. */
  entriesFor(reader: EventLog, nowMs: number, afterMs: number): Entry[] {
    const entries: Entry[] = []
    for (let index = this.firstInside(nowMs, this.#commonMs(reader)); index < this.count; index++) {
      if (this.momentAt(index) > afterMs) entries.push([this.momentAt(index), this.#unitsThrough(index) - this.#unitsThrough(index - 1)])
    }
    return entries
  }

  /** Appends what other logs knew: it is never counted for a shorter time here. */
  adopt(entries: readonly Entry[]): void {
    const { quantumMs, mostUnits } = this.#shape
    for (const [moment, units] of entries) this.append(moment, quantumMs === null ? Math.min(units, mostUnits) : units)
  }

  /** Of entries that no window of their own log counts any more, the first of a coarse log would tell the total of all before it. */
  #commonMs(other: EventLog): number {
    return Math.min(this.#shape.longestMs, other.#shape.longestMs)
  }

  /** Index of the oldest entry that is not before `moment`; `count` where all are. */
  #firstFrom(moment: number): number {
    let index = this.count
    while (index > 0 && this.momentAt(index - 1) >= moment) index--
    return index
  }

  /** The totals from the quantum of `moment` on. */
  #reduce(index: number, moment: number, units: number): boolean {
    const { quantumMs } = this.#shape
    if (quantumMs === null || Math.floor(this.momentAt(index) / quantumMs) !== Math.floor(moment / quantumMs)) return false
    // After a reset or a restart the units of that moment may be gone, and others there instead.
    const held = Math.min(units, this.#unitsThrough(index) - this.#unitsThrough(index - 1))
    for (let later = index; later < this.count; later++) this.#chunk[this.#at(later) + 1]! -= held
    return held > 0
  }

  #push(nowMs: number): void {
    if (this.count > this.#mask && !this.#forgetOldest(nowMs)) {
      const sizeClass = this.#ref & 7
      // Cannot happen: 62 quanta touch a window and the largest coarse log holds 64. If it did, merging errs on the strict side.
      if (sizeClass === this.#largestClass) this.count--
      else this.#growTo(sizeClass + 1)
    }
    this.#chunk[this.#at(this.count++)] = nowMs
  }

  /** Drops the oldest entry if no window can ever count it. */
  #forgetOldest(nowMs: number): boolean {
    const { longestMs, mostUnits } = this.#shape
    // The total of the oldest entry of a coarse log is what the later ones are measured from: it goes only when the next is dead too.
    const mustBeDead = this.#entryShift
    if (this.#entryShift === 1 || this.count < mostUnits) {
      if (nowMs - this.momentAt(mustBeDead) < longestMs) return false
    }
    this.#head = (this.#head + 1) & this.#mask
    this.count--
    return true
  }

  #unitsThrough(index: number): number {
    if (this.#entryShift === 0) return index + 1
    // A coarse log whose first entry still counts has never forgotten one, so its totals start from 0.
    return index < 0 ? 0 : this.#chunk[this.#at(index) + 1]!
  }

  #at(index: number): number {
    return this.#start + (((this.#head + index) & this.#mask) << this.#entryShift)
  }

  #lieOn(ref: number): void {
    this.#ref = ref
    this.#chunk = this.#slabs.chunkOf(ref)
    this.#start = this.#slabs.startOf(ref)
    this.#mask = ((smallestSlabDoubles << (ref & 7)) >>> this.#entryShift) - 1
  }

  #restart(): void {
    this.openEmpty()
    if ((this.#ref & 7) === 0) return
    this.#slabs.release(this.#ref)
    this.#lieOn(this.#slabs.acquire(0))
  }

  #growTo(sizeClass: number): void {
    const old = this.#ref
    this.#moveTo(sizeClass)
    this.#slabs.release(old)
  }

  #moveTo(sizeClass: number): void {
    const from = this.#chunk
    const [start, mask, head] = [this.#start, this.#mask, this.#head]
    this.#lieOn(this.#slabs.acquire(sizeClass))
    this.#head = 0
    for (let index = 0; index < this.count; index++) {
      const there = start + (((head + index) & mask) << this.#entryShift)
      const here = this.#at(index)
      this.#chunk[here] = from[there]!
      if (this.#entryShift === 1) this.#chunk[here + 1] = from[there + 1]!
    }
  }
}
