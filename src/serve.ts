import { chmodSync, mkdirSync, readdirSync } from 'node:fs'

import type { FastifyInstance } from 'fastify'

import { createApiKeyRepository, createKeyLookup } from './api/accounts/api-keys.ts'
import { openStarterKey } from './api/accounts/starter-key.ts'
import { createFilmRepository } from './api/films/repository.ts'
import { importStarterFilms } from './api/films/starter-films.ts'
import { createVoteRepository } from './api/votes/repository.ts'
import { buildApp, buildOpsApp } from './app.ts'
import { type Config, ConfigError } from './config.ts'
import { systemClock } from './core/clock.ts'
import { openMasterKey } from './credentials/master-key.ts'
import { createVoterIds } from './credentials/voter-id.ts'
import { openDatabase } from './db/open.ts'
import {
  createLog,
  createMemoryStore,
  limitedRouteNames,
  LimitSyntaxError,
  type LogSink,
  openLogSink,
  parseLimits,
  type RouteEntry,
} from './layers/index.ts'

/** How long a stop waits for answers in flight. */
const drainMs = 10_000

export interface ServeOptions {
  readonly config: Config
  /** For people: progress and warnings. The log has a descriptor of its own. */
  readonly print: (text: string) => void
}

export interface Serving {
  readonly address: string
  readonly opsAddress: string
  readonly starterKeyPath: string
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
  const dataDir = openDataDir(config.data.dir, config.origins.get('data.dir') ?? 'default')
  const sink = openLogSink(1)
  const log = createLog({ sink, clock, level: config.log.level, format: config.log.format })
  const observe = log.event
  const masterKey = openMasterKey(dataDir, config.secrets.key)
  const database = await openDatabase(dataDir, observe)
  const keys = createApiKeyRepository(database, clock.epochMs)
  const films = createFilmRepository(database, clock)
  const starterKeyPath = await openStarterKey(dataDir, keys)
  await importStarterFilms(films, print)

  const limiterStore = createMemoryStore({ clock, maxTrackedClients: config.limits.maxTrackedClients })
  const warnings: string[] = []
  const app = await buildApp({
    config,
    clock,
    limiterStore,
    log,
    observe,
    films,
    votes: createVoteRepository(database, clock.epochMs),
    voterId: createVoterIds(masterKey.derive('voter')),
    lookupKey: createKeyLookup(keys),
    onUntrustedProxy: () => {
      const warning =
        'X-Forwarded-For came from this machine, but server.trusted_proxies is empty: every client behind that proxy counts as one'
      warnings.push(warning)
      log.note('warn', warning)
      print(`WARNING: ${warning}\n`)
    },
  })
  refuseUnknownRoutes(config, app.routes)
  const opsApp = await buildOpsApp({ config, clock, log, observe, database, dataDir, warnings: () => warnings })
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
  return { address, opsAddress, starterKeyPath, stop }
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

/** For its owner alone (0700). A folder that holds other people's files is refused: closing it would lock them out. */
const openDataDir = (dir: string, origin: string): string => {
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const entries = readdirSync(dir)
  if (entries.length > 0 && !entries.some((name) => ownFiles.has(name))) {
    throw new ConfigError([
      { key: 'data.dir', message: 'names a folder with other files in it; name a new or an empty one', source: origin },
    ])
  }
  chmodSync(dir, 0o700)
  return dir
}

const ownFiles: ReadonlySet<string> = new Set(['filmgate.db', 'master.key', 'starter.key'])

/**
 * Fastify stops accepting, but an answer already in the making says keep-alive, and close() would wait for that connection to time out:
 * so connections are closed as they fall idle. What is not answered in time is cut.
 */
const drain = async (server: FastifyInstance): Promise<void> => {
  const sweep = setInterval(() => server.server.closeIdleConnections(), 50)
  const cut = setTimeout(() => server.server.closeAllConnections(), drainMs)
  await server.close()
  clearInterval(sweep)
  clearTimeout(cut)
}

/** A second signal during the drain changes nothing. */
const once = <Arguments extends unknown[]>(work: (...given: Arguments) => Promise<void>): ((...given: Arguments) => Promise<void>) => {
  let running: Promise<void> | undefined
  return (...given) => (running ??= work(...given))
}

/** The state after a bug is unknown: the last words are written, then the process ends and its supervisor starts a clean one. */
const reportCrashes = (sink: LogSink, observe: (error: string) => void): void => {
  process.on('uncaughtException', (error) => {
    observe(error.stack ?? String(error))
    sink.flush()
    process.exit(1)
  })
}
