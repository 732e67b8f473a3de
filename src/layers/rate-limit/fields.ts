import type { Decision, Quota, Window, WindowState } from './store.ts'

/**
 * The two fields of draft-ietf-httpapi-ratelimit-headers. The draft still moves (its PR 166 renames the parameters), so each version that
 * we can speak is a spelling here, and nothing else knows one.
 */
export interface LimitFields {
  /** `RateLimit-Policy`: fixed for a set of quotas. */
  readonly policy: string
  /** `RateLimit`: what is left, and for how many seconds no more than that. */
  rateLimit(decision: Decision): string
}

interface Spelling {
  readonly policy: (window: Window) => string
  readonly state: (state: WindowState) => string
}

const spellings = {
  /** Of 23 May 2026. The burst of a rate is a parameter of ours, prefixed as the draft asks. */
  'draft-11': {
    policy: ({ name, limit, windowMs, burst }) =>
      `"${name}";q=${limit};w=${Math.ceil(windowMs / 1000)}${burst === undefined ? '' : `;filmgate-burst=${burst}`}`,
    state: ({ window, remaining, resetMs }) => `"${window.name}";r=${remaining};t=${Math.ceil(resetMs / 1000)}`,
  },
} as const satisfies Readonly<Record<string, Spelling>>

export type FieldsVersion = keyof typeof spellings

export const createLimitFields = (quotas: readonly Quota[], version: FieldsVersion = 'draft-11'): LimitFields => {
  const { policy, state: item } = spellings[version]
  return {
    policy: quotas.flatMap(({ windows }) => windows.map(policy)).join(', '),
    rateLimit: ({ states }) => {
      let text = ''
      for (const state of states) text += text === '' ? item(state) : `, ${item(state)}`
      return text
    },
  }
}

/** Fields of answers that a browser may show to the page that asked. */
export const exposedLimitFields: readonly string[] = ['RateLimit-Policy', 'RateLimit', 'Retry-After']
