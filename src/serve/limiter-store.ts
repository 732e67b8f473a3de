import { type Config, ConfigError } from '../config.ts'
import type { Clock } from '../core/clock.ts'
import type { Observe } from '../core/events.ts'
import type { MasterKey } from '../credentials/master-key.ts'
import { createMemoryStore, type LimiterStore, openRedisStore } from '../layers/index.ts'

export interface LimiterStoreOptions {
  readonly config: Config
  readonly clock: Clock
  readonly observe: Observe
  readonly masterKey: MasterKey
  readonly warn: (warning: string) => void
}

/** Where requests are counted. Throws a `ConfigError` where the server that the configuration names cannot be used. */
export const openLimiterStore = async ({ config, clock, observe, masterKey, warn }: LimiterStoreOptions): Promise<LimiterStore> => {
  const { store: url, onStoreFailure: onFailure, storeTimeoutMs: timeoutMs, maxTrackedClients } = config.limits
  if (url === 'memory') return createMemoryStore({ clock, maxTrackedClients })
  try {
    const keySecret = masterKey.derive('limits')
    const store = await openRedisStore({ url, keySecret, clock, observe, onFailure, timeoutMs, maxTrackedClients })
    store.warnings.forEach(warn)
    return store
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    throw new ConfigError([{ key: 'limits.store', message, source: config.origins.get('limits.store') ?? 'default' }])
  }
}
