import { randomBytes } from 'node:crypto'
import { after, before } from 'node:test'

import { type RedisCluster, type RedisClusterOptions, startRedisCluster } from './redis-cluster.ts'
import { type RedisServer, startRedis } from './redis.ts'
import { type StartOptions, startServer, type TestServer } from './server.ts'
import { describeUnless, servicesMissing } from './services.ts'

/** `replicas` is of a cluster; nothing is of the embedded store. */
export type LimitPlaceOptions = Omit<RedisClusterOptions, 'password'>

export interface OpenLimitPlace extends AsyncDisposable {
  /** The Redis server or all nodes of the cluster, the masters first; none for the embedded store. */
  readonly nodes: readonly RedisServer[]
  /** Undefined where it is none. */
  readonly cluster: RedisCluster | undefined
  /** The real program, counting here, with a data folder of its own; what `options.env` says goes before. Ends with the place at the latest. */
  start(options?: StartOptions): Promise<TestServer>
  /** So many of them at once, for one client with one set of counts. Throws where each would count for itself. */
  startSeveral(count: number, options?: StartOptions): Promise<readonly TestServer[]>
}

/** One entry for each place where limits are counted and must be the same. */
export interface LimitPlace {
  readonly name: 'the embedded store' | 'one Redis' | 'a Redis Cluster'
  /** Why it cannot be tested here, or false. */
  readonly missing: string | false
  /** Whether several instances count together. */
  readonly isShared: boolean
  /** A new place where nothing was ever counted. `clock` needs libfaketime. */
  open(options?: LimitPlaceOptions): Promise<OpenLimitPlace>
}

/** A client that waits as long as this for the store is not met by a busy machine; tests of failing stores say another. */
const patient = { FILMGATE_LIMITS_STORE_TIMEOUT_MS: '5000' }

interface Opened {
  readonly env: Readonly<Record<string, string>>
  readonly nodes?: readonly RedisServer[]
  readonly cluster?: RedisCluster
  readonly close: () => Promise<void>
}

const openPlace = async (isShared: boolean, opening: Promise<Opened>): Promise<OpenLimitPlace> => {
  const { env, nodes = [], cluster, close } = await opening
  const started: TestServer[] = []
  const start = async (options: StartOptions = {}): Promise<TestServer> => {
    const server = await startServer({ ...options, env: { ...env, ...options.env } })
    started.push(server)
    return server
  }
  return {
    nodes,
    cluster,
    start,
    startSeveral: async (count, options) => {
      if (!isShared) throw new Error('each instance would count for itself')
      return Promise.all(Array.from({ length: count }, () => start(options)))
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(started.map((server) => server[Symbol.asyncDispose]()))
      await close()
    },
  }
}

/** Instances that count together have the same key. */
const sharedEnv = (url: string): Readonly<Record<string, string>> => ({
  ...patient,
  FILMGATE_LIMITS_STORE: url,
  FILMGATE_SECRETS_KEY: randomBytes(32).toString('hex'),
})

const openRedis = async (options: LimitPlaceOptions): Promise<Opened> => {
  const redis = await startRedis(options)
  return { env: sharedEnv(redis.url), nodes: [redis], close: async () => redis[Symbol.asyncDispose]() }
}

const openCluster = async (options: LimitPlaceOptions): Promise<Opened> => {
  const cluster = await startRedisCluster(options)
  return { env: sharedEnv(cluster.url), nodes: cluster.nodes, cluster, close: async () => cluster[Symbol.asyncDispose]() }
}

export const limitPlaces: readonly LimitPlace[] = [
  {
    name: 'the embedded store',
    missing: false,
    isShared: false,
    open: () => openPlace(false, Promise.resolve({ env: {}, close: () => Promise.resolve() })),
  },
  {
    name: 'one Redis',
    missing: servicesMissing('redis'),
    isShared: true,
    open: (options = {}) => openPlace(true, openRedis(options)),
  },
  {
    name: 'a Redis Cluster',
    missing: servicesMissing('redis'),
    isShared: true,
    open: (options = {}) => openPlace(true, openCluster(options)),
  },
]

/** A suite for each place. `at` is that place while its tests run: opened before them, and empty then. */
export const inEachLimitPlace = (suite: (at: () => OpenLimitPlace, place: LimitPlace) => void): void => {
  for (const place of limitPlaces) {
    describeUnless(place.missing, `limits counted in ${place.name}`, () => {
      let open: OpenLimitPlace
      before(async () => {
        open = await place.open()
      })
      after(() => open[Symbol.asyncDispose]())
      suite(() => open, place)
    })
  }
}
