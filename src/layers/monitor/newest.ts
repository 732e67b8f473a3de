/** The newest entries of a Map. What was put once more is new again. */
export class Newest<K, V> {
  readonly #capacity: number
  readonly #entries = new Map<K, V>()
  /** One iterator for all: a new one would walk over everything that was deleted before it. */
  #oldest = this.#entries.keys()

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  get size(): number {
    return this.#entries.size
  }

  get(key: K): V | undefined {
    return this.#entries.get(key)
  }

  put(key: K, value: V): void {
    this.#entries.delete(key)
    this.#entries.set(key, value)
    if (this.#entries.size > this.#capacity) this.#forgetOldest()
  }

  delete(key: K): boolean {
    return this.#entries.delete(key)
  }

  values(): IterableIterator<V> {
    return this.#entries.values()
  }

  /** What the iterator has passed was deleted, or put at the end again. */
  #forgetOldest(): void {
    let { value, done } = this.#oldest.next()
    if (done === true) {
      this.#oldest = this.#entries.keys()
      ;({ value, done } = this.#oldest.next())
    }
    if (done !== true) this.#entries.delete(value as K)
  }
}
