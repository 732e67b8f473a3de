import type { Observe, SecurityEvent } from '../../core/events.ts'

/** What is counted together. */
export const slotMs = 10_000
/** Slots in which the first idea of what is usual is made, and nothing told: five minutes. */
const warmUpSlots = 30
/** So much of each slot goes into what is usual: half of it is of the last five minutes. */
const weight = 0.023
/** Beyond so many usual deviations a slot is unusual; no single one moves what is usual by more than three. */
const farDeviations = 5
const clipDeviations = 3
/** Slots in a row until something is told, and until it is over. */
const patience = 3
const quietMs = 300_000

type Reason = 'latency' | 'error_rate' | 'traffic'

interface Metric {
  /** Where it is compared: latency and traffic by factors. */
  readonly scale: (value: number) => number
  readonly unscale: (x: number) => number
  /** In that scale: less is never unusual, however steady it was. */
  readonly least: number
  /** A value below is never told of. */
  readonly worthTelling: number
}

const log2: Pick<Metric, 'scale' | 'unscale'> = { scale: (value) => Math.log2(value + 1), unscale: (x) => 2 ** x - 1 }
const linear: Pick<Metric, 'scale' | 'unscale'> = { scale: (value) => value, unscale: (x) => x }

const metrics: Readonly<Record<Reason, Metric>> = {
  // Twice as slow, and so slow that somebody notices; ms.
  latency: { ...log2, least: 1, worthTelling: 50 },
  // Percent.
  error_rate: { ...linear, least: 5, worthTelling: 5 },
  // Three times as many; requests a second.
  traffic: { ...log2, least: 1.6, worthTelling: 20 },
}

/** A percentile of fewer requests, or a share, says little. */
const leastRequests = 50
const leastErrors = 5

/** An exponentially weighted mean and mean deviation (as of RFC 6298, section 2), which no single value can pull far. */
class Usual {
  readonly #metric: Metric
  #mean = 0
  #deviation = 0
  #slots = 0
  #unusual = 0
  #normal = 0
  #isTold = false
  #toldMs = -Infinity

  constructor(metric: Metric) {
    this.#metric = metric
  }

  /** What was usual, where the value has now been unusual for long enough to tell people. */
  learn(value: number, nowMs: number): number | undefined {
    const x = this.#metric.scale(value)
    const far = Math.max(this.#metric.least, farDeviations * this.#deviation)
    const usual = this.#metric.unscale(this.#mean)
    const isUnusual = this.#slots >= warmUpSlots && x - this.#mean > far && value >= this.#metric.worthTelling
    this.#absorb(x)
    this.#unusual = isUnusual ? this.#unusual + 1 : 0
    this.#normal = isUnusual ? 0 : this.#normal + 1
    if (this.#normal >= patience) this.#isTold = false
    if (this.#unusual < patience || this.#isTold || nowMs - this.#toldMs < quietMs) return undefined
    this.#isTold = true
    this.#toldMs = nowMs
    return usual
  }

  #absorb(x: number): void {
    this.#slots++
    if (this.#slots <= warmUpSlots) {
      // The plain mean of what there is: the first slot must not weigh for minutes.
      const share = 1 / this.#slots
      const before = this.#mean
      this.#mean += share * (x - this.#mean)
      if (this.#slots > 1) this.#deviation += share * (Math.abs(x - before) - this.#deviation)
      return
    }
    const bound = Math.max(clipDeviations * this.#deviation, this.#metric.least / 4)
    const off = Math.max(-bound, Math.min(bound, x - this.#mean))
    this.#mean += weight * off
    this.#deviation += weight * (Math.abs(off) - this.#deviation)
  }
}

/** Four to each power of two, of 1/64 ms: a percentile is right to a fifth. */
const histogramBuckets = 128

const bucketOf = (ms: number): number => {
  const n = Math.min(0x3fff_ffff, Math.max(4, ms * 64)) | 0
  const power = 31 - Math.clz32(n)
  return power * 4 + ((n >> (power - 2)) & 3)
}

/** The middle of the bucket, in ms. */
const valueOf = (bucket: number): number => ((4.5 + (bucket & 3)) * 2 ** ((bucket >> 2) - 2)) / 64

export interface BaselineOptions {
  readonly monotonicMs: () => number
  readonly observe: Observe
}

/**
 * Whether the service itself does what it usually does: how slow the slowest twentieth of what went well is, how much fails, how many come.
 * It tells people and never refuses anybody. A slot is judged when the next one begins, with the first request of that.
 */
export class Baseline {
  readonly #options: BaselineOptions
  readonly #usual = { latency: new Usual(metrics.latency), error_rate: new Usual(metrics.error_rate), traffic: new Usual(metrics.traffic) }
  readonly #histogram = new Uint32Array(histogramBuckets)
  #slot = Number.NaN
  #requests = 0
  #succeeded = 0
  #failed = 0

  constructor(options: BaselineOptions) {
    this.#options = options
  }

  request(durationMs: number, status: number | null, verdict: string): void {
    const slot = Math.floor(this.#options.monotonicMs() / slotMs)
    if (slot !== this.#slot) this.#turn(slot)
    this.#requests++
    if (status !== null && status >= 500) this.#failed++
    // What is refused is answered faster than anything: a flood of it would hide how slow the rest is.
    else if (verdict === 'ok') {
      this.#succeeded++
      const bucket = bucketOf(durationMs)
      this.#histogram[bucket] = this.#histogram[bucket]! + 1
    }
  }

  #turn(slot: number): void {
    // The first slot began before this was there to see it.
    if (!Number.isNaN(this.#slot) && slot > this.#slot) this.#judge(slot - this.#slot - 1)
    this.#slot = slot
    this.#requests = this.#succeeded = this.#failed = 0
    this.#histogram.fill(0)
  }

  /** `idle` slots followed in which nobody came. */
  #judge(idle: number): void {
    const nowMs = this.#options.monotonicMs()
    this.#learn('traffic', this.#requests / (slotMs / 1000), nowMs)
    // After an hour without anybody nothing is usual but that.
    for (let i = 0; i < Math.min(idle, 360); i++) this.#learn('traffic', 0, nowMs)
    if (this.#succeeded >= leastRequests) this.#learn('latency', this.#percentile(0.95), nowMs)
    if (this.#requests >= leastRequests) {
      const share = this.#failed < leastErrors ? 0 : (100 * this.#failed) / this.#requests
      this.#learn('error_rate', share, nowMs)
    }
  }

  #learn(reason: Reason, value: number, nowMs: number): void {
    const usual = this.#usual[reason].learn(value, nowMs)
    if (usual !== undefined) this.#options.observe(unusual(reason, value, usual))
  }

  #percentile(share: number): number {
    let left = Math.ceil(this.#succeeded * share)
    for (let bucket = 0; bucket < histogramBuckets; bucket++) {
      left -= this.#histogram[bucket]!
      if (left <= 0) return valueOf(bucket)
    }
    return 0
  }
}

const unusual = (reason: Reason, value: number, usual: number): SecurityEvent => ({
  event: 'abnormal_performance',
  requestId: null,
  client: null,
  reason,
  value: Math.round(value * 10) / 10,
  usual: Math.round(Math.max(0, usual) * 10) / 10,
})
