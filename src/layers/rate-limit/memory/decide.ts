import type { Plan, PlannedWindow } from './quota-plan.ts'
import type { Decision, Window, WindowState } from '../store.ts'

/**
 * The decision over logs in view. None of these changes a log; `allowing` and `refusing` report on what `inspect` found.
 * Windows count by their logs, rates by GCRA (ITU-T I.371, annex A): a theoretical arrival time that each unit moves one interval ahead.
 */

/** A nanosecond: what the rounding of doubles may take from a rate. */
export const epsilonMs = 1e-6

/** Whether every window has room for `cost`. Looks at all of them, also after one refused: the answer reports them all. */
export const inspect = (plans: readonly Plan[], cost: number, nowMs: number): boolean => {
  let allowed = true
  for (const { windows } of plans) {
    for (const planned of windows) {
      const { window, log, intervalMs } = planned
      if (intervalMs > 0) {
        planned.used = debtMs(planned, nowMs)
        log.arrival = nowMs + planned.used + cost * intervalMs
        if (planned.used + cost * intervalMs > planned.aheadMs + epsilonMs) allowed = false
        continue
      }
      planned.first = log.firstInside(nowMs, window.windowMs)
      planned.used = log.unitsFrom(planned.first)
      if (planned.used + cost > window.limit) allowed = false
    }
  }
  return allowed
}

/** Milliseconds that the arrival time lies ahead. Never more than the rate now allows: a limit that was raised helps at once. */
const debtMs = ({ log, aheadMs }: PlannedWindow, nowMs: number): number =>
  log.isEmpty ? 0 : Math.min(Math.max(0, log.momentAt(0) - nowMs), aheadMs)

/** The state after `cost` is counted; to be called before it is, for a log may forget its oldest entry. */
export const allowing = (plans: readonly Plan[], cost: number, nowMs: number): Decision => {
  const states: WindowState[] = []
  let delayMs = 0
  let hasRates = false
  for (const { windows } of plans) {
    for (const planned of windows) {
      const { window, log, first, used, intervalMs } = planned
      if (intervalMs > 0) {
        const debt = used + cost * intervalMs
        states.push(rateState(planned, debt))
        hasRates = true
        if (debt - planned.burstMs > epsilonMs) delayMs = Math.max(delayMs, debt - planned.burstMs)
        continue
      }
      const oldestIsNow = used === 0 || (first === log.count - 1 && log.extendsNewest(nowMs))
      const resetMs = oldestIsNow ? window.windowMs : leavesInMs(planned, first, nowMs)
      states.push({ window, remaining: window.limit - used - cost, resetMs })
    }
  }
  return { allowed: true, states, violated: [], retryAfterMs: 0, delayMs, at: nowMs, arrivals: hasRates ? arrivalsOf(plans) : undefined }
}

export const refusing = (plans: readonly Plan[], cost: number, nowMs: number): Decision => {
  const states: WindowState[] = []
  const violated: Window[] = []
  let retryAfterMs = 0
  for (const { windows } of plans) {
    for (const planned of windows) {
      states.push(stateNow(planned, nowMs))
      const waitMs = fitsInMs(planned, cost, nowMs)
      if (waitMs <= 0) continue
      violated.push(planned.window)
      retryAfterMs = Math.max(retryAfterMs, waitMs)
    }
  }
  return { allowed: false, states, violated, retryAfterMs, delayMs: 0, at: nowMs, arrivals: undefined }
}

/** What `inspect` found with a cost of 0. */
export const describing = (plans: readonly Plan[], nowMs: number): Decision => {
  const states = plans.flatMap(({ windows }) => windows.map((planned) => stateNow(planned, nowMs)))
  return { allowed: true, states, violated: [], retryAfterMs: 0, delayMs: 0, at: nowMs, arrivals: undefined }
}

const stateNow = (planned: PlannedWindow, nowMs: number): WindowState => {
  const { window, first, used, intervalMs } = planned
  if (intervalMs > 0) return rateState(planned, used)
  const resetMs = used === 0 ? 0 : leavesInMs(planned, first, nowMs)
  // A limit that was lowered may have more used than it allows.
  return { window, remaining: Math.max(0, window.limit - used), resetMs }
}

/** What is left of a rate is left until the next interval is over. */
const rateState = ({ window, intervalMs, aheadMs }: PlannedWindow, debt: number): WindowState => {
  const remaining = Math.max(0, Math.floor((aheadMs - debt + epsilonMs) / intervalMs))
  const resetMs = debt === 0 ? 0 : Math.max(0, debt + (remaining + 1) * intervalMs - aheadMs)
  return { window, remaining, resetMs: Math.min(resetMs, debt) }
}

const arrivalsOf = (plans: readonly Plan[]): number[] =>
  plans.flatMap(({ windows }) => windows.map(({ intervalMs, log }) => (intervalMs > 0 ? log.arrival : NaN)))

const leavesInMs = ({ window, log }: PlannedWindow, entry: number, nowMs: number): number => window.windowMs - (nowMs - log.momentAt(entry))

/** Milliseconds until `cost` fits if nothing else comes, 0 where it does: so long that a clock advanced by exactly that sees it fit. */
const fitsInMs = (planned: PlannedWindow, cost: number, nowMs: number): number => {
  const { window, log, first, used, intervalMs, aheadMs } = planned
  if (intervalMs > 0) {
    if (cost * intervalMs > aheadMs + epsilonMs) return Infinity
    const waitMs = used + cost * intervalMs - aheadMs
    return waitMs > epsilonMs ? waitMs : 0
  }
  if (used + cost <= window.limit) return 0
  if (cost > window.limit) return Infinity
  const entry = log.entryFreeing(used + cost - window.limit, first)
  const moment = log.momentAt(entry)
  let waitMs = leavesInMs(planned, entry, nowMs)
  // The differences of doubles are rounded; a wait that is short by the last bit would be refused again.
  while (nowMs + waitMs - moment < window.windowMs) waitMs += Math.max(nowMs, waitMs) * Number.EPSILON
  return waitMs
}
