import { createOriginMatch, type OriginMatch } from './origins.ts'

export interface CorsRules {
  /** Exact (`https://app.example.com`), `https://*.example.com`, or `*` alone. None: pages of other origins read nothing. */
  readonly origins: readonly string[]
  /** Whether pages of named origins may send cookies; never those of `*`. Default false. */
  readonly credentials?: boolean
  /** Fields of requests that a page may set, beside the few that every page may (Fetch standard, CORS-safelisted request-header). */
  readonly allowHeaders?: readonly string[]
  /** Fields of answers that a page may read, beside the few that every page may. */
  readonly exposeHeaders?: readonly string[]
  /** How long a browser may remember what a preflight was told. Default 600. */
  readonly maxAgeS?: number
  /** Origins of single routes instead of `origins`, by names such as `GET /films/:id`. HEAD goes with GET where there is one. */
  readonly routes?: Readonly<Record<string, { readonly origins: readonly string[] }>>
}

export type Fields = Readonly<Record<string, string>>

/** What pages of other origins may do with some route, made once. */
export interface CorsPolicy {
  /** The fields of a request that an answer depends on, for Vary: none where everybody is told the same. */
  readonly vary: string
  readonly preflightVary: string
  /** The fields of an answer, refusals included; undefined where the page that asks may not read it. Those for `*` do not need an Origin. */
  readonly fieldsFor: (origin: string | undefined) => Fields | undefined
  /** The same for the answer to a preflight, without what it allows. */
  readonly grantFor: (origin: string) => Fields | undefined
  readonly match: OriginMatch
  /** As in the rules. */
  readonly origins: readonly string[]
}

/** By method, as the rules now are. */
type RoutesOfUrl = Map<string, CorsPolicy>

interface Compiled {
  readonly rules: CorsRules
  readonly standard: CorsPolicy
  readonly routes: ReadonlyMap<string, CorsPolicy>
  readonly isClosed: boolean
  readonly allowHeaders: ReadonlySet<string>
}

/**
 * The CORS policies in force. `replace` changes them between two requests. It and the constructor throw a TypeError for rules that mean
 * nothing, and then change nothing.
 */
export class CorsPolicies {
  #compiled: Compiled
  readonly #urls = new Map<string, RoutesOfUrl>()

  constructor(rules: CorsRules) {
    this.#compiled = compile(rules)
  }

  replace(rules: CorsRules): void {
    const next = compile(rules)
    this.#compiled = next
    for (const [url, routes] of this.#urls) for (const method of routes.keys()) routes.set(method, policyOf(next, method, url))
  }

  /** No page of another origin may read anything: then answers say nothing of CORS. */
  get isClosed(): boolean {
    return this.#compiled.isClosed
  }

  get maxAgeS(): number {
    return this.#compiled.rules.maxAgeS ?? 600
  }

  /** In lower case. */
  get allowHeaders(): ReadonlySet<string> {
    return this.#compiled.allowHeaders
  }

  /** Of what is no route, and of methods that a URL does not have. */
  get standard(): CorsPolicy {
    return this.#compiled.standard
  }

  get urls(): Iterable<string> {
    return this.#urls.keys()
  }

  /** Makes a route known. */
  addRoute(method: string, url: string): void {
    const routes = this.#urls.get(url) ?? new Map<string, CorsPolicy>()
    routes.set(method, policyOf(this.#compiled, method, url))
    this.#urls.set(url, routes)
  }

  /** By method; undefined for a URL that no route has. */
  routesOf(url: string | undefined): ReadonlyMap<string, CorsPolicy> | undefined {
    return url === undefined ? undefined : this.#urls.get(url)
  }

  /** Whose pages may read the answers of a route, as in the rules. */
  originsFor(method: string, url: string): readonly string[] {
    return policyOf(this.#compiled, method, url).origins
  }

  policyFor(url: string | undefined, method: string): CorsPolicy {
    return this.routesOf(url)?.get(method) ?? this.#compiled.standard
  }
}

/** Under its own name first. */
const routeNames = (method: string, url: string): readonly string[] =>
  method === 'HEAD' ? [`HEAD ${url}`, `GET ${url}`] : [`${method} ${url}`]

const policyOf = ({ routes, standard }: Compiled, method: string, url: string): CorsPolicy => {
  for (const name of routeNames(method, url)) {
    const policy = routes.get(name)
    if (policy !== undefined) return policy
  }
  return standard
}

const compile = (rules: CorsRules): Compiled => {
  const { origins, routes = {}, allowHeaders = [] } = rules
  for (const name of [...allowHeaders, ...(rules.exposeHeaders ?? [])])
    if (!isFieldName(name)) throw new TypeError(`${JSON.stringify(name)} is not the name of a header field`)
  const standard = createPolicy(origins, rules)
  const ofRoutes = new Map(Object.entries(routes).map(([name, route]) => [name, createPolicy(route.origins, rules)]))
  return {
    rules,
    standard,
    routes: ofRoutes,
    isClosed: [standard, ...ofRoutes.values()].every(({ match }) => match.isEmpty),
    allowHeaders: new Set(allowHeaders.map((name) => name.toLowerCase())),
  }
}

/** RFC 9110 section 5.1. `*`, which is one, would be a wildcard to browsers. */
const isFieldName = (name: string): boolean => name !== '*' && /^[!#$%&'*+.^_`|~0-9a-z-]+$/i.test(name)

const createPolicy = (origins: readonly string[], { credentials = false, exposeHeaders = [] }: CorsRules): CorsPolicy => {
  const match = createOriginMatch(origins)
  const exposed = exposeHeaders.length === 0 ? {} : { 'access-control-expose-headers': exposeHeaders.join(', ') }
  const grant = (origin: string): Fields => ({
    'access-control-allow-origin': origin,
    ...(credentials && origin !== '*' ? { 'access-control-allow-credentials': 'true' } : {}),
  })
  if (match.isAny) {
    const [all, bare] = [{ ...grant('*'), ...exposed }, grant('*')]
    return { origins, match, vary: '', preflightVary, fieldsFor: () => all, grantFor: () => bare }
  }
  const made = new Map(match.exact.map((origin) => [origin, { ...grant(origin), ...exposed }]))
  const fieldsFor = (origin: string | undefined): Fields | undefined => {
    if (origin === undefined) return undefined
    return made.get(origin) ?? (match.isNamed(origin) ? { ...grant(origin), ...exposed } : undefined)
  }
  const grantFor = (origin: string): Fields | undefined => (match.isNamed(origin) ? grant(origin) : undefined)
  if (match.isEmpty) return { origins, match, vary: '', preflightVary, fieldsFor, grantFor }
  return { origins, match, vary: 'Origin', preflightVary: `Origin, ${preflightVary}`, fieldsFor, grantFor }
}

const preflightVary = 'Access-Control-Request-Method, Access-Control-Request-Headers'

interface NamedRoute {
  readonly method: string
  readonly url: string
}

/** The names under which routes can have a policy of their own. */
export const corsRouteNames = (routes: readonly NamedRoute[]): ReadonlySet<string> => {
  const names = new Set(routes.map(({ method, url }) => `${method} ${url}`))
  return new Set(
    routes.filter(({ method, url }) => method !== 'HEAD' || !names.has(`GET ${url}`)).map(({ method, url }) => `${method} ${url}`),
  )
}
