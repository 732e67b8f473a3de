/**
 * A time for each of many keys of 64 bits, in open-addressing hash tables of numbers: linear probing, backward-shift deletion, no objects,
 * 16 bytes a slot, all of them in one line of the processor's cache.
 * It grows by a page at a time (extendible hashing, Fagin and others, 1979): a table that doubles at once would stall every request, at a
 * moment that an attacker chooses, and leave the memory of its smaller selves behind. The keys are digests under a key of this process, so
 * nobody can choose which of them collide. Times are whole numbers from 1 to 2^53.
 */

/** Words of a slot: the halves of its key, then those of its time, which are 0 where it is free. */
type Page = Uint32Array
const slotWords = 4
const loWord = 2
const hiWord = 3

/** 32 KB. */
const slotsPerPage = 2048
/** Beyond four fifths the probe sequences of an absent key get long. */
const maxLoad = 0.8
/** Far more pages than any capacity has: a page that would be split further holds keys that no digest has. */
const maxDepth = 16

export class Times {
  /** Those that have passed are in it until they are swept. */
  size = 0
  readonly capacity: number
  readonly #pageWords: number
  readonly #pages: Page[]
  readonly #sizes = [0]
  /** For a page that is being split. */
  readonly #scratch: Page
  /** By how many of the lowest bits of `hi` the keys of a page are the same. */
  readonly #depths = [0]
  /** The page of each pattern of these bits. */
  #directory: number[] = [0]
  #cursorPage = 0
  #cursorAt = 0

  constructor(capacity: number, pageSlots = slotsPerPage) {
    this.capacity = capacity
    this.#pageWords = pageSlots * slotWords
    this.#pages = [new Uint32Array(this.#pageWords)]
    this.#scratch = new Uint32Array(this.#pageWords)
  }

  /** 0 for a key that is absent. */
  get(lo: number, hi: number): number {
    const page = this.#pages[this.#indexOf(hi)]!
    return timeAt(page, placeOf(page, lo >>> 0, hi >>> 0))
  }

  /** False, and nothing is changed, where there is no room for a key that is absent. */
  set(lo: number, hi: number, time: number): boolean {
    const index = this.#indexOf(hi)
    const page = this.#pages[index]!
    const at = placeOf(page, lo >>> 0, hi >>> 0)
    if (timeAt(page, at) === 0) return this.size < this.capacity && this.#insert(lo >>> 0, hi >>> 0, time)
    writeTime(page, at, time)
    return true
  }

  delete(lo: number, hi: number): void {
    const index = this.#indexOf(hi)
    const page = this.#pages[index]!
    const at = placeOf(page, lo >>> 0, hi >>> 0)
    if (timeAt(page, at) !== 0) this.#remove(index, at)
  }

  /** Looks at the next `slots` slots and forgets the times that are not after `now`. */
  sweep(now: number, slots: number): void {
    for (let left = slots; left > 0; left--) {
      if (this.#cursorAt >= this.#pageWords) {
        this.#cursorAt = 0
        this.#cursorPage = (this.#cursorPage + 1) % this.#pages.length
        continue
      }
      const time = timeAt(this.#pages[this.#cursorPage]!, this.#cursorAt)
      // The cursor stays where one is removed: another may have moved into this slot.
      if (time !== 0 && time <= now) this.#remove(this.#cursorPage, this.#cursorAt)
      else this.#cursorAt += slotWords
    }
  }

  #indexOf(hi: number): number {
    return this.#directory[hi & (this.#directory.length - 1)]!
  }

  #insert(lo: number, hi: number, time: number): boolean {
    let index = this.#indexOf(hi)
    while ((this.#sizes[index]! + 1) * slotWords > this.#pageWords * maxLoad) {
      if (this.#depths[index]! >= maxDepth) return false
      this.#split(index)
      index = this.#indexOf(hi)
    }
    const page = this.#pages[index]!
    const at = placeOf(page, lo, hi)
    page[at] = lo
    page[at + 1] = hi
    writeTime(page, at, time)
    this.#sizes[index]!++
    this.size++
    return true
  }

  /** One bit more tells the keys of the page from those of a new one. */
  #split(index: number): void {
    const depth = this.#depths[index]!++
    const added = this.#pages.length
    this.#depths.push(depth + 1)
    if (2 ** depth === this.#directory.length) this.#directory = [...this.#directory, ...this.#directory]
    for (const [bits, page] of this.#directory.entries()) if (page === index && (bits >>> depth) % 2 === 1) this.#directory[bits] = added
    const old = this.#scratch
    old.set(this.#pages[index]!)
    this.#pages.push(new Uint32Array(this.#pageWords))
    this.#pages[index]!.fill(0)
    this.#sizes[index] = 0
    this.#sizes.push(0)
    for (let from = 0; from < old.length; from += slotWords) {
      if (isFree(old, from)) continue
      const of = this.#indexOf(old[from + 1]!)
      const to = this.#pages[of]!
      to.set(old.subarray(from, from + slotWords), placeOf(to, old[from]!, old[from + 1]!))
      this.#sizes[of]!++
    }
  }

  #remove(index: number, at: number): void {
    closeGap(this.#pages[index]!, at)
    this.#sizes[index]!--
    this.size--
  }
}

const timeAt = (page: Page, at: number): number => page[at + hiWord]! * 2 ** 32 + page[at + loWord]!

const writeTime = (page: Page, at: number, time: number): void => {
  page[at + loWord] = time >>> 0
  page[at + hiWord] = Math.floor(time / 2 ** 32)
}

const isFree = (page: Page, at: number): boolean => (page[at + loWord]! | page[at + hiWord]!) === 0

/** Where the key is, or the free slot where it would be. */
const placeOf = (page: Page, lo: number, hi: number): number => {
  const mask = page.length - 1
  // Both are powers of two, and so is the number of slots.
  let at = (lo * slotWords) & mask
  while (!isFree(page, at) && (page[at] !== lo || page[at + 1] !== hi)) at = (at + slotWords) & mask
  return at
}

/** Backward-shift deletion (Knuth, TAOCP 6.4, algorithm R): no tombstones, so an attack that has passed leaves no long probes behind. */
const closeGap = (page: Page, removed: number): void => {
  const mask = page.length - 1
  let gap = removed
  for (let at = (gap + slotWords) & mask; !isFree(page, at); at = (at + slotWords) & mask) {
    const home = (page[at]! * slotWords) & mask
    // It may move back into the gap unless its home lies behind the gap.
    if (((at - home) & mask) < ((at - gap) & mask)) continue
    page.copyWithin(gap, at, at + slotWords)
    gap = at
  }
  page.fill(0, gap, gap + slotWords)
}
