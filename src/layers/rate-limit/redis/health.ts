import type { Clock } from '../../../core/clock.ts'
import type { Observe } from '../../../core/events.ts'
import { DeadlineQueue } from './deadline-queue.ts'
import { reasonOf } from './link.ts'

export interface RedisHealthOptions {
  /** Writes something, so that a server that can only be read from counts as gone. */
  readonly check: () => Promise<unknown>
  readonly observe: Observe
  readonly clock: Pick<Clock, 'monotonicMs'>
  readonly timeoutMs: number
}

const heartbeatMs = 1000
const probeMs = 250

/**
 * Whether the store answers. The first failure of a call or of the heartbeat says no, and one event tells it; from then on only the probe
 * asks. Checks never overlap: one that hangs is waited for until its connection is given up. Keeps no process alive.
 */
export class RedisHealth {
  isUp = true
  readonly #options: RedisHealthOptions
  readonly #deadlines: DeadlineQueue
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(options: RedisHealthOptions) {
    this.#options = options
    this.#deadlines = new DeadlineQueue(options.clock.monotonicMs, options.timeoutMs)
    this.#checkIn(heartbeatMs)
  }

  fail(error: unknown): void {
    if (!this.isUp || this.#closed) return
    this.isUp = false
    this.#options.observe({ event: 'sys_store_failure', store: 'redis', error: reasonOf(error) })
    // A check under way goes on: it will say when to ask next.
    if (this.#timer !== undefined) this.#checkIn(probeMs)
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    this.#deadlines.close()
  }

  #checkIn(delayMs: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#check(), delayMs)
    this.#timer.unref()
  }

  #check(): void {
    this.#timer = undefined
    let isLate = false
    const awaited = this.#deadlines.add(() => {
      isLate = true
      this.fail(new Error(`no answer within ${this.#options.timeoutMs} ms`))
    })
    const settle = (error?: unknown): void => {
      awaited.settled = true
      if (this.#closed) return
      if (error !== undefined) this.fail(error)
      else if (!isLate) this.#recover()
      // An answer that came late is no recovery, but a sign that the next may be in time.
      this.#checkIn(this.isUp ? heartbeatMs : error === undefined ? probeMs / 10 : probeMs)
    }
    this.#options.check().then(() => settle(), settle)
  }

  #recover(): void {
    if (this.isUp) return
    this.isUp = true
    this.#options.observe({ event: 'sys_store_recovered', store: 'redis' })
  }
}
