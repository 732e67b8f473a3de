import type { Decision, Quota, WindowState } from './store.ts'

/**
 * The two fields of draft-ietf-httpapi-ratelimit-headers-11 (23 May 2026). The draft still moves (its PR 166 renames the parameters), so
 * this file alone knows the spelling.
 */
export interface LimitFields {
  /** `RateLimit-Policy`: fixed for a set of quotas. */
  readonly policy: string
  /** `RateLimit`: what is left, and for how many seconds no more than that. */
  rateLimit(decision: Decision): string
}

export const createLimitFields = (quotas: readonly Quota[]): LimitFields => {
  const windows = quotas.flatMap((quota) => quota.windows)
  return {
    policy: windows.map((window) => `"${window.name}";q=${window.limit};w=${Math.ceil(window.windowMs / 1000)}`).join(', '),
    rateLimit: ({ states }) => {
      let text = ''
      for (const state of states) text += text === '' ? item(state) : `, ${item(state)}`
      return text
    },
  }
}

const item = ({ window, remaining, resetMs }: WindowState): string => `"${window.name}";r=${remaining};t=${Math.ceil(resetMs / 1000)}`
