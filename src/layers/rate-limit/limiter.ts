import type { FastifyRequest, onRequestHookHandler, onSendHookHandler } from 'fastify'

import { Problem } from '../../core/errors.ts'
import type { Observe } from '../../core/events.ts'
import { createLimitFields, type LimitFields } from './fields.ts'
import type { Decision, Identity, LimiterStore, Quota } from './store.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The last decision of a limiter and what it was about, for the RateLimit fields of the answer. */
    limitDecision?: Decision
    limitCharge?: Charge
  }
}

/** What a request takes, and from whom. */
export interface Charge {
  readonly identity: Identity
  readonly quotas: readonly Quota[]
  readonly cost: number
  /** Those of the quotas that count failures alone. */
  readonly failures?: readonly Quota[]
}

export interface LimiterOptions {
  readonly store: LimiterStore
  readonly observe: Observe
  /** What the limit is called in events. */
  readonly policy: string
  /** Undefined: the request is free. */
  readonly chargeOf: (request: FastifyRequest) => Charge | undefined
  /** Whether refusals are only told of. */
  readonly isObserving?: () => boolean
}

/** One hook: consumes, keeps the decision for the answer's fields, refuses with 429. Used twice, for `total` and for the quotas of the identity. */
export const createLimiter = ({ store, observe, policy, chargeOf, isObserving }: LimiterOptions): onRequestHookHandler => {
  const apply = (request: FastifyRequest, decision: Decision, charge: Charge, next: (error?: Error) => void): void => {
    request.limitDecision = decision
    request.limitCharge = charge
    if (decision.allowed) {
      next()
      return
    }
    const violated = decision.violated.map((window) => window.name)
    const isOnlySeen = isObserving?.() === true
    const facts = { requestId: request.id, client: request.client?.prefix ?? null, policy, violated }
    observe({ event: 'excess_rate_limit_exceeded', ...facts, ...(isOnlySeen ? { observed: true } : {}) })
    if (isOnlySeen) next()
    else next(quotaExceeded(decision))
  }

  return (request, _reply, next) => {
    const charge = chargeOf(request)
    if (charge === undefined) {
      next()
      return
    }
    const decision = store.consume(charge.identity, charge.quotas, charge.cost)
    if (decision instanceof Promise)
      decision.then(
        (later) => apply(request, later, charge, next),
        // Whoever only observes refuses nobody; the store itself has told that it is gone.
        (error: unknown) => next(isObserving?.() === true ? undefined : storeUnavailable(error)),
      )
    else apply(request, decision, charge, next)
  }
}

/** A layer behind that refuses and the settlement of failures may both mean the same: twice would take back what somebody else used. */
const refunded = new WeakSet<Decision>()

/** Gives back what the request took last, once, because nothing was done for it; `quotas` where only those are given back. */
export const refundCharge = (store: LimiterStore, request: FastifyRequest, quotas = request.limitCharge?.quotas): void => {
  const { limitCharge: charge, limitDecision: decision } = request
  if (charge === undefined || decision === undefined || quotas === undefined || !decision.allowed || refunded.has(decision)) return
  refunded.add(decision)
  if (quotas === charge.quotas) {
    request.limitDecision = withRefund(decision, charge.cost)
    refunded.add(request.limitDecision)
  }
  // A store that is gone forgets nothing that matters: what is not given back stays counted.
  Promise.resolve(store.refund(charge.identity, quotas, charge.cost, decision)).catch(() => undefined)
}

/** What the answer tells is left, once the cost is given back. */
const withRefund = (decision: Decision, cost: number): Decision => ({
  ...decision,
  states: decision.states.map((state) =>
    state.window.burst === undefined ? { ...state, remaining: Math.min(state.window.limit, state.remaining + cost) } : state,
  ),
})

/** Writes the RateLimit fields once, with the answer: those of the quotas that were asked last, which are the identity's where it came so far. */
export const writeLimitFields: onSendHookHandler = (request, reply, payload, next) => {
  const { limitDecision, limitCharge } = request
  if (limitDecision !== undefined && limitCharge !== undefined) {
    const fields = fieldsOf(limitCharge.quotas)
    reply.header('ratelimit-policy', fields.policy)
    reply.header('ratelimit', fields.rateLimit(limitDecision))
  }
  next(null, payload)
}

const createFieldCache = (): ((quotas: readonly Quota[]) => LimitFields) => {
  const known = new WeakMap<readonly Quota[], LimitFields>()
  return (quotas) => {
    const cached = known.get(quotas)
    if (cached) return cached
    const fresh = createLimitFields(quotas)
    known.set(quotas, fresh)
    return fresh
  }
}

export const storeUnavailable = (cause: unknown): Problem =>
  new Problem('store_unavailable', { detail: 'The limits cannot be checked at the moment. Try again later.', retryAfterSeconds: 1, cause })

const fieldsOf = createFieldCache()

/** The RateLimit fields of a decision, for an answer that is written without hooks. */
export const limitFields = (quotas: readonly Quota[], decision: Decision): Readonly<Record<string, string>> => {
  const fields = fieldsOf(quotas)
  return { 'ratelimit-policy': fields.policy, ratelimit: fields.rateLimit(decision) }
}

/** Rounded up: a client that waits as long as it is told is let in. */
export const quotaExceeded = ({ violated, retryAfterMs }: Decision): Problem => {
  const seconds = Math.max(1, Math.ceil(retryAfterMs / 1000))
  const limits = violated
    .map(({ limit, windowMs }) => `${counted(limit, 'request')} in ${counted(windowMs / 1000, 'second')}`)
    .join(' and ')
  return new Problem('quota_exceeded', {
    detail: `This is limited to ${limits}. ${Number.isFinite(seconds) ? `Try again in ${counted(seconds, 'second')}.` : 'This request can never be allowed.'}`,
    members: { 'violated-policies': violated.map((window) => window.name) },
    ...(Number.isFinite(seconds) ? { retryAfterSeconds: seconds } : {}),
  })
}

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`
