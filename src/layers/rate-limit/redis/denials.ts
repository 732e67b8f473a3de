import type { Decision, Quota } from '../store.ts'

interface Denial {
  readonly quotas: readonly Quota[]
  readonly cost: number
  readonly decision: Decision
  readonly heardMs: number
  readonly untilMs: number
}

/** So long at most: a reset or a refund by another instance is seen after that. */
const longestMs = 1000

/**
 * Refusals whose end is known. Until then the same request is refused again without asking: the number of units that count can only fall
 * by a reset or a refund. A client that floods costs Redis one call a second. Bounded; what is forgotten is only asked again.
 */
export class Denials {
  readonly #most: number
  readonly #denials = new Map<string, Denial>()

  constructor(most: number) {
    this.#most = most
  }

  /** `askedMs` and `heardMs`: when this was sent and when the answer came; the decision was made in between. */
  add(key: string, quotas: readonly Quota[], cost: number, decision: Decision, askedMs: number, heardMs: number): void {
    const untilMs = askedMs + Math.min(decision.retryAfterMs, longestMs)
    if (untilMs <= heardMs) return
    const oldest = this.#denials.size < this.#most ? undefined : this.#denials.keys().next().value
    if (oldest !== undefined) this.#denials.delete(oldest)
    this.#denials.set(key, { quotas, cost, decision, heardMs, untilMs })
  }

  /** The refusal of the very same request as it would be now; other quotas, as after a reload, or another cost are another request. */
  find(key: string, quotas: readonly Quota[], cost: number, nowMs: number): Decision | undefined {
    const denial = this.#denials.get(key)
    if (denial === undefined) return undefined
    if (nowMs >= denial.untilMs) {
      this.#denials.delete(key)
      return undefined
    }
    return denial.quotas === quotas && denial.cost === cost ? later(denial.decision, nowMs - denial.heardMs) : undefined
  }

  drop(key: string): void {
    this.#denials.delete(key)
  }
}

const later = (decision: Decision, passedMs: number): Decision => ({
  ...decision,
  states: decision.states.map((state) => ({ ...state, resetMs: Math.max(0, state.resetMs - passedMs) })),
  retryAfterMs: Math.max(0, decision.retryAfterMs - passedMs),
  at: decision.at + passedMs,
})
