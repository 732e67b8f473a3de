import type { Observe } from '../core/events.ts'
import type { Commit } from './unit.ts'

/** Tells once when the store stops taking writes and once when it takes them again; the requests in between tell of themselves. */
export const watchCommits = (commit: Commit, store: string, observe: Observe): Commit => {
  let failing = false
  return async (unit) => {
    const outcome = await commit(unit)
    if (outcome.result === 'unavailable' && !failing) {
      failing = true
      observe({ event: 'sys_store_failure', store, error: outcome.reason })
    } else if (outcome.result === 'committed' && failing) {
      failing = false
      observe({ event: 'sys_store_recovered', store })
    }
    return outcome
  }
}
