import type { Clock, Timers } from '../../core/clock.ts'
import { Queue, type Slot } from './queue.ts'

/** Whom a request counts for: an id, and the wider prefix that it lies in. */
export interface PacedIdentity {
  readonly id: string
  readonly wider?: string | undefined
}

/** A rate with delays: `limit` requests in each `windowMs`, evenly, `burst` at once after a pause, each admitted up to `maxDelayMs` early. */
export interface PacedQuota {
  readonly scope: string
  readonly windows: readonly {
    readonly name: string
    readonly limit: number
    readonly windowMs: number
    readonly burst: number
    readonly maxDelayMs: number
  }[]
}

/** The quotas of a decision: just this one. Stores remember what they planned for it, so the same array is given each time. */
export type Pace = readonly [PacedQuota]

interface PacedDecision {
  readonly allowed: boolean
  readonly retryAfterMs: number
  readonly delayMs: number
}

/**
 * What the gate needs of the limiter's store (LimiterStore is one): it decides when each may begin, so that all processes which share the
 * store share the pace. `refund` gets back what `consume` returned, untouched.
 */
export interface PaceStore {
  consume(identity: PacedIdentity, quotas: readonly PacedQuota[], cost: number): PacedDecision | Promise<PacedDecision>
  refund(identity: PacedIdentity, quotas: readonly PacedQuota[], cost: number, decision: PacedDecision): void | Promise<void>
}

/** Why somebody is not let through: too many of its own wait, too many in all, the server ends, or the store did not answer. */
export type Refusal =
  | { readonly reason: 'pace'; readonly retryAfterMs: number }
  | { readonly reason: 'full' | 'closing' }
  | { readonly reason: 'store'; readonly cause: unknown }

/** Called once: without an argument when it is the visitor's turn. */
export type OnTurn = (refusal?: Refusal) => void

export interface GateOptions {
  readonly store: PaceStore
  readonly clock: Pick<Clock, 'monotonicMs'>
  readonly timers: Timers
  /** How many may wait in this process; read at each decision. */
  readonly maxWaitingInAll: () => number
}

/** Somebody at the gate, from the question to the store until let through, refused or gone. */
export class Visit {
  readonly onTurn: OnTurn
  isOver = false
  line: Line | undefined

  constructor(onTurn: OnTurn) {
    this.onTurn = onTurn
  }

  end(refusal?: Refusal): void {
    if (this.isOver) return
    this.isOver = true
    this.line = undefined
    this.onTurn(refusal)
  }
}

/** The queue of one identity for one pace, with the timer of its head. */
interface Line {
  readonly key: string
  readonly queue: Queue<Visit>
  callOff: () => void
}

/**
 * Lets each visitor through at the moment that the store gave it, never before, in the order of arrival. Lines exist only while somebody
 * waits in them. After a stall of the process all whose moment has passed go at once: their moments had the pace.
 */
export class Gate {
  readonly #options: GateOptions
  readonly #lines = new Map<string, Line>()
  #waiting = 0
  #isClosed = false

  constructor(options: GateOptions) {
    this.#options = options
  }

  get waiting(): number {
    return this.#waiting
  }

  get lines(): number {
    return this.#lines.size
  }

  /** With a store that answers at once, `onTurn` may be called before this returns. */
  enter(identity: PacedIdentity, pace: Pace, onTurn: OnTurn): Visit {
    const visit = new Visit(onTurn)
    const decision = this.#options.store.consume(identity, pace, 1)
    if (decision instanceof Promise)
      decision.then(
        (later) => this.#decided(visit, identity, pace, later),
        (cause: unknown) => visit.end({ reason: 'store', cause }),
      )
    else this.#decided(visit, identity, pace, decision)
    return visit
  }

  /** The visitor is gone: those behind it move up. False where it was let through or refused before. */
  leave(visit: Visit): boolean {
    if (visit.isOver) return false
    visit.isOver = true
    const { line } = visit
    if (line === undefined) return true
    line.queue.leave(visit)
    this.#waiting--
    // Whoever moved up to the head has the slot that the timer is set to.
    if (line.queue.length === 0) this.#remove(line)
    return true
  }

  /** Refuses all who wait, and from now on all who would have to. */
  close(): void {
    this.#isClosed = true
    for (const line of this.#lines.values()) {
      this.#remove(line)
      const visits = line.queue.takeAll()
      this.#waiting -= visits.length
      for (const visit of visits) visit.end({ reason: 'closing' })
    }
  }

  #decided(visit: Visit, identity: PacedIdentity, pace: Pace, decision: PacedDecision): void {
    if (!decision.allowed) {
      visit.end({ reason: 'pace', retryAfterMs: decision.retryAfterMs })
      return
    }
    const giveBack = (): void => this.#refund(identity, pace, decision)
    const slot = { atMs: this.#options.clock.monotonicMs() + decision.delayMs, giveBack }
    const key = keyOf(identity, pace)
    const ahead = this.#lines.get(key)
    // A late timer must not let newcomers overtake.
    if (ahead !== undefined) this.#letThrough(ahead)
    if (visit.isOver) giveBack()
    else if (decision.delayMs === 0 && !this.#lines.has(key)) visit.end()
    else if (this.#isClosed || this.#waiting >= this.#options.maxWaitingInAll()) {
      giveBack()
      visit.end({ reason: this.#isClosed ? 'closing' : 'full' })
    } else this.#join(visit, key, slot)
  }

  #join(visit: Visit, key: string, slot: Slot): void {
    const known = this.#lines.get(key)
    const line = known ?? { key, queue: new Queue<Visit>(), callOff: () => undefined }
    line.queue.join(visit, slot)
    visit.line = line
    this.#waiting++
    if (known !== undefined) return
    this.#lines.set(key, line)
    this.#setTimer(line, slot.atMs)
  }

  #letThrough(line: Line): void {
    const visits = line.queue.takeDue(this.#options.clock.monotonicMs())
    this.#waiting -= visits.length
    const { nextMs } = line.queue
    if (nextMs === undefined) this.#remove(line)
    else this.#setTimer(line, nextMs)
    for (const visit of visits) visit.end()
  }

  #setTimer(line: Line, atMs: number): void {
    line.callOff()
    line.callOff = this.#options.timers.after(atMs - this.#options.clock.monotonicMs(), () => this.#letThrough(line))
  }

  #remove(line: Line): void {
    line.callOff()
    this.#lines.delete(line.key)
  }

  #refund(identity: PacedIdentity, pace: Pace, decision: PacedDecision): void {
    const done = this.#options.store.refund(identity, pace, 1, decision)
    // A slot that cannot be given back is lost, never used twice.
    if (done instanceof Promise) done.catch(() => undefined)
  }
}

/** The length in front, so that no scope and id together look like another scope and id. */
const keyOf = ({ id }: PacedIdentity, [{ scope }]: Pace): string => `${scope.length} ${scope}${id}`
