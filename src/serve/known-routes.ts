import { type Config, ConfigError, entryName } from '../config.ts'
import { limitedRouteNames, type RouteEntry } from '../layers/index.ts'

/** A limit for a route that does not exist protects nothing: most likely its name is misspelt. */
export const refuseUnknownRoutes = ({ limits, throttle, origins }: Config, routes: readonly RouteEntry[]): void => {
  const names = limitedRouteNames(routes)
  const mistakes = (['limits.routes', 'throttle.routes'] as const).flatMap((table) =>
    Object.keys(table === 'limits.routes' ? limits.routes : throttle.routes)
      .filter((name) => !names.has(name))
      .map((name) => entryName(table, name))
      .map((key) => ({
        key,
        message: `names no limited route; there are ${[...names].join(', ')} (HEAD shares the quota of GET)`,
        source: origins.get(key) ?? 'filmgate.toml',
      })),
  )
  if (mistakes.length > 0) throw new ConfigError(mistakes)
}
