/**
 * The two clocks of the program, passed in so that a test can move them.
 * `epochMs` is for people (log lines, stored timestamps) and may jump; `monotonicMs` never goes back and is what limits and durations
 * are measured with. Both in milliseconds, `monotonicMs` with a fraction.
 */
export interface Clock {
  readonly epochMs: () => number
  readonly monotonicMs: () => number
}

export const systemClock: Clock = {
  epochMs: () => Date.now(),
  monotonicMs: () => performance.now(),
}

/** Timers of the program, passed in like the clocks. */
export interface Timers {
  /**
   * Calls back once, `ms` milliseconds from now and possibly a little earlier or later: look at the clock. Anything above 24 days is 24 days.
   * The returned function calls it off.
   */
  readonly after: (ms: number, callback: () => void) => () => void
}

/** Node takes a delay that it cannot count to as 1 ms. */
const longestTimerMs = 2 ** 31 - 1

export const systemTimers: Timers = {
  after: (ms, callback) => {
    // Node cuts the fraction off, which would always be too early.
    const timer = setTimeout(callback, Math.min(Math.ceil(ms), longestTimerMs))
    return () => clearTimeout(timer)
  },
}
