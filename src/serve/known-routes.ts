import { type Config, ConfigError, entryName, nearest } from '../config.ts'
import { corsRouteNames, limitedRouteNames, type RouteEntry } from '../layers/index.ts'
import { allRules } from './rules.ts'

type Table = Parameters<typeof entryName>[0]

const noNames: ReadonlySet<string> = new Set()
const ruleNames: readonly string[] = allRules.map(({ name }) => name)

/** What is set for a route or a rule that does not exist protects nothing: most likely its name is misspelt. */
export const refuseUnknownRoutes = ({ limits, throttle, cors, monitor, origins }: Config, routes: readonly RouteEntry[]): void => {
  const limited = limitedRouteNames(routes)
  const mistakesIn = (table: Table, entries: object, known: ReadonlySet<string>, message: string) =>
    Object.keys(entries)
      .filter((name) => !known.has(name))
      .map((name) => entryName(table, name))
      .map((key) => ({ key, message, source: origins.get(key) ?? 'filmgate.toml' }))
  const noLimited = `names no limited route; there are ${[...limited].join(', ')} (HEAD shares the quota of GET)`
  const all = corsRouteNames(routes)
  const noRoute = `names no route; there are ${[...all].join(', ')} (HEAD goes with GET)`
  const mistakes = [
    ...mistakesIn('limits.routes', limits.routes, limited, noLimited),
    ...mistakesIn('throttle.routes', throttle.routes, limited, noLimited),
    ...mistakesIn('cors.routes', cors.routes, all, noRoute),
    ...Object.keys(monitor.rules)
      .filter((name) => !ruleNames.includes(name))
      .flatMap((name) =>
        mistakesIn('monitor.rules', { [name]: true }, noNames, `names no rule; the nearest is ${nearest(name, ruleNames)}`),
      ),
  ]
  if (mistakes.length > 0) throw new ConfigError(mistakes)
}
