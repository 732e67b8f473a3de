import type { FastifyRequest, onRequestHookHandler, onSendHookHandler } from 'fastify'

import { Problem } from '../../core/errors.ts'
import type { Observe } from '../../core/events.ts'
import { createLimitFields, type LimitFields } from './fields.ts'
import type { Decision, LimiterStore, Quota } from './store.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The last decision of a limiter and what it was about, for the RateLimit fields of the answer. */
    limitDecision?: Decision
    limitQuotas?: readonly Quota[]
  }
}

export interface LimiterOptions {
  readonly store: LimiterStore
  readonly observe: Observe
  /** What the limit is called in events. */
  readonly policy: string
  /** Whom the request counts for, and the quotas that it counts in. */
  readonly chargeOf: (request: FastifyRequest) => Charge
}

export interface Charge {
  readonly identity: string
  readonly quotas: readonly Quota[]
}

/** One hook: consumes, keeps the decision for the answer's fields, refuses with 429. Used twice, for `total` and for the quotas of the identity. */
export const createLimiter = ({ store, observe, policy, chargeOf }: LimiterOptions): onRequestHookHandler => {
  const apply = (request: FastifyRequest, decision: Decision, quotas: readonly Quota[], next: (error?: Error) => void): void => {
    request.limitDecision = decision
    request.limitQuotas = quotas
    if (decision.allowed) {
      next()
      return
    }
    const violated = decision.violated.map((window) => window.name)
    observe({ event: 'excess_rate_limit_exceeded', requestId: request.id, client: request.client?.prefix ?? null, policy, violated })
    next(quotaExceeded(decision))
  }

  return (request, _reply, next) => {
    const { identity, quotas } = chargeOf(request)
    const decision = store.consume(identity, quotas, 1)
    if (decision instanceof Promise)
      decision.then(
        (later) => apply(request, later, quotas, next),
        (error: unknown) => next(storeUnavailable(error)),
      )
    else apply(request, decision, quotas, next)
  }
}

/** Writes the RateLimit fields once, with the answer: those of the quotas that were asked last, which are the identity's where it came so far. */
export const writeLimitFields: onSendHookHandler = (request, reply, payload, next) => {
  const { limitDecision, limitQuotas } = request
  if (limitDecision !== undefined && limitQuotas !== undefined) {
    const fields = fieldsOf(limitQuotas)
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

const storeUnavailable = (cause: unknown): Problem =>
  new Problem('store_unavailable', { detail: 'The limits cannot be checked at the moment. Try again later.', retryAfterSeconds: 1, cause })

const fieldsOf = createFieldCache()

/** The RateLimit fields of a decision, for an answer that is written without hooks. */
export const limitFields = (quotas: readonly Quota[], decision: Decision): Readonly<Record<string, string>> => {
  const fields = fieldsOf(quotas)
  return { 'ratelimit-policy': fields.policy, ratelimit: fields.rateLimit(decision) }
}

/** Rounded up: a client that waits as long as it is told is let in. */
const quotaExceeded = ({ violated, retryAfterMs }: Decision): Problem => {
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
