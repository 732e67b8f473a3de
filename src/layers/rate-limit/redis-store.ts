import { randomUUID } from 'node:crypto'

import type { Clock } from '../../core/clock.ts'
import type { Observe } from '../../core/events.ts'
import { RedisCalls } from './redis/calls.ts'
import { createFallback, type OnStoreFailure } from './redis/fallback.ts'
import { RedisHealth } from './redis/health.ts'
import { createKeyNames, type KeyNames } from './redis/keys.ts'
import { reasonOf, type RedisLink, scriptRunner } from './redis/link.ts'
import { createPresence } from './redis/presence.ts'
import { limiterScript } from './redis/script.ts'
import { examine, joinInstallation, type RedisServerFacts } from './redis/server.ts'
import { slotOf } from './redis/slot.ts'
import { parseRedisUrl, type RedisAddress } from './redis/url.ts'
import { createRedisWindows } from './redis/windows.ts'
import type { LimiterStore } from './store.ts'

export interface RedisStoreOptions {
  /** `redis://`, `rediss://`, `valkey://` or `valkeys://`; of a cluster any node. */
  readonly url: string
  /** Begins the name of every key. Default `filmgate:`. */
  readonly prefix?: string | undefined
  /** Hides in the names of the keys whom they are about. All instances of an installation share it. */
  readonly keySecret: Buffer
  readonly clock: Pick<Clock, 'monotonicMs'>
  readonly observe: Observe
  /** While Redis does not answer: each instance goes on alone with its share of the limits, or refuses all requests, or limits none. */
  readonly onFailure: OnStoreFailure
  /** So long is an answer waited for. */
  readonly timeoutMs: number
  /** Of the memory store that `local` needs. */
  readonly maxTrackedClients: number
  /** Default: a random one. */
  readonly instanceId?: string | undefined
}

export interface RedisStore extends LimiterStore {
  close(): Promise<void>
  /** What of the server's settings could let a limit be exceeded; empty where all is well or where it may not be read. */
  readonly warnings: readonly string[]
  readonly isCluster: boolean
  /** Its name and version, as far as it says them. */
  readonly server: string
  /** Whether Redis answers now. */
  readonly isUp: boolean
  /** How many instances share this Redis, as of the last heartbeat. */
  readonly instances: number
  /** Runs another script over the same connection, about keys of one slot: for what else is shared between instances. */
  script(text: string): (keys: readonly string[], args: readonly (string | Buffer)[]) => Promise<unknown>
}

const openMs = 5000
const reconnectMs = 200
/** After so long without a node of a cluster the others are asked who took its place. */
const refreshMs = 500
/** A connection on which nothing was heard or said for so long is given up; the client says something on an idle one more often than that. */
const silentMs = 2500
const pingMs = 1000

/**
 * The limiter's store in Redis 7, Valkey or a Redis Cluster: what the memory store promises, for all instances together. One command a
 * turn of the event loop, by Redis' clock; a client that is refused is refused again without asking for up to a second.
 *
 * Rejects within 5 s, with an Error fit to be shown, where the server cannot be reached, refuses the password, can only be read from, is
 * older than 7.0 or is used by another installation under the same prefix.
 *
 * In Redis a client takes 200 to 400 bytes after its first request, and with the limits of the default configuration 3.1 KB at most
 * (a moment of 8 bytes for each of up to 256 units, 16 bytes for each of up to 62 sixtieths of a window with more). It is forgotten when
 * its longest window is over.
 *
 * While Redis does not answer, nothing waits for it. `local` never admits more than twice the limit in any window: what Redis admitted
 * and, of every instance, at most its share of the limit, which is at least 1 (so the number of instances where that is more than the
 * limit). Three times if Redis came back empty. The share is by the number of instances that was known last: one that joined in the last
 * second may not be in it. In a cluster the failure of one node is that of the store, for all clients.
 *
 * What Redis' clock does: set forward, what was counted leaves early, by as much; set back, nobody is blocked for longer than a window and a second.
 */
export const openRedisStore = async (options: RedisStoreOptions): Promise<RedisStore> => {
  const { prefix = 'filmgate:', keySecret, clock, observe, timeoutMs, instanceId = randomUUID() } = options
  const address = parseRedisUrl(options.url)
  const names = createKeyNames(prefix, keySecret)
  const { link, name, warnings } = await connect(address, names)
  const run = scriptRunner(link, limiterScript)
  const calls = new RedisCalls({
    run: async (keys, args) => bufferOf(await run(keys, args)),
    nodeOf: (key) => link.nodeOf(key),
    groupOf: link.isCluster ? slotOf : () => 0,
    clock,
    timeoutMs,
  })
  const presence = createPresence(link, names, instanceId)
  try {
    await unlessLate(openMs, Promise.all([presence.announce(), calls.learnClock(names.installation)]))
  } catch (error) {
    link.close()
    throw notOpened(address, error)
  }
  const health = new RedisHealth({ check: presence.announce, observe, clock, timeoutMs })
  const fallback = createFallback({ ...options, instances: presence.instances })
  const windows = createRedisWindows({ calls, names, health, fallback, clock, onFailure: presence.suspect })
  const close = async (): Promise<void> => {
    health.close()
    calls.close()
    if (health.isUp) await unlessLate(timeoutMs, presence.leave()).catch(() => undefined)
    link.close()
  }
  return {
    consume: (...args) => windows.consume(...args),
    peek: (...args) => windows.peek(...args),
    refund: (...args) => windows.refund(...args),
    reset: (...args) => windows.reset(...args),
    close,
    script: (text) => scriptRunner(link, text),
    warnings,
    server: name,
    isCluster: link.isCluster,
    get isUp() {
      return health.isUp
    },
    get instances() {
      return presence.instances()
    },
  }
}

const notOpened = ({ label }: RedisAddress, error: unknown): Error =>
  new Error(`cannot count in Redis at ${label}: ${reasonOf(error)}`, { cause: error })

const bufferOf = (answer: unknown): Buffer => {
  if (!Buffer.isBuffer(answer) || answer.length < 8) throw new Error('Redis answered with something else than the script does')
  return answer
}

type Connected = Pick<RedisServerFacts, 'name' | 'warnings'> & { readonly link: RedisLink }

/** The first connection, and what must be so before anything is counted. */
const connect = async (address: RedisAddress, names: KeyNames): Promise<Connected> => {
  const links: RedisLink[] = []
  let isLate = false
  const keep = (link: RedisLink): RedisLink => {
    links.push(link)
    if (isLate) link.close()
    return link
  }
  const establish = async (): Promise<Connected> => {
    let link = keep(await connectServer(address))
    const server = await examine(link, names.installation)
    if (server.isCluster) {
      link.close()
      link = keep(await connectCluster(address))
    }
    await joinInstallation(link, names)
    return { link, name: server.name, warnings: server.warnings }
  }
  try {
    return await unlessLate(openMs, establish())
  } catch (error) {
    isLate = true
    for (const link of links) link.close()
    throw notOpened(address, error)
  }
}

const unlessLate = async <T>(limitMs: number, work: Promise<T>): Promise<T> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${limitMs} ms`)), limitMs)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

const importRedis = async (): Promise<typeof import('redis')> => {
  try {
    return await import('redis')
  } catch {
    throw new Error('the package "redis" is not installed (npm install redis)')
  }
}

/** The client reconnects by itself and rejects what it cannot send now. Its own time limit costs an AbortSignal a command and ends when it is written. */
const clientOptions = (
  { host, port, tls, username, password, database }: RedisAddress,
  answers: Record<number, typeof Buffer>,
  isOpen: () => boolean,
) => ({
  RESP: 3 as const,
  ...(username !== undefined && { username }),
  ...(password !== undefined && { password }),
  database,
  disableOfflineQueue: true,
  pingInterval: pingMs,
  commandsQueueMaxLength: 10_000,
  maintNotifications: 'disabled' as const,
  commandOptions: { timeout: 0, typeMapping: answers },
  socket: {
    host,
    port,
    connectTimeout: 2000,
    socketTimeout: silentMs,
    ...(tls && { tls: true as const }),
    // The first connection is made or refused, and never tried again.
    reconnectStrategy: () => (isOpen() ? reconnectMs : false) as number | false,
  },
})

const connectServer = async (address: RedisAddress): Promise<RedisLink> => {
  const redis = await importRedis()
  let isOpen = false
  const client = redis.createClient(clientOptions(address, { [redis.RESP_TYPES.BLOB_STRING]: Buffer }, () => isOpen))
  // What goes wrong is heard of by the calls that fail; without a listener it would end the process.
  client.on('error', () => undefined)
  await client.connect()
  isOpen = true
  return {
    command: (_, args) => client.sendCommand(args),
    nodeOf: () => address.label,
    isCluster: false,
    close: () => client.destroy(),
  }
}

/** The cluster's client sends a command again only where a node answers that the key is elsewhere (MOVED, ASK), and so has done nothing. */
const connectCluster = async (address: RedisAddress): Promise<RedisLink> => {
  const redis = await importRedis()
  let isOpen = false
  const {
    commandOptions,
    RESP,
    database: _,
    ...defaults
  } = clientOptions(address, { [redis.RESP_TYPES.BLOB_STRING]: Buffer }, () => isOpen)
  const cluster = redis.createCluster({
    RESP,
    topologyRefreshOnReconnectionAttemptStrategy: refreshMs,
    rootNodes: [defaults],
    defaults,
    commandOptions,
  })
  cluster.on('error', () => undefined)
  await cluster.connect()
  isOpen = true
  return {
    command: (key, args) => cluster.sendCommand(key, false, args),
    nodeOf: (key) => cluster.slots[slotOf(key)]?.master.address ?? '',
    isCluster: true,
    close: () => cluster.destroy(),
  }
}
