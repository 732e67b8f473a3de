import type { DecisionChange } from './decision.ts'

export interface OutboxOptions {
  /** All or nothing, and again without harm. Rejects where the store is away. */
  readonly deliver: (changes: readonly DecisionChange[]) => Promise<void>
  readonly epochMs: () => number
  /** Changes that wait at once, about 4 KB each at most; beyond it the oldest, which is over first, is given up. */
  readonly most?: number
}

interface Waiting {
  readonly change: DecisionChange
  readonly done: Promise<void>
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

const mostWaiting = 10_000
/** Together in one unit: it must not hold up other writers for long. */
const batch = 50
const firstWaitMs = 100
const longestWaitMs = 5000

/** What a store is to be told, in order: tried again with back-off until it has it or the decision is over. Keeps no process alive. */
export class Outbox {
  readonly #options: OutboxOptions
  readonly #waiting = new Map<string, Waiting>()
  #waitMs = firstWaitMs
  #timer: NodeJS.Timeout | undefined
  #sending: Promise<void> | undefined
  #closed = false

  constructor(options: OutboxOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#waiting.size
  }

  /** Resolves when the store has it; rejects when it is given up. */
  add(change: DecisionChange): Promise<void> {
    if (this.#closed) return Promise.reject(new Error('closed'))
    const name = nameOfChange(change)
    const known = this.#waiting.get(name)
    if (known !== undefined) return known.done
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    // Not everybody waits for it.
    promise.catch(() => undefined)
    this.#waiting.set(name, { change, done: promise, resolve, reject })
    const [oldest] = this.#waiting
    if (oldest !== undefined && this.#waiting.size > (this.#options.most ?? mostWaiting)) this.#giveUp(oldest, 'too many wait')
    if (this.#timer === undefined) void this.#send()
    return promise
  }

  /** Whether a decision still waits. */
  holds(id: string): boolean {
    return this.#waiting.has(`decided ${id}`)
  }

  /** Tries now; resolves when that has succeeded or failed. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    // What is under way may have begun before the last was added.
    await this.#sending
    await this.#send()
  }

  /** One last try, and no longer than that takes or may take. */
  async close(limitMs: number): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, limitMs)
    await Promise.race([this.flush(), late])
    clearTimeout(timer)
    this.#closed = true
    clearTimeout(this.#timer)
    for (const entry of this.#waiting) this.#giveUp(entry, 'closed')
  }

  #send(): Promise<void> {
    this.#sending ??= this.#sendAll().finally(() => (this.#sending = undefined))
    return this.#sending
  }

  async #sendAll(): Promise<void> {
    for (let entries = this.#next(); entries.length > 0; entries = this.#next()) {
      try {
        await this.#options.deliver(entries.map(([, { change }]) => change))
      } catch {
        this.#tryLater()
        return
      }
      this.#waitMs = firstWaitMs
      for (const [name, { resolve }] of entries) {
        this.#waiting.delete(name)
        resolve()
      }
    }
  }

  #tryLater(): void {
    if (this.#closed) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      void this.#send()
    }, this.#waitMs).unref()
    this.#waitMs = Math.min(2 * this.#waitMs, longestWaitMs)
  }

  #next(): [string, Waiting][] {
    const now = this.#options.epochMs()
    const entries: [string, Waiting][] = []
    for (const entry of this.#waiting) {
      const { change } = entry[1]
      if (change.change === 'decided' && change.decision.expiresAt <= now) this.#giveUp(entry, 'it is over')
      else if (entries.push(entry) === batch) break
    }
    return entries
  }

  #giveUp([name, { reject }]: readonly [string, Waiting], reason: string): void {
    this.#waiting.delete(name)
    reject(new Error(`a decision was not stored: ${reason}`))
  }
}

/** A decision and its end are two changes. */
export const nameOfChange = (change: DecisionChange): string =>
  change.change === 'decided' ? `decided ${change.decision.id}` : `lifted ${change.id}`
