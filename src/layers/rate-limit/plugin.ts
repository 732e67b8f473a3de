import type { FastifyInstance, FastifyPluginCallback, FastifyRequest, RouteOptions } from 'fastify'

import type { Observe } from '../../core/events.ts'
import { wholeServer } from '../../core/plugin.ts'
import type { Client, Principal } from '../../core/request.ts'
import { type Charge, createLimiter, limitFields, refundCharge, writeLimitFields } from './limiter.ts'
import { clientIdentity, type Limits, type LiveRoute, quotasFor, subjectIdentity } from './limits.ts'
import { parseLimits } from './notation.ts'
import type { LimiterStore } from './store.ts'

/** What the limiter reads of a request. */
interface Counted {
  readonly client: Client
  /** Undefined where no layer asks who acts. */
  readonly principal?: Principal | null
}

export interface LimitOptions {
  readonly store: LimiterStore
  readonly limits: Limits
  readonly observe: Observe
}

/** What `total` counts for a client; undefined: nothing. */
const totalCharge = (limits: Limits, client: Client): Charge | undefined => {
  if (limits.isExempt(client)) return undefined
  const quotas = limits.total(client)
  return quotas && { identity: clientIdentity(client), quotas, cost: 1 }
}

/**
 * Counts in `total` what is refused before there is a request, and returns the fields that tell of it. A store that answers later has
 * counted; only the fields are not there in time.
 */
export const createTotalCount =
  (store: LimiterStore, limits: Limits) =>
  (client: Client): Readonly<Record<string, string>> => {
    const charge = totalCharge(limits, client)
    if (charge === undefined) return {}
    const decision = store.consume(charge.identity, charge.quotas, charge.cost)
    if (!(decision instanceof Promise)) return limitFields(charge.quotas, decision)
    // It is refused anyway: whether it could be counted changes nothing.
    decision.catch(() => undefined)
    return {}
  }

/**
 * Takes one of the few requests, such as "10 per minute", that are left to a client whose usage is abnormal, beside all its other limits. Gives the
 * milliseconds until one is left; 0: it is taken.
 */
export const createTightened = (store: LimiterStore, limits: string): ((client: Client) => number | Promise<number>) => {
  const quotas = [{ scope: 'tightened', windows: parseLimits(limits) }]
  return (client) => {
    const decision = store.consume(clientIdentity(client), quotas, 1)
    return decision instanceof Promise ? decision.then(({ retryAfterMs }) => retryAfterMs) : decision.retryAfterMs
  }
}

/** Step 6: one consume per client prefix for everything that is answered, refusals, unknown routes and bad tokens included. */
export const totalLimit: FastifyPluginCallback<LimitOptions> = wholeServer(
  'total-limit',
  (app, { store, limits, observe }, done) => {
    prepareFields(app)
    const chargeOf = (request: FastifyRequest): Charge | undefined => totalCharge(limits, (request as Counted).client)
    app.addHook('onRequest', createLimiter({ store, observe, policy: 'total', chargeOf, isObserving: () => limits.isObserving }))
    done()
  },
  ['client-address'],
)

/** Step 9: the quotas of the identity, decided together. A hook of each route, so that finding its quotas costs nothing per request. */
export const routeLimits: FastifyPluginCallback<LimitOptions> = wholeServer(
  'route-limits',
  (app, { store, limits, observe }, done) => {
    prepareFields(app)
    app.addHook('onRoute', (route) => {
      const own = route.config?.limits ?? {}
      if (own === 'none') return
      const live = limits.route(asRoute(route))
      const chargeOf = createCharges({ store, limits, live, costOf: costOf(own.cost) })
      const limit = createLimiter({ store, observe, policy: live.name, chargeOf, isObserving: () => limits.isObserving })
      route.onRequest = [route.onRequest ?? [], limit].flat()
      if (own.failures !== undefined) route.onSend = [route.onSend ?? [], createSettlement(store)].flat()
    })
    done()
  },
  ['client-address'],
)

interface ChargeOptions {
  readonly store: LimiterStore
  readonly limits: Limits
  readonly live: LiveRoute
  readonly costOf: (request: FastifyRequest) => number
}

const createCharges =
  ({ store, limits, live, costOf: cost }: ChargeOptions) =>
  (request: FastifyRequest): Charge | undefined => {
    const { client, principal } = request as Counted
    if (limits.isExempt(client)) return undefined
    // Who it is was not known yet when `total` was counted.
    if (limits.isExemptKey(principal)) refundCharge(store, request)
    const quotas = quotasFor(live, principal)
    if (quotas === undefined) return undefined
    const identity = principal === null || principal === undefined ? clientIdentity(client) : subjectIdentity(principal.subject)
    return { identity, quotas, cost: cost(request), failures: live.quotas?.failures ?? [] }
  }

const costOf = (cost: number | ((request: FastifyRequest) => number) = 1): ((request: FastifyRequest) => number) =>
  typeof cost === 'number' ? () => cost : cost

/**
 * What is no failure of the client is given back with the answer. A client that goes away before it learns nothing, and has used its try.
 * An answer that was made before the route was counted settles nothing, and a reload in between does not change what was taken.
 */
const createSettlement =
  (store: LimiterStore): NonNullable<Extract<RouteOptions['onSend'], (...given: never[]) => unknown>> =>
  (request, reply, payload, next) => {
    const failed = reply.statusCode >= 400 && reply.statusCode < 500
    const failures = request.limitCharge?.failures
    if (!failed && failures !== undefined && failures.length > 0) refundCharge(store, request, failures)
    next(null, payload)
  }

const asRoute = ({ method, url, config }: RouteOptions) => ({ method, url, config })

const fieldsHook = Symbol('RateLimit fields')

/** Both limits write their fields through one hook, whichever is registered, alone or together. */
const prepareFields = (app: FastifyInstance): void => {
  if (app.hasDecorator(fieldsHook)) return
  app.decorate(fieldsHook, true)
  app.addHook('onSend', writeLimitFields)
}

/** Gives the quotas of the route back, for a layer behind this one that refuses. `total` stays counted. */
export const createRouteRefund =
  (store: LimiterStore) =>
  (request: FastifyRequest): void => {
    const { limitCharge } = request
    if (limitCharge !== undefined && limitCharge.quotas.every(({ scope }) => scope !== 'total')) refundCharge(store, request)
  }
