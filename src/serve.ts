import { createKeyLookup } from './api/accounts/api-keys.ts'
import { buildApp, buildOpsApp } from './app.ts'
import { type Config, ConfigError } from './config.ts'
import { systemClock } from './core/clock.ts'
import { createVoterIds } from './credentials/voter-id.ts'
import {
  createLog,
  createMemoryStore,
  limitedRouteNames,
  LimitSyntaxError,
  openLogSink,
  parseLimits,
  type RouteEntry,
} from './layers/index.ts'
import { drain, once, reportCrashes } from './serve/ending.ts'
import { openStores } from './serve/stores.ts'

export interface ServeOptions {
  readonly config: Config
  /** For people: progress and warnings. The log has a descriptor of its own. */
  readonly print: (text: string) => void
}

export interface Serving {
  readonly address: string
  readonly opsAddress: string
  readonly starterKeyPath: string
  /** False where it is switched off, or not built. */
  readonly hasPage: boolean
  /** Stops accepting, answers what is in flight (10 s at most), writes what is waiting, flushes the log. */
  stop(reason: string): Promise<void>
}

/** For `loadConfig`: what is wrong with limits in policy notation. */
export const checkLimits = (text: string): string | undefined => {
  try {
    parseLimits(text)
    return undefined
  } catch (error) {
    if (error instanceof LimitSyntaxError) return error.message
    throw error
  }
}

/** Configuration -> keys -> stores -> first start -> app -> listen. Ports open only when everything behind them works. */
export const serve = async ({ config, print }: ServeOptions): Promise<Serving> => {
  const clock = systemClock
  const sink = openLogSink(1)
  const log = createLog({ sink, clock, level: config.log.level, format: config.log.format })
  const observe = log.event
  const { database, films, votes, keys, masterKey, starterKeyPath, databaseDir } = await openStores({ config, clock, observe, print })
  const limiterStore = createMemoryStore({ clock, maxTrackedClients: config.limits.maxTrackedClients })
  const warnings: string[] = []
  const warn = (warning: string): void => {
    warnings.push(warning)
    log.note('warn', warning)
    print(`WARNING: ${warning}\n`)
  }
  database.warnings.forEach(warn)
  const app = await buildApp({
    config,
    clock,
    limiterStore,
    log,
    observe,
    films,
    votes,
    voterId: createVoterIds(masterKey.derive('voter')),
    lookupKey: createKeyLookup(keys),
    onUntrustedProxy: () =>
      warn('X-Forwarded-For came from this machine, but server.trusted_proxies is empty: every client behind that proxy counts as one'),
  })
  refuseUnknownRoutes(config, app.routes)
  const opsApp = await buildOpsApp({ config, clock, log, observe, database, databaseDir, warnings: () => warnings })
  const opsAddress = await opsApp.listen({ host: config.ops.host, port: config.ops.port })
  const address = await app.server.listen({ host: config.server.host, port: config.server.port })
  observe({ event: 'sys_startup', address })

  const stop = once(async (reason: string) => {
    observe({ event: 'sys_shutdown', reason })
    await Promise.all([drain(app.server), drain(opsApp)])
    limiterStore.close()
    await database.close()
    sink.flush()
  })
  reportCrashes(sink, (error) => observe({ event: 'sys_crash', error }))
  const hasPage = app.routes.some(({ url }) => url === '/index.html')
  return { address, opsAddress, starterKeyPath, hasPage, stop }
}

/** A limit for a route that does not exist protects nothing: most likely its name is misspelt. */
const refuseUnknownRoutes = (config: Config, routes: readonly RouteEntry[]): void => {
  const names = limitedRouteNames(routes)
  const unknown = Object.keys(config.limits.routes).filter((name) => !names.has(name))
  if (unknown.length === 0) return
  throw new ConfigError(
    unknown.map((name) => ({
      key: `limits.routes.${JSON.stringify(name)}`,
      message: `names no limited route; there are ${[...names].join(', ')} (HEAD shares the quota of GET)`,
      source: config.origins.get(`limits.routes.${JSON.stringify(name)}`) ?? 'filmgate.toml',
    })),
  )
}
