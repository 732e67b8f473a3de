/** A moment at which one of a queue may begin. */
export interface Slot {
  /** Milliseconds on the monotonic clock. */
  readonly atMs: number
  /** Tells the store that nobody will use it. */
  readonly giveBack: () => void
}

/**
 * Waiters and slots, each in order: the first waiter has the first slot. So when somebody leaves, all behind move up by one slot, and it is
 * the last slot that nobody has any more.
 */
export class Queue<Waiter> {
  readonly #slots: Slot[] = []
  readonly #waiters: Waiter[] = []

  get length(): number {
    return this.#waiters.length
  }

  /** When the first of them may begin; undefined when nobody waits. */
  get nextMs(): number | undefined {
    return this.#slots[0]?.atMs
  }

  /** At the end, whatever the slot says: answers of a store over the network may differ by the time they took. */
  join(waiter: Waiter, slot: Slot): void {
    const last = this.#slots.at(-1)
    this.#slots.push(last === undefined || last.atMs <= slot.atMs ? slot : { ...slot, atMs: last.atMs })
    this.#waiters.push(waiter)
  }

  /** Gives the last slot back; nothing happens where the waiter is not in the queue. */
  leave(waiter: Waiter): void {
    const place = this.#waiters.indexOf(waiter)
    if (place === -1) return
    this.#waiters.splice(place, 1)
    this.#slots.pop()?.giveBack()
  }

  /** Takes out those whose moment has come, in order. */
  takeDue(nowMs: number): readonly Waiter[] {
    const waiting = this.#slots.findIndex(({ atMs }) => atMs > nowMs)
    const count = waiting === -1 ? this.#slots.length : waiting
    this.#slots.splice(0, count)
    return this.#waiters.splice(0, count)
  }

  /** Takes everybody out, in order; their slots are given back from the last on, for a store takes back only the last one. */
  takeAll(): readonly Waiter[] {
    for (let slot = this.#slots.pop(); slot !== undefined; slot = this.#slots.pop()) slot.giveBack()
    return this.#waiters.splice(0)
  }
}
