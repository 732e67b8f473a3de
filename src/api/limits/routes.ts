import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'

import { Problem } from '../../core/errors.ts'
import type { Observe } from '../../core/events.ts'
import type { Identity, Limits, LimiterStore, Quota, RouteEntry, SourcedQuota } from '../../layers/index.ts'
import type { AuditTrail } from '../audit/trail.ts'
import { NoQuery } from '../films/schema.ts'
import { written } from '../written.ts'
import { limitUsageDescription, listLimitsDescription, resetLimitsDescription } from './descriptions.ts'
import { areGuesses, parseIdentity } from './identities.ts'
import { IdentityPath, LimitList, Usage } from './schema.ts'

export interface LimitRoutesOptions {
  /** The complete table, when the first request comes. */
  readonly routes: readonly RouteEntry[]
  readonly limits: Limits
  readonly store: LimiterStore
  readonly observe: Observe
  readonly trail: AuditTrail
  /** Where a setting was set, by its key. */
  readonly originOf: (key: string) => string
}

const unknownIdentity = new Problem('not_found', {
  detail: 'Name an address, an IPv6 prefix (/64 or /48, its slash written as %2F) or @ and a subject.',
})

/** For operators: the limits in force, what somebody has left, and a fresh start for somebody who was refused in error. */
export const limitRoutes = (server: FastifyInstance, options: LimitRoutesOptions): void => {
  const app = server.withTypeProvider<TypeBoxTypeProvider>()
  const { store, observe, trail } = options
  const quotasOf = createQuotaLists(options)

  app.get(
    '/v1/limits',
    { schema: { ...listLimitsDescription, querystring: NoQuery, response: { 200: LimitList } }, config: { access: 'security:read' } },
    () => listLimits(options),
  )

  const schema = { params: IdentityPath, querystring: NoQuery }
  app.get(
    '/v1/limits/:identity',
    { schema: { ...limitUsageDescription, ...schema, response: { 200: Usage } }, config: { access: 'security:read' } },
    (request) => {
      const identity = readIdentity(request.params.identity)
      return readUsage(store, identity, quotasOf(identity))
    },
  )

  app.delete(
    '/v1/limits/:identity',
    { schema: { ...resetLimitsDescription, ...schema }, config: { access: 'security:write' } },
    async (request, reply) => {
      const identity = readIdentity(request.params.identity)
      const { client, principal } = request
      const actor = principal?.subject ?? 'system'
      // Before it: nothing starts anew that the trail does not tell of.
      written(
        await trail.commit([], [{ actor, action: 'limits.reset', target: identity.id, requestId: request.id, client: client.prefix }]),
      )
      await storeAnswer(store.reset(identity))
      observe({
        event: 'authz_admin',
        requestId: request.id,
        client: client.prefix,
        subject: principal?.subject ?? null,
        action: 'limits_reset',
        target: identity.id,
      })
      return reply.code(204).send()
    },
  )
}

const readIdentity = (text: string): Identity => {
  const identity = parseIdentity(text)
  if (identity === undefined) throw unknownIdentity
  return identity
}

const readUsage = async (store: LimiterStore, identity: Identity, quotas: readonly Quota[]): Promise<Usage> => {
  const { states } = await storeAnswer(store.peek(identity, quotas))
  const items = quotas
    .flatMap(({ scope, windows }) => windows.map((window) => shown(scope, window)))
    .map((window, i) => ({
      ...window,
      remaining: states[i]?.remaining ?? 0,
      reset_seconds: Math.ceil((states[i]?.resetMs ?? 0) / 1000),
    }))
    // Whose a key is, the counters do not say: it is shown where it was used.
    .filter(({ counted_over, limit, remaining }) => !counted_over.startsWith('key ') || remaining < limit)
  return { identity: identity.id, items }
}

const storeAnswer = async <T>(answer: T | Promise<T>): Promise<T> => {
  try {
    return await answer
  } catch (cause) {
    const detail = 'The counters cannot be reached at the moment. Try again later.'
    throw new Problem('store_unavailable', { detail, retryAfterSeconds: 1, cause })
  }
}

export const listLimits = ({ routes, limits, originOf }: Pick<LimitRoutesOptions, 'routes' | 'limits' | 'originOf'>): LimitList => {
  const policies = (quotas: readonly SourcedQuota[]) =>
    quotas.flatMap(({ scope, windows }) =>
      windows.map((window) => ({
        ...shown(scope, window),
        source: window.source,
        origin: window.source === 'route' ? 'built in' : originOf(window.source),
      })),
    )
  // A HEAD beside a GET shares its limits.
  const withGet = new Set(routes.filter(({ method }) => method === 'GET').map(({ url }) => url))
  const items = routes
    .filter(({ method, url, schema }) => schema.hide !== true && (method !== 'HEAD' || !withGet.has(url)))
    .map((route) => {
      const { anonymous, authenticated } = limits.effective(route)
      return { route: `${route.method} ${route.url}`, anonymous: policies(anonymous), authenticated: policies(authenticated) }
    })
  const keys = limits.keys.map(({ credential, rule, quotas }) => ({ credential, rule, limits: policies(quotas) }))
  return { mode: limits.isObserving ? 'observe' : 'enforce', items, keys, total: policies(limits.guardedTotal) }
}

const shown = (scope: string, { name, limit, windowMs, burst }: Quota['windows'][number]) => ({
  name,
  counted_over: scope,
  limit,
  window_seconds: Math.ceil(windowMs / 1000),
  ...(burst === undefined ? {} : { burst }),
})

/** All that can be counted for somebody, made once for the limits in force: stores remember what they planned for a list. */
const createQuotaLists = ({ routes, limits }: LimitRoutesOptions): ((identity: Identity) => readonly Quota[]) => {
  let known: { version: number; client: readonly Quota[]; network: readonly Quota[]; subject: readonly Quota[] } | undefined
  const fresh = () => {
    const each = routes.map((route) => limits.effective(route))
    const [total, network] = [
      limits.guardedTotal.filter(({ of }) => of === undefined),
      limits.guardedTotal.filter(({ of }) => of === 'wider'),
    ]
    return {
      version: limits.version,
      client: oneOfEach([...total, ...each.flatMap(({ anonymous }) => anonymous)]),
      network,
      subject: oneOfEach([...each.flatMap(({ authenticated }) => authenticated), ...limits.keys.flatMap(({ quotas }) => quotas)]),
    }
  }
  return (identity) => {
    // Failures are counted beside all routes, and shown nowhere.
    if (areGuesses(identity)) return []
    const { id } = identity
    if (known?.version !== limits.version) known = fresh()
    if (id.startsWith('@')) return known.subject
    return id.endsWith('/48') ? known.network : known.client
  }
}

/** Routes that count together have one scope. */
const oneOfEach = (quotas: readonly Quota[]): readonly Quota[] => [...new Map(quotas.map((quota) => [quota.scope, quota])).values()]
