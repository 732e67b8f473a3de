import type { Plan, PlannedWindow } from './quota-plan.ts'
import type { Decision, Window, WindowState } from './store.ts'

/** The decision over logs in view. None of these changes a log; `allowing` and `refusing` report on what `inspect` found. */

/** Whether every window has room for `cost`. Looks at all of them, also after one refused: the answer reports them all. */
export const inspect = (plans: readonly Plan[], cost: number, nowMs: number): boolean => {
  let allowed = true
  for (const { windows } of plans) {
    for (const planned of windows) {
      const { window, log } = planned
      planned.first = log.firstInside(nowMs, window.windowMs)
      planned.used = log.unitsFrom(planned.first)
      if (planned.used + cost > window.limit) allowed = false
    }
  }
  return allowed
}

/** The state after `cost` is counted; to be called before it is, for a log may forget its oldest entry. */
export const allowing = (plans: readonly Plan[], cost: number, nowMs: number): Decision => {
  const states: WindowState[] = []
  for (const { windows } of plans) {
    for (const planned of windows) {
      const { window, log, first, used } = planned
      const oldestIsNow = used === 0 || (first === log.count - 1 && log.extendsNewest(nowMs))
      const resetMs = oldestIsNow ? window.windowMs : leavesInMs(planned, first, nowMs)
      states.push({ window, remaining: window.limit - used - cost, resetMs })
    }
  }
  return { allowed: true, states, violated: [], retryAfterMs: 0 }
}

export const refusing = (plans: readonly Plan[], cost: number, nowMs: number): Decision => {
  const states: WindowState[] = []
  const violated: Window[] = []
  let retryAfterMs = 0
  for (const { windows } of plans) {
    for (const planned of windows) {
      const { window, first, used } = planned
      const resetMs = used === 0 ? 0 : leavesInMs(planned, first, nowMs)
      // A limit that was lowered may have more used than it allows.
      states.push({ window, remaining: Math.max(0, window.limit - used), resetMs })
      if (used + cost <= window.limit) continue
      violated.push(window)
      retryAfterMs = Math.max(retryAfterMs, fitsInMs(planned, cost, nowMs))
    }
  }
  return { allowed: false, states, violated, retryAfterMs }
}

const leavesInMs = ({ window, log }: PlannedWindow, entry: number, nowMs: number): number => window.windowMs - (nowMs - log.momentAt(entry))

/** Milliseconds until `cost` fits if nothing else comes: so long that a clock advanced by exactly that sees the entry outside. */
const fitsInMs = (planned: PlannedWindow, cost: number, nowMs: number): number => {
  const { window, log, first, used } = planned
  if (cost > window.limit) return Infinity
  const entry = log.entryFreeing(used + cost - window.limit, first)
  const moment = log.momentAt(entry)
  let waitMs = leavesInMs(planned, entry, nowMs)
  // The differences of doubles are rounded; a wait that is short by the last bit would be refused again.
  while (nowMs + waitMs - moment < window.windowMs) waitMs += Math.max(nowMs, waitMs) * Number.EPSILON
  return waitMs
}
