export interface BudgetOptions {
  /** So much at once is nothing special. */
  readonly burst: number
  /** And so much for ever. */
  readonly perSecond: number
}

/** A leaky bucket: what was spent is forgotten at a steady rate, so a rest saves nothing up beyond the burst. */
export class Budget {
  readonly #options: BudgetOptions
  #spent = 0
  #sinceMs: number

  constructor(options: BudgetOptions, nowMs: number) {
    this.#options = options
    this.#sinceMs = nowMs
  }

  /** False when it was too much. A negative amount gives back, never more than was spent. */
  spend(amount: number, nowMs: number): boolean {
    const { burst, perSecond } = this.#options
    const rest = Math.max(0, this.#spent - ((nowMs - this.#sinceMs) * perSecond) / 1000)
    this.#spent = Math.max(0, rest + amount)
    this.#sinceMs = nowMs
    return this.#spent <= burst
  }
}
