/** What is waited for, and until when, in monotonic milliseconds. */
export interface Awaited {
  dueMs: number
  settled: boolean
  /** Its time was prolonged once because this process was busy. */
  prolonged: boolean
  expire(): void
}

/**
 * Deadlines of equal length, in the order in which they were added, on one timer.
 *
 * A deadline is judged one turn of the event loop after its timer, when all that had arrived by then has been read: a process that was
 * busy for long must not take an answer that lies in its socket for a missing one. Where the timer itself came late, what was asked for
 * may not even have been written in time: then the deadlines are prolonged once, by as much as it was late and at most by their length.
 */
export class DeadlineQueue {
  readonly #nowMs: () => number
  readonly #lengthMs: number
  #queue: Awaited[] = []
  #timer: NodeJS.Timeout | undefined

  constructor(nowMs: () => number, lengthMs: number) {
    this.#nowMs = nowMs
    this.#lengthMs = lengthMs
  }

  add(expire: () => void): Awaited {
    const awaited = { dueMs: this.#nowMs() + this.#lengthMs, settled: false, prolonged: false, expire }
    this.#queue.push(awaited)
    if (this.#timer === undefined) this.#arm()
    return awaited
  }

  /** What is waited for expires at once. */
  close(): void {
    clearTimeout(this.#timer)
    for (const awaited of this.#queue.splice(0)) this.#expire(awaited)
  }

  #arm(): void {
    this.#queue = this.#queue.filter(({ settled }) => !settled)
    const [next] = this.#queue
    this.#timer = undefined
    if (next === undefined) return
    this.#timer = setTimeout(() => this.#fire(next), Math.max(1, next.dueMs - this.#nowMs()))
    this.#timer.unref()
  }

  #fire(next: Awaited): void {
    const nowMs = this.#nowMs()
    const lateMs = nowMs - next.dueMs
    if (lateMs > this.#lengthMs / 5 && !next.prolonged) {
      const untilMs = nowMs + Math.min(lateMs, this.#lengthMs)
      for (const awaited of this.#queue) {
        if (awaited.dueMs < untilMs) [awaited.dueMs, awaited.prolonged] = [untilMs, true]
      }
      this.#arm()
      return
    }
    setImmediate(() => {
      for (const awaited of this.#queue) if (awaited.dueMs <= nowMs) this.#expire(awaited)
      this.#arm()
    })
  }

  #expire(awaited: Awaited): void {
    if (awaited.settled) return
    awaited.settled = true
    awaited.expire()
  }
}
