/**
 * The seam between the limiter and its memory. A store keeps the promise of the whole layer: never more than `limit` units of cost in
 * ANY span of `windowMs`, at any moment, for any interleaving of calls.
 */

/** At most `limit` units of cost in any span of `windowMs` milliseconds. `name` is what the RateLimit fields call it. */
export interface Window {
  readonly name: string
  readonly limit: number
  readonly windowMs: number
}

/** Windows that count the same requests: all that one identity does within `scope`. */
export interface Quota {
  readonly scope: string
  readonly windows: readonly Window[]
}

/** One window after a decision: what is left now, and for how many milliseconds no more than that is available. */
export interface WindowState {
  readonly window: Window
  readonly remaining: number
  readonly resetMs: number
}

export interface Decision {
  readonly allowed: boolean
  /** In the order of the quotas and of the windows within them. */
  readonly states: readonly WindowState[]
  /** The windows that refused; empty when allowed. */
  readonly violated: readonly Window[]
  /** Milliseconds until the same request would be allowed if nothing else happens; 0 when allowed, Infinity when its cost never fits. */
  readonly retryAfterMs: number
}

export interface LimiterStore {
  /**
   * Decides and counts in one atomic step, all quotas together: either every window takes `cost`, or none does.
   * Answers at once where it can; the store owns the clock.
   */
  consume(identity: string, quotas: readonly Quota[], cost: number): Decision | Promise<Decision>
  close(): void | Promise<void>
}
