import type { FastifyPluginCallback, FastifyRequest, onRequestHookHandler, RouteOptions } from 'fastify'

import { Problem } from '../../core/errors.ts'
import type { Observe } from '../../core/events.ts'
import { wholeServer } from '../../core/plugin.ts'
import { type Client, isGone, type Principal } from '../../core/request.ts'
import { Gate, type GateOptions, type Pace, type PacedIdentity, type Refusal } from './gate.ts'

/** Requests beyond the pace wait for their turn instead of being refused. */
export interface ThrottlePolicy {
  /** One request every `windowMs / limit` milliseconds. */
  readonly pace: { readonly limit: number; readonly windowMs: number }
  /** How many may begin at once after a pause; 1 for one at a time. */
  readonly burst: number
  /** No request waits longer; one that would have to is refused. */
  readonly maxWaitMs: number
  /** How many of one identity may wait at the same time. */
  readonly maxWaiting: number
}

export interface ThrottleOptions extends GateOptions {
  readonly observe: Observe
  /**
   * The policy of a route by its name such as `GET /` (HEAD is throttled with GET, and routes `sharedAs` with that one); read at each request.
   * Give the same object as long as it says the same.
   */
  readonly policyOf: (routeName: string) => ThrottlePolicy | undefined
  /** Whom a request waits with; by default the subject that is known, else the client's prefix. */
  readonly identityOf?: (request: FastifyRequest) => PacedIdentity
  readonly isExempt?: (request: FastifyRequest) => boolean
  /** The request will not be answered well: it was refused, or its client went away before its turn. */
  readonly onRefused?: (request: FastifyRequest) => void
}

/** Step 10: delays. A hook of each route; those who wait cost a place in a queue and no work. */
export const throttle: FastifyPluginCallback<ThrottleOptions> = wholeServer('throttle', (app, options, done) => {
  const gate = new Gate(options)
  app.addHook('onRoute', (route) => {
    if (route.url === '*' || route.config?.otherMethods === true) return
    route.onRequest = [route.onRequest ?? [], createHook(routeName(route), gate, options)].flat()
  })
  // Before the server waits for the answers in flight, or it would wait for those who wait.
  app.addHook('preClose', (ended) => {
    gate.close()
    ended()
  })
  done()
})

const createHook = (name: string, gate: Gate, options: ThrottleOptions): onRequestHookHandler => {
  const { policyOf, observe, identityOf = identityOfRequest, isExempt = nobody, onRefused = ignore } = options
  const paceOf = createPaces(name)

  return (request, reply, next) => {
    const policy = policyOf(name)
    if (policy === undefined || isExempt(request)) {
      next()
      return
    }
    const { raw } = reply
    // Who is gone already has no turn: nobody is there to be answered.
    if (isGone(raw)) {
      onRefused(request)
      return
    }
    const visit = gate.enter(identityOf(request), paceOf(policy), (refusal) => {
      raw.off('close', onGone)
      if (refusal === undefined) {
        next()
        return
      }
      onRefused(request)
      if (refusal.reason === 'pace' || refusal.reason === 'full') observe(refusedEvent(request, refusal.reason))
      next(problemOf(refusal, policy))
    })
    function onGone(): void {
      if (gate.leave(visit)) onRefused(request)
    }
    if (!visit.isOver) raw.on('close', onGone)
  }
}

/** As the store takes it. The wait of the k-th waiter is above k - 1 steps and at most k: one bound on the delay caps both wait and waiters. */
const createPaces = (name: string): ((policy: ThrottlePolicy) => Pace) => {
  let known: { readonly policy: ThrottlePolicy; readonly pace: Pace } | undefined
  return (policy) => {
    if (known?.policy !== policy) {
      const { limit, windowMs } = policy.pace
      const maxDelayMs = Math.min(policy.maxWaitMs, (policy.maxWaiting * windowMs) / limit)
      const window = { name: 'throttle', limit, windowMs, burst: policy.burst, maxDelayMs }
      known = { policy, pace: [{ scope: `throttle ${name}`, windows: [window] }] }
    }
    return known.pace
  }
}

const refusedEvent = (request: FastifyRequest, reason: 'pace' | 'full') => ({
  event: 'excess_rate_limit_exceeded' as const,
  requestId: request.id,
  client: request.client?.prefix ?? null,
  policy: 'throttle',
  violated: [reason === 'pace' ? 'throttle' : 'throttle-total'],
})

const problemOf = (refusal: Refusal, { pace }: ThrottlePolicy): Problem => {
  if (refusal.reason === 'pace') {
    // Rounded up: a client that waits as long as it is told is let in.
    const retryAfterSeconds = Math.max(1, Math.ceil(refusal.retryAfterMs / 1000))
    const detail = `This begins ${pace.limit} times in ${pace.windowMs / 1000} s, and no more of your requests can wait for that. Try again in ${retryAfterSeconds} s.`
    return new Problem('quota_exceeded', { detail, retryAfterSeconds, members: { 'violated-policies': ['throttle'] } })
  }
  if (refusal.reason === 'store') {
    const detail = 'The limits cannot be checked at the moment. Try again later.'
    return new Problem('store_unavailable', { detail, retryAfterSeconds: 1, cause: refusal.cause })
  }
  const detail =
    refusal.reason === 'full' ? 'Too many requests are waiting for their turn. Try again later.' : 'The server is stopping. Try again.'
  return new Problem('temporary_reduced_capacity', { detail, retryAfterSeconds: 1 })
}

/** A subject behind an @, which no prefix contains. */
const identityOfRequest = (request: FastifyRequest): PacedIdentity => {
  const { client, principal } = request as { readonly client: Client; readonly principal?: Principal | null }
  return principal === null || principal === undefined ? { id: client.prefix, wider: client.network } : { id: `@${principal.subject}` }
}

const routeName = ({ method, url, config }: RouteOptions): string => {
  const limits: unknown = config?.limits
  if (typeof limits === 'object' && limits !== null && 'sharedAs' in limits && typeof limits.sharedAs === 'string') return limits.sharedAs
  return `${method === 'HEAD' ? 'GET' : String(method)} ${url}`
}

const nobody = (): boolean => false
const ignore = (): void => undefined
