import type { FastifyRequest } from 'fastify'

import type { Observe } from '../../core/events.ts'
import { quotaExceeded, storeUnavailable } from './limiter.ts'
import { parseLimits } from './notation.ts'
import { ofNetwork } from './policies.ts'
import type { Decision, Identity, LimiterStore, Quota, Window } from './store.ts'

export interface FailureLimitOptions {
  readonly store: LimiterStore
  readonly observe: Observe
  /** What the limit is called in events; counted apart from all others of another name. */
  readonly policy: string
  /** How many failures, such as "10 per 15 minutes". Throws a LimitSyntaxError. */
  readonly limits: string
}

export interface FailureLimit {
  /**
   * Takes a failure in advance from each of the identities, before the guess is looked at: testing first and counting later would let as
   * many parallel guesses through as there are connections. Resolves with what gives it back when there was no failure.
   * Rejects with a Problem (quota_exceeded, store_unavailable); then nothing is counted.
   */
  reserve(request: FastifyRequest, identities: readonly Identity[]): Promise<() => Promise<void>>
}

/** Counts failures alone, of identities that the body names (an account, say), which no hook before it can know. */
export const createFailureLimit = ({ store, observe, policy, limits }: FailureLimitOptions): FailureLimit => {
  const named = (name: string): Window[] => parseLimits(limits).map((window) => ({ ...window, name: `${name}-${window.name}` }))
  // Of an IPv6 site, which has as many prefixes as it likes, all of it counts too, for identities that name it as their wider prefix.
  const quotas: readonly Quota[] = [
    { scope: `failures ${policy}`, windows: named(policy) },
    { scope: `failures ${policy} network`, windows: ofNetwork(named(`${policy}-network`)), of: 'wider' },
  ]
  // Each once, however often it is called. A store that is gone forgets nothing that matters: what is not given back stays counted.
  const giveBack = async (taken: Taken[]): Promise<void> => {
    await Promise.allSettled(taken.splice(0).map(async ({ identity, decision }) => store.refund(identity, quotas, 1, decision)))
  }
  const take = async (request: FastifyRequest, identity: Identity): Promise<Taken> => {
    const decision = await consume(store, identity, quotas)
    if (decision.allowed) return { identity, decision }
    const violated = decision.violated.map(({ name }) => name)
    observe({ event: 'excess_rate_limit_exceeded', requestId: request.id, client: request.client?.prefix ?? null, policy, violated })
    throw quotaExceeded(decision)
  }
  return {
    reserve: async (request, identities) => {
      const taken: Taken[] = []
      try {
        for (const identity of identities) taken.push(await take(request, identity))
      } catch (error) {
        await giveBack(taken)
        throw error
      }
      return () => giveBack(taken)
    },
  }
}

interface Taken {
  readonly identity: Identity
  readonly decision: Decision
}

const consume = async (store: LimiterStore, identity: Identity, quotas: readonly Quota[]): Promise<Decision> => {
  try {
    return await store.consume(identity, quotas, 1)
  } catch (error) {
    throw storeUnavailable(error)
  }
}
