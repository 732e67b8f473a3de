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
