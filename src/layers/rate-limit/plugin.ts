import type { FastifyContextConfig, FastifyInstance, FastifyPluginCallback, RouteOptions } from 'fastify'

import type { Observe } from '../../core/events.ts'
import { wholeServer } from '../../core/plugin.ts'
import type { Client, Principal } from '../../core/request.ts'
import { type Charge, createLimiter, writeLimitFields } from './limiter.ts'
import { type LimitDefaults, quotasOf, type RouteLimits, totalQuota } from './route-quotas.ts'
import type { LimiterStore, Quota } from './store.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    limits?: RouteLimits
  }
}

/** What the limiter reads of a request. */
interface Counted {
  readonly client: Client
  /** Undefined where no layer asks who acts. */
  readonly principal?: Principal | null
}

interface Shared {
  readonly store: LimiterStore
  readonly observe: Observe
}

export interface TotalLimitOptions extends Shared {
  /** Such as "20 per second; 3000 per hour". */
  readonly total: string
}

/** A prefix as it stands, a subject behind an @, which no prefix contains: neither can be mistaken for the other. */
const prefixIdentity = (client: Client): string => client.prefix
const subjectIdentity = (subject: string): string => `@${subject}`

/** What `total` counts for a client; also for what is refused before there is a request. */
export const totalCharge = (total: string): ((client: Client) => Charge) => {
  const quotas = [totalQuota(total)]
  return (client) => ({ identity: prefixIdentity(client), quotas })
}

/** Step 6: one consume per client prefix for everything that is answered, refusals, unknown routes and bad tokens included. */
export const totalLimit: FastifyPluginCallback<TotalLimitOptions> = wholeServer(
  'total-limit',
  (app, { store, observe, total }, done) => {
    const chargeOf = totalCharge(total)
    prepareFields(app)
    app.addHook(
      'onRequest',
      createLimiter({ store, observe, policy: 'total', chargeOf: (request) => chargeOf((request as Counted).client) }),
    )
    done()
  },
  ['client-address'],
)

export interface RouteLimitOptions extends Shared {
  readonly defaults: LimitDefaults
}

/** Step 9: the quotas of the identity, decided together. A hook of each route, so that finding its quotas costs nothing per request. */
export const routeLimits: FastifyPluginCallback<RouteLimitOptions> = wholeServer(
  'route-limits',
  (app, { store, observe, defaults }, done) => {
    prepareFields(app)
    app.addHook('onRoute', (route) => {
      const name = routeName(route)
      const quotas = quotasOf(name, route.config?.limits ?? {}, defaults)
      if (quotas === undefined) return
      const limit = createLimiter({
        store,
        observe,
        policy: name,
        chargeOf: (request) => {
          const { client, principal } = request as Counted
          return principal === null || principal === undefined
            ? { identity: prefixIdentity(client), quotas: quotas.anonymous }
            : { identity: subjectIdentity(principal.subject), quotas: quotas.authenticated }
        },
      })
      route.onRequest = [route.onRequest ?? [], limit].flat()
    })
    done()
  },
  ['client-address'],
)

const fieldsHook = Symbol('RateLimit fields')

/** Both limits write their fields through one hook, whichever is registered, alone or together. */
const prepareFields = (app: FastifyInstance): void => {
  if (app.hasDecorator(fieldsHook)) return
  app.decorate(fieldsHook, true)
  app.addHook('onSend', writeLimitFields)
}

/** The names under which routes are limited: what an operator may write in `limits.routes`. */
export const limitedRouteNames = (
  routes: readonly { readonly method: string; readonly url: string; readonly config: FastifyContextConfig }[],
): ReadonlySet<string> =>
  new Set(
    routes.flatMap(({ method, url, config }) => {
      const { limits = {} } = config
      return limits === 'none' ? [] : [limits.sharedAs ?? routeName({ method, url })]
    }),
  )

export interface EffectiveLimits {
  /** Of a client without credentials; empty where only `total` counts. */
  readonly anonymous: readonly Quota[]
  readonly authenticated: readonly Quota[]
  /** Over everything that a client prefix sends. */
  readonly total: readonly Quota[]
}

/** What is enforced for a route, for those who describe it: made by the functions that the hooks use. */
export const createLimitTable =
  (defaults: LimitDefaults, total: string) =>
  ({ method, url, config }: { readonly method: string; readonly url: string; readonly config: FastifyContextConfig }): EffectiveLimits => ({
    ...(quotasOf(routeName({ method, url }), config.limits ?? {}, defaults) ?? { anonymous: [], authenticated: [] }),
    total: [totalQuota(total)],
  })

/** HEAD is counted as the GET that it stands for: a second quota would double every limit. */
const routeName = (route: Pick<RouteOptions, 'method' | 'url'>): string =>
  `${route.method === 'HEAD' ? 'GET' : String(route.method)} ${route.url}`
