import { parseLimits } from './notation.ts'
import type { Quota, Window } from './store.ts'

/**
 * What a route says of its limits beside the defaults. `add`: these hold for everyone, each identity on its own, on top of the defaults.
 * `only`: they hold instead of the defaults. `none`: the route counts in `total` alone. `sharedAs` counts together with the route of that name.
 */
export type RouteLimits = 'none' | { readonly add?: string; readonly only?: string; readonly sharedAs?: string }

/** What the operator says of a route, by its name such as `GET /`. */
export type RouteOverride = { readonly add: string } | { readonly only: string } | 'exempt'

export interface LimitDefaults {
  /** Of each anonymous client, counted per route. */
  readonly anonymous: string
  /** Of each subject, counted over all routes. */
  readonly authenticated: string
  readonly overrides: Readonly<Record<string, RouteOverride>>
}

export interface RouteQuotas {
  readonly anonymous: readonly Quota[]
  readonly authenticated: readonly Quota[]
}

/** The quotas of one route; undefined where it has none. Throws a LimitSyntaxError where a text is not a limit. */
export const quotasOf = (routeName: string, limits: RouteLimits, defaults: LimitDefaults): RouteQuotas | undefined => {
  const name = limits === 'none' ? routeName : (limits.sharedAs ?? routeName)
  const override = defaults.overrides[name]
  if (limits === 'none' || override === 'exempt') return undefined
  const scope = `route ${name}`
  const added = override !== undefined && 'add' in override ? [override.add] : []
  const replaced = override !== undefined && 'only' in override ? override.only : limits.only
  if (replaced !== undefined) {
    const quotas = [{ scope, windows: strictest([replaced, ...added].flatMap(parseLimits)) }]
    return { anonymous: quotas, authenticated: quotas }
  }
  const own = limits.add === undefined ? added : [limits.add, ...added]
  const ownWindows = strictest(own.flatMap(parseLimits))
  const subject = { scope: 'subject', windows: parseLimits(defaults.authenticated) }
  return {
    anonymous: [{ scope, windows: strictest([...ownWindows, ...parseLimits(defaults.anonymous)]) }],
    authenticated: ownWindows.length === 0 ? [subject] : [{ scope, windows: ownWindows.map(routeNamed) }, subject],
  }
}

/** Of two limits over the same time only the lower one ever matters. */
const strictest = (windows: readonly Window[]): readonly Window[] => {
  const byLength = new Map<number, Window>()
  for (const window of windows) {
    const known = byLength.get(window.windowMs)
    if (known === undefined || window.limit < known.limit) byLength.set(window.windowMs, window)
  }
  return [...byLength.values()].toSorted((a, b) => a.windowMs - b.windowMs)
}

/** Beside the quota of the subject, so that no two items of a RateLimit field have one name. */
const routeNamed = (window: Window): Window => ({ ...window, name: `route-${window.name}` })

/** The quota over everything that a client prefix sends. */
export const totalQuota = (text: string): Quota => ({
  scope: 'total',
  windows: parseLimits(text).map((window) => ({ ...window, name: `total-${window.name}` })),
})
