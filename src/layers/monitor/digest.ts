import type { Clock, Timers } from '../../core/clock.ts'
import { type Alert, type AlertData, type Message, messageOf } from './alerts.ts'

export interface DigestOptions {
  readonly clock: Clock
  readonly timers: Timers
  readonly deliver: (message: Message) => void
  /** How long is gathered what follows an alert; default 60 s. */
  readonly gatherMs?: number
  /** Messages in any hour; default 15. */
  readonly perHour?: number
}

const hourMs = 3_600_000
const maxCounts = 50
const maxExamples = 5

/**
 * Keeps a burst from becoming a flood: the first alert is told at once, and what follows is gathered and told as one message. What is
 * gathered has a bound whatever comes: counts of a few kinds, and a few examples.
 */
export class Digest {
  readonly #options: DigestOptions
  readonly #gatherMs: number
  readonly #perHour: number
  /** When the last messages were told, oldest first; monotonic. */
  readonly #toldAt: number[] = []
  #gathered: Gathered | undefined
  #callOff: (() => void) | undefined

  constructor(options: DigestOptions) {
    this.#options = options
    this.#gatherMs = options.gatherMs ?? 60_000
    this.#perHour = options.perHour ?? 15
  }

  add(alert: Alert): void {
    if (this.#callOff === undefined && this.#waitMs() === 0) {
      this.#tell(messageOf(alert))
      this.#gather(this.#gatherMs)
      return
    }
    this.#gathered ??= new Gathered(alert.at)
    this.#gathered.add(alert)
    if (this.#callOff === undefined) this.#gather(this.#waitMs())
  }

  /** Tells now what was gathered. */
  flush(): void {
    this.#callOff?.()
    this.#callOff = undefined
    const gathered = this.#gathered
    this.#gathered = undefined
    if (gathered !== undefined) this.#tell(gathered.message(this.#options.clock.epochMs()))
  }

  #gather(ms: number): void {
    this.#callOff = this.#options.timers.after(ms, () => {
      this.#callOff = undefined
      if (this.#gathered === undefined) return
      const waitMs = this.#waitMs()
      if (waitMs > 0) {
        this.#gather(waitMs)
        return
      }
      this.flush()
      this.#gather(this.#gatherMs)
    })
  }

  /** Until there may be another message. */
  #waitMs(): number {
    const [oldest] = this.#toldAt
    if (oldest === undefined || this.#toldAt.length < this.#perHour) return 0
    return Math.max(0, oldest + hourMs - this.#options.clock.monotonicMs())
  }

  #tell(message: Message): void {
    this.#toldAt.push(this.#options.clock.monotonicMs())
    if (this.#toldAt.length > this.#perHour) this.#toldAt.shift()
    this.#options.deliver(message)
  }
}

/** What came in one span of time. */
class Gathered {
  readonly #from: number
  readonly #counts = new Map<string, { event: string; rule: string | null; observed: boolean; count: number }>()
  readonly #examples: AlertData[] = []
  #total = 0

  constructor(from: number) {
    this.#from = from
  }

  add({ event, rule, observed, data }: Alert): void {
    this.#total++
    if (this.#examples.length < maxExamples) this.#examples.push(data)
    const key = `${event} ${rule ?? ''} ${observed}`
    const known = this.#counts.get(key)
    if (known !== undefined) known.count++
    else if (this.#counts.size < maxCounts) this.#counts.set(key, { event, rule, observed, count: 1 })
  }

  message(epochMs: number): Message {
    const [from, to] = [this.#from, epochMs].map((ms) => new Date(ms).toISOString()) as [string, string]
    const counts = [...this.#counts.values()].toSorted((a, b) => b.count - a.count)
    const named = counts.slice(0, 5).map(({ event, rule, observed, count }) => {
      return `${count} × ${rule ?? event}${observed ? ' (only observed)' : ''}`
    })
    const rest = counts.length > named.length ? ', and others' : ''
    const text = `${this.#total} more ${this.#total === 1 ? 'alert' : 'alerts'} since ${from}: ${named.join(', ')}${rest}.`
    const data = { from, to, total: this.#total, counts, examples: this.#examples }
    return { type: 'filmgate.digest', timestamp: to, text, data }
  }
}
