/**
 * The seam between the limiter and its memory. A store keeps the promise of the whole layer: never more than `limit` units of cost in
 * ANY span of `windowMs`, at any moment, for any interleaving of calls.
 */

/** Whom a request counts for. */
export interface Identity {
  /** Such as an address, an IPv6 /64 or `@subject`. Any text: stores hash it. */
  readonly id: string
  /**
   * The wider prefix that `id` lies in: /48 of IPv6, /24 of IPv4. Quotas `of: 'wider'` count for it, and a bounded store counts newcomers
   * by it when it has no room for each. The same as `id`: the prefix itself is meant, with all that was counted for it.
   */
  readonly wider?: string | undefined
}

/** At most `limit` units of cost in any span of `windowMs` milliseconds. `name` is what the RateLimit fields call it. */
export interface Window {
  readonly name: string
  readonly limit: number
  readonly windowMs: number
  /**
   * Makes it a rate instead: a unit every `windowMs / limit`, and up to `burst` units at once after a pause (GCRA, ITU-T I.371 annex A; a
   * token bucket of `burst` tokens). A span may then see up to `limit + burst` units.
   */
  readonly burst?: number | undefined
  /** Of a rate: units are admitted up to so long before their time, and the decision says for how long each must wait. */
  readonly maxDelayMs?: number | undefined
}

/** Windows that count the same requests: all that one identity does within `scope`. */
export interface Quota {
  readonly scope: string
  readonly windows: readonly Window[]
  /** Counts for the wider prefix of the identity instead; not at all where it has none. */
  readonly of?: 'wider' | undefined
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
  /** Milliseconds until the request may begin: above 0 only where a window has `maxDelayMs`. */
  readonly delayMs: number
  /** For `refund`: the moment of the decision by the store's own clock. */
  readonly at: number
  /** For `refund`: the theoretical arrival times of the rates after the decision, by window in the order of `states`; undefined without rates. */
  readonly arrivals?: readonly number[] | undefined
}

export interface LimiterStore {
  /**
   * Decides and counts in one atomic step, all quotas together: either every window takes `cost`, or none does.
   * Answers at once where it can; the store owns the clock.
   */
  consume(identity: Identity, quotas: readonly Quota[], cost: number): Decision | Promise<Decision>
  /**
   * Takes back what an allowed decision counted in these quotas, all or some of those that it was made about. Of a rate with `maxDelayMs` only the last unit can be taken back, or two requests would
   * get one place in its queue: then this does nothing.
   */
  refund(identity: Identity, quotas: readonly Quota[], cost: number, decision: Decision): void | Promise<void>
  /** The states as they are; counts nothing. Nothing is violated. */
  peek(identity: Identity, quotas: readonly Quota[]): Decision | Promise<Decision>
  /** Forgets all that was counted for `id`, in every scope (not for its wider prefix, unless that is what `id` names). */
  reset(identity: Identity): void | Promise<void>
  close(): void | Promise<void>
}
