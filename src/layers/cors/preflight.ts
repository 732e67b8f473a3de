import { Problem } from '../../core/errors.ts'
import type { CorsPolicies, CorsPolicy, Fields } from './policies.ts'

/** An announcement of a request that a page wants to send (Fetch standard, CORS-preflight request). */
export interface Preflight {
  /** As the route says it (`/films/:id`); undefined where there is none. */
  readonly url: string | undefined
  readonly origin: string
  readonly method: string
  /** Access-Control-Request-Headers. */
  readonly headers: string | undefined
}

const unknownUrl = new Problem('not_found', { detail: 'There is nothing here.' })

/** Whose page it is, is nobody's but the operator's to say: so the sentence is for both. */
const unknownOrigin = new Problem('forbidden', {
  detail: 'Pages of this origin may not send that from a browser. The operator of this server can name it in cors.origins.',
})

/** Every name that may be asked for, in whatever order, with room for spaces: a browser sends each once, sorted, without spaces. */
const maxListLength = 4096

/**
 * What a preflight is answered: the fields of a 204, or why not. They tell what is allowed, and repeat nothing of what was asked for but the
 * origin that was found in the list. A URL that is not there, or has not that method, has no preflight.
 */
export const judgePreflight = (policies: CorsPolicies, { url, origin, method, headers }: Preflight): Fields | Problem => {
  const routes = policies.routesOf(url)
  if (routes === undefined) return unknownUrl
  if (method !== 'OPTIONS' && !routes.has(method)) return unknownMethod(routes)
  const grant = policies.policyFor(url, method).grantFor(origin)
  if (grant === undefined) return unknownOrigin
  const { allowHeaders, maxAgeS } = policies
  if (headers !== undefined && !areAllowed(headers, allowHeaders)) return unknownHeader(allowHeaders)
  return {
    ...grant,
    'access-control-allow-methods': methodsFor(origin, routes, policies).join(', '),
    ...(allowHeaders.size === 0 ? {} : { 'access-control-allow-headers': [...allowHeaders].join(', ') }),
    'access-control-max-age': String(maxAgeS),
  }
}

/** Every URL answers OPTIONS, too. */
const methodsFor = (origin: string, routes: ReadonlyMap<string, CorsPolicy>, { standard }: CorsPolicies): readonly string[] =>
  [...new Map([['OPTIONS', standard], ...routes])]
    .flatMap(([method, policy]) => (policy.grantFor(origin) === undefined ? [] : [method]))
    .toSorted()

const unknownMethod = (routes: ReadonlyMap<string, unknown>): Problem => {
  const allow = [...new Set([...routes.keys(), 'OPTIONS'])].toSorted().join(', ')
  return new Problem('method_not_allowed', { detail: `This answers ${allow}.`, headers: { allow } })
}

const unknownHeader = (allowed: ReadonlySet<string>): Problem => {
  const names = allowed.size === 0 ? 'none but those that every page may set' : [...allowed].join(', ')
  const detail = `Pages of other origins may set these header fields: ${names}. The operator of this server can name others in cors.allow_headers.`
  return new Problem('forbidden', { detail })
}

/** From comma to comma, each name once looked up, no further than the first that is unknown: a list costs no more than its length. */
const areAllowed = (list: string, allowed: ReadonlySet<string>): boolean => {
  if (list.length > maxListLength) return false
  for (let start = 0; start <= list.length;) {
    const comma = list.indexOf(',', start)
    const end = comma === -1 ? list.length : comma
    const name = list.slice(start, end).trim().toLowerCase()
    // RFC 9110 section 5.6.1.2: empty elements of a list are nothing.
    if (name !== '' && !allowed.has(name)) return false
    start = end + 1
  }
  return true
}
