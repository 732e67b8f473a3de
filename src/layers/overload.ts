import { getHeapStatistics } from 'node:v8'

import type { FastifyPluginCallback } from 'fastify'

import type { Clock } from '../core/clock.ts'
import { Problem } from '../core/errors.ts'
import type { Observe, SecurityEvent } from '../core/events.ts'
import { wholeServer } from '../core/plugin.ts'

export interface OverloadOptions {
  readonly clock: Clock
  readonly observe: Observe
  /** How late the event loop may be, all the time; default 300 ms. */
  readonly maxDelayMs?: number
  /** How full the heap may be, as a share of what the engine may use at all; default 0.9. */
  readonly maxHeapShare?: number
  /** From 0 up to 1. */
  readonly random?: () => number
}

/** What was seen at one look. */
export interface Load {
  /** Since the last look. */
  readonly elapsedMs: number
  readonly delayMs: number
  readonly heapShare: number
}

export const lookEveryMs = 100

/** A few are let in whatever happens: they show when it is over. */
const leastAdmitted = 0.02
/** How the admitted share answers a delay that is off the mark, at each look, and one that grew since the last. */
const towardsMark = 0.12
const againstGrowth = 0.5
/** A delay of a third of the mark or less is none; one of three times the mark and more says nothing more. */
const widest = Math.log(3)
/** What is over sooner is a burst. */
const burstLooks = 3
const burstMs = 2000
/** Of a loop that is seconds late there are few looks, so each counts for more. */
const mostLooks = 5

/**
 * How large a share of requests is refused, from what is seen ten times a second. The admitted share is multiplied by how far the delay is from
 * the mark and by how much it grew, so it settles where the delay stays at the mark instead of swinging between all and nothing; being a
 * factor, it does so for ten clients as for ten thousand. (The shape is that of PIE, RFC 8033 section 4.2, in logarithms.)
 * Only a delay that stays for two seconds begins it: a burst that passes by itself is none (section 4.4).
 */
export class Shedding {
  readonly #maxDelayMs: number
  readonly #maxHeapShare: number
  /** Logarithm of the delay in marks: above 0 is too much. */
  #last = -widest
  #admitted = 1
  /** While nothing is refused yet. */
  #lateLooks = 0
  #lateMs = 0

  constructor({ maxDelayMs = 300, maxHeapShare = 0.9 }: Pick<OverloadOptions, 'maxDelayMs' | 'maxHeapShare'> = {}) {
    this.#maxDelayMs = maxDelayMs
    this.#maxHeapShare = maxHeapShare
  }

  /** 0 to 0.98. */
  get share(): number {
    return 1 - this.#admitted
  }

  #hasStayed(late: boolean, elapsedMs: number): boolean {
    this.#lateLooks = late ? this.#lateLooks + 1 : 0
    this.#lateMs = late ? this.#lateMs + elapsedMs : 0
    return this.#lateLooks >= burstLooks && this.#lateMs >= burstMs
  }

  look({ elapsedMs, delayMs, heapShare }: Load): void {
    // A heap that is only half full says nothing about the load; a full one is twice the mark.
    const marks = heapShare > this.#maxHeapShare ? Math.max(2, delayMs / this.#maxDelayMs) : delayMs / this.#maxDelayMs
    const level = Math.min(widest, Math.max(-widest, Math.log(marks)))
    const growth = level - this.#last
    this.#last = level
    if (this.#admitted === 1 && !this.#hasStayed(level > 0, elapsedMs)) return
    const looks = Math.min(mostLooks, Math.max(1, elapsedMs / lookEveryMs))
    const factor = Math.exp(-(towardsMark * looks * level + againstGrowth * growth))
    this.#admitted = Math.min(1, Math.max(leastAdmitted, this.#admitted * factor))
  }
}

/** Watches the process while a server listens. One for each process: its listeners share the loop and the heap. */
export class Overload {
  readonly #options: OverloadOptions
  readonly #shedding: Shedding
  readonly #random: () => number
  #lastMs = 0
  #load: Load = { elapsedMs: 0, delayMs: 0, heapShare: 0 }
  #toldMs = -Infinity
  #refused = 0

  constructor(options: OverloadOptions) {
    this.#options = options
    this.#shedding = new Shedding(options)
    this.#random = options.random ?? Math.random
  }

  get share(): number {
    return this.#shedding.share
  }

  /** For who asks whether all is well; none when it is. */
  warnings(): readonly string[] {
    const percent = Math.ceil(this.share * 100)
    const { delayMs, heapShare } = this.#load
    if (percent === 0) return []
    const text = `overloaded: ${percent} of 100 requests are refused; the event loop is ${Math.round(delayMs)} ms late, the heap ${Math.round(heapShare * 100)} % full`
    return [text]
  }

  /** Returns what ends it. */
  start(): () => void {
    this.#lastMs = this.#options.clock.monotonicMs()
    const timer = setInterval(() => this.#look(), lookEveryMs).unref()
    return () => clearInterval(timer)
  }

  /** The refusal of one request, or undefined where it is let in. */
  refusal(): Problem | undefined {
    const { share } = this
    if (share === 0 || this.#random() >= share) return undefined
    this.#refused++
    // Who was sent away together must not come back together.
    return problems[Math.floor(this.#random() * Math.ceil(share * longestRetry))]
  }

  #look(): void {
    const { clock, maxHeapShare = 0.9 } = this.#options
    const nowMs = clock.monotonicMs()
    const elapsedMs = nowMs - this.#lastMs
    const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics()
    this.#lastMs = nowMs
    this.#load = { elapsedMs, delayMs: Math.max(0, elapsedMs - lookEveryMs), heapShare: used / limit }
    this.#shedding.look(this.#load)
    if (this.#refused > 0 && nowMs - this.#toldMs >= 1000) this.#tell(nowMs, used / limit > maxHeapShare ? 'heap' : 'event_loop')
  }

  /** Once a second at most: telling of each would be work where there is too much already. */
  #tell(nowMs: number, reason: OverloadEvent['reason']): void {
    this.#options.observe({
      event: 'abnormal_performance',
      requestId: null,
      client: null,
      reason,
      delay: Math.round(this.#load.delayMs),
      heap: Math.round(this.#load.heapShare * 100),
      shed: Math.ceil(this.share * 100),
      refused: this.#refused,
    })
    this.#toldMs = nowMs
    this.#refused = 0
  }
}

type OverloadEvent = Extract<SecurityEvent, { event: 'abnormal_performance'; shed: number }>

/** Seconds; up to this the more the more is refused. */
const longestRetry = 10

const problemOf = (retryAfterSeconds: number): Problem =>
  new Problem('temporary_reduced_capacity', { detail: 'The server has more to do than it can. Try again later.', retryAfterSeconds })

/** Made once, because a refusal must cost next to nothing. */
const problems = Array.from({ length: longestRetry }, (_, i) => problemOf(i + 1))

/** Refuses a share of requests while there is more to do than can be done, before anything is done for them; what has begun goes on. */
export const overload: FastifyPluginCallback<{ readonly watch: Overload }> = wholeServer('overload', (app, { watch }, done) => {
  let stop: (() => void) | undefined
  app.addHook('onListen', (listening) => {
    stop ??= watch.start()
    listening()
  })
  app.addHook('onClose', (_app, closed) => {
    stop?.()
    closed()
  })
  app.addHook('onRequest', (_request, _reply, next) => {
    next(watch.refusal())
  })
  done()
})
