import { Problem } from '../core/errors.ts'
import type { Observe } from '../core/events.ts'
import type { Commit } from './unit.ts'

/** Tells once when something of the store fails and once when it works again; the requests in between tell of themselves. */
export const createWatch = (store: string, observe: Observe) => {
  let failing = false
  return {
    failed: (reason: string): void => {
      if (!failing) observe({ event: 'sys_store_failure', store, error: reason })
      failing = true
    },
    worked: (): void => {
      if (failing) observe({ event: 'sys_store_recovered', store })
      failing = false
    },
  }
}

type Watch = ReturnType<typeof createWatch>

export const watchCommits =
  (commit: Commit, watch: Watch): Commit =>
  async (unit) => {
    const outcome = await commit(unit)
    if (outcome.result === 'unavailable') watch.failed(outcome.reason)
    else watch.worked()
    return outcome
  }

/** What a failed read becomes: the refusal that the client sees, with the reason for the log. */
export const readFailure =
  (watch: Watch) =>
  (error: unknown): Problem => {
    watch.failed(error instanceof Error ? error.message : String(error))
    return new Problem('store_unavailable', {
      detail: 'Storage cannot be read at the moment. Try again later.',
      retryAfterSeconds: 5,
      cause: error,
    })
  }
