import { availableParallelism } from 'node:os'

import { type Timers, systemTimers } from '../core/clock.ts'
import { Problem } from '../core/errors.ts'

export interface HashGateOptions {
  /** How many hashes are made at the same time. */
  readonly atOnce?: number
  readonly maxWaiting?: number
  readonly maxWaitingPerClient?: number
  readonly maxWaitMs?: number
  readonly timers?: Timers
}

/** Whom a hash is made for. */
export interface Asker {
  /** What counts as one client. */
  readonly client: string
  /** Nobody waits for the answer any more. */
  readonly isGone: () => boolean
}

/**
 * A hash keeps a core and a thread of libuv's pool busy for 40 ms. One core stays with everything else, and of the pool's four threads one,
 * which files and name look-ups need.
 */
const defaults: Required<HashGateOptions> = {
  atOnce: Math.min(3, Math.max(1, availableParallelism() - 1)),
  maxWaiting: 100,
  maxWaitingPerClient: 20,
  maxWaitMs: 4000,
  timers: systemTimers,
}

interface Waiter {
  readonly asker: Asker
  readonly start: () => void
  readonly refuse: () => void
  readonly callOff: () => void
}

/** The command line, and whoever else has no request. */
const local: Asker = { client: '', isGone: () => false }

/**
 * Few hashes at a time, the rest in a bounded queue: a flood of logins is refused and does not starve the API. Clients take turns, each in
 * the order of its requests, and each may have only so many waiting: who sends a hundred delays another by one.
 */
export class HashGate {
  readonly #options: Required<HashGateOptions>
  readonly #full: Problem
  /** By client, in the order of their turns; no empty lists. */
  readonly #queues = new Map<string, readonly Waiter[]>()
  #running = 0
  #waiting = 0

  constructor(options: HashGateOptions = {}) {
    this.#options = { ...defaults, ...options }
    this.#full = new Problem('temporary_reduced_capacity', {
      detail: 'Too many passwords are being checked at the moment. Try again later.',
      // By then each that waits now was served or refused.
      retryAfterSeconds: Math.ceil(this.#options.maxWaitMs / 1000),
    })
  }

  get running(): number {
    return this.#running
  }

  get waiting(): number {
    return this.#waiting
  }

  /** Does the work when it is its turn. Rejects with temporary_reduced_capacity where too many wait, or it waited too long. */
  async run<T>(work: () => Promise<T>, asker: Asker = local): Promise<T> {
    if (this.#running < this.#options.atOnce) this.#running++
    else await this.#turn(asker)
    try {
      return await work()
    } finally {
      this.#running--
      this.#letIn()
    }
  }

  #turn(asker: Asker): Promise<void> {
    const { maxWaiting, maxWaitingPerClient, maxWaitMs, timers } = this.#options
    const own = this.#queues.get(asker.client) ?? []
    if (this.#waiting >= maxWaiting || own.length >= maxWaitingPerClient) return Promise.reject(this.#full)
    return new Promise((start, reject) => {
      const refuse = (): void => reject(this.#full)
      const callOff = timers.after(maxWaitMs, () => {
        this.#leave(waiter)
        refuse()
      })
      const waiter: Waiter = { asker, start, refuse, callOff }
      this.#queues.set(asker.client, [...own, waiter])
      this.#waiting++
    })
  }

  #letIn(): void {
    for (let waiter = this.#first(); waiter !== undefined && this.#running < this.#options.atOnce; waiter = this.#first()) {
      this.#leave(waiter)
      this.#moveBack(waiter.asker.client)
      if (waiter.asker.isGone()) {
        waiter.refuse()
        continue
      }
      this.#running++
      waiter.start()
    }
  }

  #first(): Waiter | undefined {
    const [queue] = this.#queues.values()
    return queue?.[0]
  }

  #leave(waiter: Waiter): void {
    const { client } = waiter.asker
    const rest = (this.#queues.get(client) ?? []).filter((one) => one !== waiter)
    if (rest.length === 0) this.#queues.delete(client)
    else this.#queues.set(client, rest)
    waiter.callOff()
    this.#waiting--
  }

  /** It had its turn: all others come first. */
  #moveBack(client: string): void {
    const rest = this.#queues.get(client)
    if (rest === undefined) return
    this.#queues.delete(client)
    this.#queues.set(client, rest)
  }
}
