import type { Clock } from '../../../core/clock.ts'
import { createMemoryStore } from '../memory-store.ts'
import type { Decision, Identity, LimiterStore, Quota, Window } from '../store.ts'

/** What becomes of requests while Redis does not answer. */
export type OnStoreFailure = 'local' | 'deny' | 'allow'

export interface FallbackOptions {
  readonly onFailure: OnStoreFailure
  readonly clock: Pick<Clock, 'monotonicMs'>
  readonly maxTrackedClients: number
  /** How many instances were there when that was last known. */
  readonly instances: () => number
}

/** As a store that always answers at once: by itself it refunds nothing that another store has counted. */
export interface Fallback extends Pick<LimiterStore, 'reset'> {
  consume(identity: Identity, quotas: readonly Quota[], cost: number): Decision
  peek(identity: Identity, quotas: readonly Quota[]): Decision
  /** Whether the decision was made here; then it is taken back, if it counted anything. */
  refund(identity: Identity, quotas: readonly Quota[], cost: number, decision: Decision): boolean
}

export const createFallback = (options: FallbackOptions): Fallback => {
  if (options.onFailure === 'local') return createLocalFallback(options)
  return options.onFailure === 'deny' ? denying : createAllowing()
}

const refuse = (): never => {
  throw new Error('the limiter has lost Redis, and on_store_failure is "deny"')
}

const denying: Fallback = { consume: refuse, peek: refuse, refund: () => false, reset: () => undefined }

const createAllowing = (): Fallback => {
  const decisions = new WeakSet<Decision>()
  const allow = (quotas: readonly Quota[]): Decision => {
    const windows = quotas.flatMap((quota) => quota.windows)
    const states = windows.map((window) => ({ window, remaining: window.burst ?? window.limit, resetMs: 0 }))
    const decision: Decision = { allowed: true, states, violated: [], retryAfterMs: 0, delayMs: 0, at: 0 }
    decisions.add(decision)
    return decision
  }
  return {
    consume: (_, quotas) => allow(quotas),
    peek: (_, quotas) => allow(quotas),
    refund: (_identity, _quotas, _cost, decision) => decisions.has(decision),
    reset: () => undefined,
  }
}

/**
 * Each instance goes on alone with its share of every limit, in a memory store that is kept for good: what one outage counted still counts
 * in the next.
 */
const createLocalFallback = ({ clock, maxTrackedClients, instances }: FallbackOptions): Fallback => {
  const store = createMemoryStore({ clock, maxTrackedClients })
  const shares = new WeakMap<readonly Quota[], Map<number, readonly Quota[]>>()
  const charged = new WeakMap<Decision, { readonly decision: Decision; readonly quotas: readonly Quota[] }>()
  const shareOf = (quotas: readonly Quota[]): readonly Quota[] => {
    const among = instances()
    const known = shares.get(quotas) ?? new Map<number, readonly Quota[]>()
    shares.set(quotas, known)
    const share =
      known.get(among) ?? quotas.map((quota) => ({ ...quota, windows: quota.windows.map((window) => shareOfWindow(window, among)) }))
    known.set(among, share)
    return share
  }
  const asked = (identity: Identity, quotas: readonly Quota[], decide: (share: readonly Quota[]) => Decision): Decision => {
    const share = shareOf(quotas)
    const decision = decide(share)
    // The fields of the answer name the policies as they are configured.
    const windows = quotas.filter(({ of }) => of !== 'wider' || identity.wider !== undefined).flatMap((quota) => quota.windows)
    const shared = decision.states.map(({ window }) => window)
    const states = decision.states.map((state, i) => ({ ...state, window: windows[i]! }))
    const violated = decision.violated.map((window) => windows[shared.indexOf(window)]!)
    const answer = { ...decision, states, violated }
    charged.set(answer, { decision, quotas: share })
    return answer
  }
  return {
    consume: (identity, quotas, cost) => asked(identity, quotas, (share) => store.consume(identity, share, cost)),
    peek: (identity, quotas) => asked(identity, quotas, (share) => store.peek(identity, share)),
    refund(identity, quotas, cost, answer) {
      const charge = charged.get(answer)
      if (charge === undefined) return false
      const scopes = new Set(quotas.map(({ scope }) => scope))
      const share = charge.quotas.every(({ scope }) => scopes.has(scope))
        ? charge.quotas
        : charge.quotas.filter(({ scope }) => scopes.has(scope))
      store.refund(identity, share, cost, charge.decision)
      return true
    },
    reset: (identity) => store.reset(identity),
  }
}

/** At least one unit, or nobody would be let in where there are more instances than units. */
const shareOfWindow = (window: Window, among: number): Window => {
  if (among <= 1) return window
  const share = { ...window, limit: Math.max(1, Math.floor(window.limit / among)) }
  return window.burst === undefined ? share : { ...share, burst: Math.max(1, Math.floor(window.burst / among)) }
}
