import type { Clock } from '../../core/clock.ts'
import { checkQuotas } from './check-quotas.ts'
import { allowing, describing, epsilonMs, inspect, refusing } from './memory/decide.ts'
import { randomlyKeyedHash } from '../../core/keyed-hash.ts'
import { type Plan, Planner } from './memory/quota-plan.ts'
import { Records } from './memory/records.ts'
import type { Decision, Identity, LimiterStore, Quota } from './store.ts'
import { nowhere } from './memory/table.ts'

export interface MemoryStoreOptions {
  readonly clock: Pick<Clock, 'monotonicMs'>
  /** How many clients are counted one by one at the same time, if each needs at most four logs. */
  readonly maxTrackedClients: number
}

export interface MemoryStore extends LimiterStore {
  consume(identity: Identity, quotas: readonly Quota[], cost: number): Decision
  refund(identity: Identity, quotas: readonly Quota[], cost: number, decision: Decision): void
  peek(identity: Identity, quotas: readonly Quota[]): Decision
  reset(identity: Identity): void
  close(): void
  /** Logs held now: at most `capacity`, a sixteenth of it for wider prefixes, and an overflow for each kind. Dead ones count until they are swept. */
  readonly tracked: number
  readonly capacity: number
  /** How often a newcomer was counted together with others because there was no room: above 0, the store is too small or under attack. */
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
 * by sixtieths of the window, an event for up to one sixtieth too long. Neither ever admits more than the limit in any span. Rates keep
 * one number. What was counted survives a change of the limits; only a rate of another period begins anew.
 *
 * When there is no room for a newcomer, those of one wider prefix are counted together, and at last all of them: never is a live log
 * evicted.
 *
 * A log takes 60 bytes, or up to 85 just after the table grew, for up to four events (two sixtieths of a window), and 2.1 KB for 129
 * events and more; while many grow at the same time, up to half as much again is on its way from one size to the next. `capacity` times
 * 3.1 KB is the bound.
 * Throws a RangeError for a cost or a window that means nothing and for two quotas of one scope in one decision.
 */
export const createMemoryStore = (options: MemoryStoreOptions): MemoryStore => new SlidingWindows(options)

interface PlannedQuotas {
  readonly all: readonly Plan[]
  /** Without those of the wider prefix. */
  readonly own: readonly Plan[]
}

class SlidingWindows implements MemoryStore {
  readonly capacity: number
  readonly #clock: Pick<Clock, 'monotonicMs'>
  readonly #records: Records
  readonly #planner: Planner
  #nowMs: number
  readonly #plans = new WeakMap<readonly Quota[], PlannedQuotas>()

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

  consume(identity: Identity, quotas: readonly Quota[], cost: number): Decision {
    if (!Number.isSafeInteger(cost) || cost < 1) throw new RangeError(`the cost of a request must be a whole number above 0, not ${cost}`)
    const nowMs = this.#now()
    const plans = this.#plansOf(identity, quotas)
    const newcomers = this.#look(identity, plans, nowMs)
    const allowed = inspect(plans, cost, nowMs)
    const decision = allowed ? allowing(plans, cost, nowMs) : refusing(plans, cost, nowMs)
    if (allowed) this.#commit(plans, cost, nowMs)
    if (newcomers > 0) this.#records.sweep(newcomers, nowMs)
    return decision
  }

  refund(identity: Identity, quotas: readonly Quota[], cost: number, decision: Decision): void {
    if (!decision.allowed) return
    const plans = this.#plansOf(identity, quotas)
    const nowMs = this.#now()
    this.#records.identify(identity)
    this.#renew(plans, nowMs)
    for (const { logs } of plans) for (const log of logs) if (!log.kind.isRate) this.#records.takeBack(log, decision.at, cost)
    if (decision.arrivals !== undefined) this.#takeBackArrivals(plans, cost, decision, nowMs)
  }

  peek(identity: Identity, quotas: readonly Quota[]): Decision {
    const nowMs = this.#now()
    const plans = this.#plansOf(identity, quotas)
    this.#look(identity, plans, nowMs)
    inspect(plans, 0, nowMs)
    return describing(plans, nowMs)
  }

  reset(identity: Identity): void {
    this.#records.identify(identity)
    for (const kind of this.#planner.kinds) this.#records.forget(kind, identity.id === identity.wider)
  }

  /** Nothing to let go of: no timers, no handles. */
  close(): void {}

  /** The logs are sorted by time. A clock that went back would break that, so here it stands still instead. */
  #now(): number {
    return (this.#nowMs = Math.max(this.#nowMs, this.#clock.monotonicMs()))
  }

  /** Sets of quotas are made once, with the routes: what is checked and planned for one holds for every request. */
  #plansOf(identity: Identity, quotas: readonly Quota[]): readonly Plan[] {
    const planned = this.#plans.get(quotas) ?? this.#plan(quotas)
    return planned.own.length < planned.all.length && identity.wider === undefined ? planned.own : planned.all
  }

  #plan(quotas: readonly Quota[]): PlannedQuotas {
    checkQuotas(quotas)
    const all = quotas.map((quota) => this.#planner.plan(quota))
    const planned = { all, own: all.filter((_, i) => quotas[i]?.of !== 'wider') }
    this.#plans.set(quotas, planned)
    return planned
  }

  /** Brings the client's logs into view, and makes room where some are missing; how many of them it does not have yet. */
  #look(identity: Identity, plans: readonly Plan[], nowMs: number): number {
    this.#records.identify(identity)
    const newcomers = this.#open(plans, nowMs)
    if (newcomers === 0) return 0
    const changed = this.#renew(plans, nowMs)
    if (this.#records.full) this.#records.sweep(newcomers, nowMs)
    else if (!changed) return newcomers
    return this.#open(plans, nowMs)
  }

  /** After a reload the limits may read other logs than those in which the client was counted. */
  #renew(plans: readonly Plan[], nowMs: number): boolean {
    const changed = plans.filter(({ scope }) => scope.tags.size > 1)
    for (const plan of changed) this.#records.renew(plan, nowMs)
    return changed.length > 0
  }

  /** Brings the logs into view; how many of them the client does not have yet. */
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

  /**
   * Of what waits in a queue only the last place can be taken back. Of other rates what has not run off since: more would let in, at
   * once, what the burst should have held back.
   */
  #takeBackArrivals(plans: readonly Plan[], cost: number, { states, arrivals }: Decision, nowMs: number): void {
    const windows = plans.flatMap((plan) => plan.windows.map((planned) => ({ ...planned, logs: plan.logs })))
    for (const { window, intervalMs, log, logs } of windows) {
      const open = logs.find(({ view }) => view === log)
      const given = arrivals?.[states.findIndex((state) => state.window === window)]
      if (intervalMs === 0 || open === undefined || given === undefined) continue
      const backMs = Math.min(cost * intervalMs, given - nowMs)
      this.#records.moveArrival(open, (arrival) =>
        backMs <= 0 || (window.maxDelayMs !== undefined && Math.abs(arrival - given) > epsilonMs) ? arrival : arrival - backMs,
      )
    }
  }
}
