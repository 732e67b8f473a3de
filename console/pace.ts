import { computed, signal } from '@preact/signals'

import type { Answer } from './answer.ts'
import { type QuotaWindow, secondsToWait } from './rate-limit.ts'

/** A wait up to this is not worth a word: what was pressed is done when it is over. */
const longestQuietSeconds = 3

interface Reading {
  readonly windows: readonly QuotaWindow[]
  readonly atMs: number
}

/** What the last answer said of the quota for films, and when. */
export const reading = signal<Reading>({ windows: [], atMs: 0 })

const freeAtMs = signal(0)
const freeAfterSeconds = signal(0)
const nowMs = signal(performance.now())

/** Lets what counts down count down. */
export const startTicking = (): void => void setInterval(() => (nowMs.value = performance.now()), 500)

/** Seconds until a window of the last reading gives more; 0 when it may already. */
export const secondsLeft = (resetSeconds: number): number => Math.max(0, resetSeconds - (nowMs.value - reading.value.atMs) / 1000)

/** Seconds of a wait that is long enough to be told, else undefined. */
export const longWait = computed(() => {
  const seconds = (freeAtMs.value - nowMs.value) / 1000
  return freeAfterSeconds.value > longestQuietSeconds && seconds > 0 ? Math.ceil(seconds) : undefined
})

/** Takes the quota and the wait from an answer. Refused, the server's word counts: Retry-After. */
export const learn = (answer: Pick<Answer, 'status' | 'quota' | 'retryAfter'>): void => {
  const atMs = performance.now()
  if (answer.quota.length > 0) reading.value = { windows: answer.quota, atMs }
  const refused = answer.status === 429 || answer.status === 503 ? answer.retryAfter : undefined
  const seconds = refused ?? secondsToWait(answer.quota)
  nowMs.value = atMs
  freeAfterSeconds.value = seconds
  freeAtMs.value = atMs + seconds * 1000
}

/** Resolves when the next call may be sent; at once where it may be now. */
export const untilFree = async (): Promise<void> => {
  const waitMs = freeAtMs.value - performance.now()
  if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs))
}
