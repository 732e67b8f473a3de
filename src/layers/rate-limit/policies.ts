import type { FastifyRequest } from 'fastify'

import { parseLimits } from './notation.ts'
import type { Quota, Window } from './store.ts'

/**
 * What a route says of its limits beside the defaults, or 'none': it counts in `total` alone.
 */
export type RouteLimits = 'none' | RouteOwnLimits

interface RouteOwnLimits {
  /** These hold for everyone, each identity on its own, on top of the defaults. */
  readonly add?: string
  /** They hold instead of the defaults. */
  readonly only?: string
  /** Counts together with the route (or under the free name) of that name. */
  readonly sharedAs?: string
  /** Units that a request takes, 1 unless said. More than a limit is refused for good. */
  readonly cost?: number | ((request: FastifyRequest) => number)
  /** Counts only answers from 400 to 499: a unit is taken before the handler and given back when it went well (or failed by our fault). */
  readonly failures?: string
}

/** What the operator says of a route, by its name such as `GET /`, or of an API key, by its id. */
export type LimitOverride = { readonly add: string } | { readonly only: string } | 'exempt'

/** All that can be changed while the server runs. */
export interface LimitRules {
  /** Of each anonymous client, counted per route. */
  readonly anonymous: string
  /** Of each subject, counted over all routes; the same as `anonymous` unless said. */
  readonly authenticated?: string
  /** Of each client prefix, over everything that is answered; none unless said. */
  readonly total?: string
  readonly routes?: Readonly<Record<string, LimitOverride>>
  /** By the credential of the principal: `add` narrows the key, `only` counts it alone instead of with its subject, 'exempt' frees it. */
  readonly keys?: Readonly<Record<string, LimitOverride>>
  /** Networks in CIDR notation that no limit holds for, `total` included. */
  readonly exempt?: readonly string[]
  /** 'observe' counts and tells of refusals, but lets everything through. */
  readonly mode?: 'enforce' | 'observe'
}

/** `source` says which text a window is from, such as `limits.default`; `route` is the route's own. */
export interface SourcedWindow extends Window {
  readonly source: string
}

export interface SourcedQuota extends Quota {
  readonly windows: readonly SourcedWindow[]
}

export interface RouteQuotas {
  readonly anonymous: readonly SourcedQuota[]
  readonly authenticated: readonly SourcedQuota[]
  /** For the credentials that have rules of their own; undefined: exempt. */
  readonly byKey: ReadonlyMap<string, readonly SourcedQuota[] | undefined>
  /** Counted in the others; what is given back when a request went well. */
  readonly failures: readonly SourcedQuota[]
}

/** An IPv6 site has 65,536 prefixes of one client each (RFC 6177): all of it together gets this many times what one of them gets in `total`. */
const networkFactor = 32

/** The quotas of one route; undefined where it has none. Throws a LimitSyntaxError where a text is not a limit. */
export const quotasOf = (routeName: string, limits: RouteLimits, rules: LimitRules): RouteQuotas | undefined => {
  const name = limitName(routeName, limits)
  const override = rules.routes?.[name]
  if (limits === 'none' || override === 'exempt') return undefined
  const failures = failuresOf(name, limits.failures)
  const own = ownWindows(name, limits, override)
  const keys = Object.entries(rules.keys ?? {})
  if (own.replaced) {
    const quotas = [{ scope: `route ${name}`, windows: own.windows }, ...failures]
    const byKey = keys.map(([key, rule]) => [key, rule === 'exempt' ? undefined : [...quotas, keyQuota(key, rule)]] as const)
    return { anonymous: quotas, authenticated: quotas, byKey: new Map(byKey), failures }
  }
  const { anonymous, authenticated = anonymous } = rules
  const subject = {
    scope: 'subject',
    windows: read(authenticated, rules.authenticated === undefined ? 'limits.default' : 'limits.authenticated'),
  }
  // Beside the quota of the subject the route's have a name of their own, so that no two items of a RateLimit field have one.
  const route = own.windows.length === 0 ? [] : [{ scope: `route ${name}`, windows: own.windows.map(named('route')) }]
  const ofKey = (key: string, rule: LimitOverride): readonly SourcedQuota[] | undefined => {
    if (rule === 'exempt') return undefined
    return [...route, ...('only' in rule ? [] : [subject]), keyQuota(key, rule), ...failures]
  }
  return {
    anonymous: [{ scope: `route ${name}`, windows: strictest([...own.windows, ...read(anonymous, 'limits.default')]) }, ...failures],
    authenticated: [...route, subject, ...failures],
    byKey: new Map(keys.map(([key, rule]) => [key, ofKey(key, rule)])),
    failures,
  }
}

/** The name under which a route is limited. */
export const limitName = (routeName: string, limits: RouteLimits): string =>
  limits === 'none' ? routeName : (limits.sharedAs ?? routeName)

/** The quotas over everything that a client prefix sends; for a prefix of IPv6 those of its network guard it too. */
export const totalQuotas = (text: string): { readonly plain: readonly SourcedQuota[]; readonly guarded: readonly SourcedQuota[] } => {
  const windows = read(text, 'limits.total')
  const total = { scope: 'total', windows: windows.map(named('total')) }
  return { plain: [total], guarded: [total, { scope: 'network', windows: ofNetwork(windows.map(named('network'))), of: 'wider' }] }
}

/** What holds for all prefixes of a network together. */
export const ofNetwork = <W extends Window>(windows: readonly W[]): W[] =>
  windows.map((window) => ({
    ...window,
    limit: window.limit * networkFactor,
    ...(window.burst === undefined ? {} : { burst: window.burst * networkFactor }),
  }))

/** The route's own windows with what the operator added; `replaced`: they hold instead of the defaults. */
const ownWindows = (name: string, limits: RouteOwnLimits, override: Exclude<LimitOverride, 'exempt'> | undefined) => {
  const source = `limits.routes.${JSON.stringify(name)}`
  const added = override !== undefined && 'add' in override ? read(override.add, source) : []
  if (override !== undefined && 'only' in override) return { windows: strictest(read(override.only, source)), replaced: true }
  if (limits.only !== undefined) return { windows: strictest([...read(limits.only, 'route'), ...added]), replaced: true }
  return { windows: strictest([...(limits.add === undefined ? [] : read(limits.add, 'route')), ...added]), replaced: false }
}

const failuresOf = (name: string, text: string | undefined): SourcedQuota[] =>
  text === undefined ? [] : [{ scope: `failures ${name}`, windows: read(text, 'route').map(named('failures')) }]

/** What is said of single credentials; without quotas: exempt. */
export interface KeyLimits {
  readonly credential: string
  readonly rule: 'add' | 'only' | 'exempt'
  readonly quotas: readonly SourcedQuota[]
}

export const keyLimits = ({ keys = {} }: LimitRules): readonly KeyLimits[] =>
  Object.entries(keys).map(([credential, rule]) =>
    rule === 'exempt'
      ? { credential, rule, quotas: [] }
      : { credential, rule: 'only' in rule ? 'only' : 'add', quotas: [keyQuota(credential, rule)] },
  )

const keyQuota = (key: string, rule: Exclude<LimitOverride, 'exempt'>): SourcedQuota => ({
  scope: `key ${key}`,
  windows: read('only' in rule ? rule.only : rule.add, `limits.keys.${key.replace(/^key:/, '')}`).map(named('key')),
})

const read = (text: string, source: string): SourcedWindow[] => parseLimits(text).map((window) => ({ ...window, source }))

const named =
  (prefix: string) =>
  (window: SourcedWindow): SourcedWindow => ({ ...window, name: `${prefix}-${window.name}` })

/** Of two limits over the same time only the lower one ever matters; two rates become one that keeps both. */
const strictest = (windows: readonly SourcedWindow[]): SourcedWindow[] => {
  const byKind = new Map<string, SourcedWindow>()
  for (const window of windows) {
    const kind = `${window.windowMs}${window.burst === undefined ? '' : ' rate'}`
    const known = byKind.get(kind)
    byKind.set(kind, known === undefined ? window : stricter(window, known))
  }
  return [...byKind.values()].toSorted((a, b) => a.windowMs - b.windowMs)
}

const stricter = (one: SourcedWindow, other: SourcedWindow): SourcedWindow => {
  const lower = one.limit < other.limit ? one : other
  return one.burst === undefined || other.burst === undefined ? lower : { ...lower, burst: Math.min(one.burst, other.burst) }
}
