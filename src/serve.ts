import { type App, type AppOptions, buildApp } from './app.ts'
import type { Config } from './config.ts'
import { systemClock } from './core/clock.ts'
import { createVoterIds } from './credentials/voter-id.ts'
import { flushTraces, LimitSyntaxError, parseLimits } from './layers/index.ts'
import { type OpenAccounts, openAccounts } from './serve/accounts.ts'
import type { ClaimInvitation } from './serve/claim.ts'
import { openAlerting } from './serve/alerting.ts'
import { openTls, type Tls } from './serve/certificates.ts'
import { auditConfig } from './serve/config-audit.ts'
import { openDataDir } from './serve/data-folder.ts'
import { openDecisions } from './serve/decisions.ts'
import { drain, once, reportCrashes } from './serve/ending.ts'
import { withHoneyKeys } from './serve/honey-keys.ts'
import { refuseUnknownRoutes } from './serve/known-routes.ts'
import { openLimiterStore } from './serve/limiter-store.ts'
import { withOperator } from './serve/operator.ts'
import { openMonitor } from './serve/monitor.ts'
import { createWarnings, logWarnings, openLog } from './serve/logging.ts'
import { createProtections } from './serve/protections.ts'
import { countVotes, measureStore, openMetrics, type ServedMetrics } from './serve/metrics.ts'
import { startListening } from './serve/listening.ts'
import { createReloading } from './serve/reload.ts'
import { type Connections, shareConnections } from './serve/open-files.ts'
import { openStores, type Stores } from './serve/stores.ts'
import { createWatching } from './serve/watching.ts'

export interface ServeOptions {
  readonly config: Config
  /** For people: progress and warnings. The log has a descriptor of its own. */
  readonly print: (text: string) => void
  /** Whether what is printed is seen at once and kept nowhere. */
  readonly hasTerminal: boolean
}

export interface Serving {
  readonly address: string
  readonly opsAddress: string
  /** What clients call it by. */
  readonly origin: string
  /** What clients are told to trust, where the certificate is one of this machine alone. */
  readonly caPath: string | undefined
  /** Undefined where there is an admin. */
  readonly starterKeyPath: string | undefined
  readonly claim: ClaimInvitation | undefined
  /** False where it is switched off, or not built. */
  readonly hasPage: boolean
  /** Stops accepting, answers what is in flight (10 s at most), writes what is waiting, flushes the log. */
  stop(reason: string): Promise<void>
  /** Takes over what can change while the server runs; a configuration that is wrong changes nothing and is told of. */
  reload(load: () => Config): void
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

interface Parts extends Pick<
  AppOptions,
  'config' | 'clock' | 'log' | 'observe' | 'limiterStore' | 'protections' | 'monitor' | 'ended' | 'originOf'
> {
  readonly tls: Tls | undefined
  readonly connections: Connections
  readonly stores: Stores
  readonly accounts: OpenAccounts
  readonly metrics: ServedMetrics
  readonly warn: (warning: string) => void
}

const buildServedApp = ({ stores: { films, votes, masterKey }, accounts, tls, connections, warn, ...parts }: Parts): Promise<App> =>
  buildApp({
    ...parts,
    films,
    votes: countVotes(votes, parts.metrics),
    begun: parts.metrics.begun,
    maxConnections: connections.api,
    certificates: tls?.certificates,
    voterId: createVoterIds(masterKey.derive('voter')),
    accounts: accounts.routes,
    isKnownPlace: accounts.isKnownPlace,
    credentials: withHoneyKeys(masterKey, withOperator(masterKey, parts.clock.epochMs, accounts.credentials)),
    onUntrustedProxy: () =>
      warn('X-Forwarded-For came from this machine, but server.trusted_proxies is empty: every client behind that proxy counts as one'),
  })

/** Configuration -> keys -> stores -> first start -> app -> listen. Ports open only when everything behind them works. */
export const serve = async ({ config, print, hasTerminal }: ServeOptions): Promise<Serving> => {
  const clock = systemClock
  const { sink, log } = openLog(config, clock)
  const metrics = openMetrics(sink)
  const alerting = openAlerting({ config, clock, log, onOutcome: metrics.alerted })
  const { observe, ended, watch } = createWatching(log, metrics, alerting.event)
  const shared = { config, clock, log, observe }
  // First, so that a certificate that cannot be used keeps nothing else from being tried again.
  const tls = await openTls({ ...shared, print, dataDir: () => openDataDir(config) })
  const stores = await openStores({ ...shared, print, hasTerminal, onQuery: metrics.queried })
  const { database, masterKey, trail, starterKeyPath, claim } = stores
  const { warnings, warn } = createWarnings(log, print)
  database.warnings.forEach(warn)
  const connections = shareConnections(config)
  if (connections.warning !== undefined) warn(connections.warning)
  const onReloaded = await auditConfig(config, { database, trail, key: masterKey.derive('audit'), warn })
  const limiterStore = measureStore(await openLimiterStore({ ...shared, masterKey, warn }), metrics)
  const decisions = openDecisions({ ...shared, ...stores, limiterStore })
  const { monitor, replace, isShut } = await openMonitor({ ...shared, store: decisions })
  const accounts = await openAccounts({ ...shared, database, masterKey, trail, limiterStore, warn, isShut })
  const protections = createProtections(config)
  watch(monitor)
  const parts = { ...shared, tls, connections, limiterStore, protections, stores, accounts, monitor, metrics, ended, warn }
  const app = await buildServedApp({ ...parts, originOf: (key) => reloading.originOf(key) })
  metrics.watch({ ...parts, routes: app.routes })
  refuseUnknownRoutes(config, app.routes)
  const reloading = createReloading({
    ...shared,
    protections,
    routes: app.routes,
    print,
    onReloaded: (next) => (replace(next), alerting.replace(next), onReloaded(next)),
  })
  const { address, opsAddress, servers } = await startListening({
    ...parts,
    app,
    warnings: () => [...warnings, ...(tls?.warnings() ?? []), ...app.overload.warnings(), ...logWarnings(sink)],
  })
  const endKeeping = tls?.keep(servers)
  observe({ event: 'sys_startup', address })

  const stop = once(async (reason: string) => {
    observe({ event: 'sys_shutdown', reason })
    endKeeping?.()
    await Promise.all(servers.map(drain))
    await Promise.all([alerting.close(), accounts.close(), flushTraces()])
    await monitor.close()
    await limiterStore.close()
    await database.close()
    sink.flush()
  })
  reportCrashes(sink, (error) => observe({ event: 'sys_crash', error }))
  const hasPage = app.routes.some(({ url }) => url === '/index.html')
  const reload: Serving['reload'] = (load) => {
    reloading.reload(load)
    tls?.reload()
  }
  const origin = tls?.originOf(address) ?? address
  return { address, opsAddress, origin, caPath: tls?.certificates.caPath, starterKeyPath, claim, hasPage, stop, reload }
}
