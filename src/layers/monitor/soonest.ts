/** What ends first comes first: a binary heap. */
export class Soonest<T> {
  readonly #ends: (item: T) => number
  readonly #items: T[] = []

  constructor(ends: (item: T) => number) {
    this.#ends = ends
  }

  get size(): number {
    return this.#items.length
  }

  get first(): T | undefined {
    return this.#items[0]
  }

  add(item: T): void {
    let at = this.#items.push(item) - 1
    while (at > 0) {
      const above = (at - 1) >>> 1
      if (this.#ends(this.#items[above]!) <= this.#ends(item)) break
      this.#items[at] = this.#items[above]!
      at = above
    }
    this.#items[at] = item
  }

  takeFirst(): T | undefined {
    const first = this.#items[0]
    const last = this.#items.pop()
    if (last !== undefined && this.#items.length > 0) this.#sink(last)
    return first
  }

  /** Forgets what is not kept, in one go. */
  keep(isKept: (item: T) => boolean): void {
    const kept = this.#items.filter(isKept)
    this.#items.length = 0
    for (const item of kept) this.add(item)
  }

  /** Puts the item where the first one was. */
  #sink(item: T): void {
    const { length } = this.#items
    let at = 0
    for (;;) {
      let below = 2 * at + 1
      if (below + 1 < length && this.#ends(this.#items[below + 1]!) < this.#ends(this.#items[below]!)) below++
      if (below >= length || this.#ends(this.#items[below]!) >= this.#ends(item)) break
      this.#items[at] = this.#items[below]!
      at = below
    }
    this.#items[at] = item
  }
}
