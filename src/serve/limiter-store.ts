import type { OpsOptions } from '../api/ops/routes.ts'
import { type Config, ConfigError, isRedisExposed } from '../config.ts'
import type { Clock } from '../core/clock.ts'
import type { Observe } from '../core/events.ts'
import type { MasterKey } from '../credentials/master-key.ts'
import { createMemoryStore, type LimiterStore, openRedisStore, type RedisStore } from '../layers/index.ts'

export interface LimiterStoreOptions {
  readonly config: Config
  readonly clock: Clock
  readonly observe: Observe
  readonly masterKey: MasterKey
  readonly warn: (warning: string) => void
}

/** One in Redis says how that is, one in memory how full. */
export interface OpenLimiterStore extends LimiterStore {
  readonly isUp?: RedisStore['isUp'] | undefined
  readonly server?: RedisStore['server']
  readonly warnings?: RedisStore['warnings']
  /** For what else instances share. */
  readonly script?: RedisStore['script']
  readonly tracked?: number | undefined
  readonly capacity?: number | undefined
}

/** Where requests are counted. Throws a `ConfigError` where the server that the configuration names cannot be used. */
export const openLimiterStore = async ({ config, clock, observe, masterKey, warn }: LimiterStoreOptions): Promise<OpenLimiterStore> => {
  const { store: url, onStoreFailure: onFailure, storeTimeoutMs: timeoutMs, maxTrackedClients } = config.limits
  if (url === 'memory') return createMemoryStore({ clock, maxTrackedClients })
  try {
    const keySecret = masterKey.derive('limits')
    const store = await openRedisStore({ url, keySecret, clock, observe, onFailure, timeoutMs, maxTrackedClients })
    store.warnings.forEach(warn)
    if (isRedisExposed(url)) warn(exposed)
    return store
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    throw new ConfigError([{ key: 'limits.store', message, source: config.origins.get('limits.store') ?? 'default' }])
  }
}

const exposed = 'what is sent to limits.store can be read and changed on its way: write rediss:// and let Redis speak TLS'

/** What /readyz asks of a store that is elsewhere. */
export const limiterOf = ({ limits }: Config, store: OpenLimiterStore): OpsOptions['limiter'] =>
  store.isUp === undefined ? undefined : { isUp: () => store.isUp === true, whileDown: limits.onStoreFailure }
