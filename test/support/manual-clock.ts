import type { Clock, Timers } from '../../src/core/clock.ts'

export interface ManualClock extends Clock, Timers {
  /** Moves the time on, stopping at each timer that is due on the way; a timer may set another. */
  advance(ms: number): void
  /** Timers that are set. */
  readonly timers: number
}

/** Time that stands still until the test moves it. Both clocks and the timers agree. */
export const createManualClock = (startMs = 0): ManualClock => {
  let nowMs = startMs
  const due = new Map<() => void, number>()

  const advance = (ms: number): void => {
    const endMs = nowMs + ms
    for (;;) {
      const [next] = [...due].filter(([, atMs]) => atMs <= endMs).toSorted(([, a], [, b]) => a - b)
      if (next === undefined) break
      const [fire, atMs] = next
      due.delete(fire)
      nowMs = Math.max(nowMs, atMs)
      fire()
    }
    nowMs = endMs
  }
  return {
    epochMs: () => nowMs,
    monotonicMs: () => nowMs,
    after: (ms, callback) => {
      const fire = (): void => callback()
      due.set(fire, nowMs + ms)
      return () => void due.delete(fire)
    },
    advance,
    get timers() {
      return due.size
    },
  }
}
