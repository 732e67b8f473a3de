import type { Clock } from '../../core/clock.ts'
import { allowing, inspect, refusing } from './decide.ts'
import { randomlyKeyedHash } from './keyed-hash.ts'
import { type Plan, Planner } from './quota-plan.ts'
import { Records } from './records.ts'
import type { Decision, LimiterStore, Quota } from './store.ts'
import { nowhere } from './table.ts'

export interface MemoryStoreOptions {
  readonly clock: Pick<Clock, 'monotonicMs'>
  /** How many clients are counted one by one at the same time, if each needs at most four logs. */
  readonly maxTrackedClients: number
}

export interface MemoryStore extends LimiterStore {
  consume(identity: string, quotas: readonly Quota[], cost: number): Decision
  close(): void
  /** Logs held now, at most `capacity` (and one overflow log for each kind of log). Dead ones count until they are swept. */
  readonly tracked: number
  readonly capacity: number
  /** How often a newcomer's log was the shared overflow because there was no room: above 0, the store is too small or under attack. */
  readonly overflowed: number
}

/**
 * Logs for each tracked client: one for all windows of a quota with limits up to 256, and one for each window with more.
 * The usual client has three ("20 per second; 3000 per hour" in total, and one route); the fourth is for its second route.
 */
const logsPerClient = 4

/**
 * The limiter's store in the memory of one process: synchronous, strict sliding windows, all or nothing, bounded.
 *
 * Windows with limits up to 256 are exact: an event counts while less than `windowMs` milliseconds have passed. Windows with more count
 * by sixtieths of the window, an event for up to one sixtieth too long. Neither ever admits more than the limit in any span.
 *
 * A log takes 60 bytes, or up to 85 just after the table grew, for up to four events (two sixtieths of a window), and 2.1 KB at most, for
 * 129 events and more. `capacity` times that is the bound.
 * Throws a RangeError for a cost or a window that means nothing and for two quotas of one scope in one decision.
 */
export const createMemoryStore = (options: MemoryStoreOptions): MemoryStore => new SlidingWindows(options)

class SlidingWindows implements MemoryStore {
  readonly capacity: number
  readonly #clock: Pick<Clock, 'monotonicMs'>
  readonly #records: Records
  readonly #planner: Planner
  #nowMs: number
  readonly #plans = new WeakMap<readonly Quota[], readonly Plan[]>()

  constructor({ clock, maxTrackedClients }: MemoryStoreOptions) {
    if (!Number.isSafeInteger(maxTrackedClients) || maxTrackedClients < 1)
      throw new RangeError('maxTrackedClients must be a whole number above 0')
    this.capacity = maxTrackedClients * logsPerClient
    this.#clock = clock
    this.#nowMs = clock.monotonicMs()
    this.#records = new Records(this.capacity, randomlyKeyedHash(), this.#nowMs)
    this.#planner = new Planner(this.#records.slabs, randomlyKeyedHash())
  }

  get tracked(): number {
    return this.#records.size
  }

  get overflowed(): number {
    return this.#records.overflowed
  }

  consume(identity: string, quotas: readonly Quota[], cost: number): Decision {
    if (!Number.isSafeInteger(cost) || cost < 1) throw new RangeError(`the cost of a request must be a whole number above 0, not ${cost}`)
    // The logs are sorted by time. A clock that went back would break that, so here it stands still instead.
    const nowMs = Math.max(this.#nowMs, this.#clock.monotonicMs())
    this.#nowMs = nowMs
    const plans = this.#plansOf(quotas)
    this.#records.identify(identity)
    let newcomers = this.#open(plans, nowMs)
    if (newcomers > 0 && this.#records.full) {
      this.#records.sweep(newcomers, nowMs)
      newcomers = this.#open(plans, nowMs)
    }
    const allowed = inspect(plans, cost, nowMs)
    const decision = allowed ? allowing(plans, cost, nowMs) : refusing(plans, cost, nowMs)
    if (allowed) this.#commit(plans, cost, nowMs)
    if (newcomers > 0) this.#records.sweep(newcomers, nowMs)
    return decision
  }

  /** Nothing to let go of: no timers, no handles. */
  close(): void {}

  /** Sets of quotas are made once, with the routes: what is checked and planned for one holds for every request. */
  #plansOf(quotas: readonly Quota[]): readonly Plan[] {
    const known = this.#plans.get(quotas)
    if (known !== undefined) return known
    const twin = quotas.find(({ scope }, i) => quotas.findIndex((other) => other.scope === scope) !== i)
    if (twin !== undefined) throw new RangeError(`two quotas of one decision share the scope "${twin.scope}"`)
    const plans = quotas.map((quota) => this.#planner.plan(quota))
    this.#plans.set(quotas, plans)
    return plans
  }

  /** Brings the client's logs into view; how many of them it does not have yet. */
  #open(plans: readonly Plan[], nowMs: number): number {
    let newcomers = 0
    for (const { logs } of plans) {
      for (const log of logs) if (!this.#records.open(log, nowMs)) newcomers++
    }
    return newcomers
  }

  /** Known logs first: their places hold only until a newcomer is added. */
  #commit(plans: readonly Plan[], cost: number, nowMs: number): void {
    for (const { logs } of plans) {
      for (const log of logs) if (log.place !== nowhere) this.#records.count(log, cost, nowMs)
    }
    for (const { logs } of plans) {
      for (const log of logs) if (log.place === nowhere) this.#records.countNewcomer(log, cost, nowMs)
    }
  }
}
