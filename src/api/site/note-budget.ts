export interface NoteBudget {
  /** Undefined where this minute has had enough; else how many were left out since the last that was noted. */
  readonly take: () => number | undefined
}

const minuteMs = 60_000

/** So many lines a minute, whoever causes them: limits of each client bound a client, this bounds all of them together. */
export const createNoteBudget = (perMinute: number, monotonicMs: () => number): NoteBudget => {
  let startMs = -Infinity
  let taken = 0
  let leftOut = 0
  return {
    take: () => {
      const nowMs = monotonicMs()
      if (nowMs - startMs >= minuteMs) {
        startMs = nowMs
        taken = 0
      }
      if (taken >= perMinute) {
        leftOut++
        return undefined
      }
      taken++
      const before = leftOut
      leftOut = 0
      return before
    },
  }
}
