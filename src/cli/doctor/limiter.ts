import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { type Config, ConfigError, isRedisExposed } from '../../config.ts'
import { systemClock as clock } from '../../core/clock.ts'
import { openMasterKey } from '../../credentials/master-key.ts'
import { openLimiterStore } from '../../serve/limiter-store.ts'
import { fail, type Finding, ok, warn } from './finding.ts'

/** Where requests are counted: whether it can be, by a server that is new enough, forgets nothing and cannot be listened in to. */
export const checkLimiter = async (config: Config): Promise<Finding[]> => {
  const { limits, data, secrets } = config
  if (limits.store === 'memory') return [ok('limits store', 'memory: each instance counts for itself')]
  // A key made here would be another than the server's, and its counters those of a stranger.
  if (secrets.key === '' && !existsSync(join(data.dir, 'master.key')))
    return [ok('limits store', 'Redis; not asked before the first start has made the master key'), encryption(limits.store)]
  return [...(await reach(config)), encryption(limits.store)]
}

const reach = async (config: Config): Promise<Finding[]> => {
  try {
    const masterKey = openMasterKey(config.data.dir, config.secrets.key)
    const store = await openLimiterStore({ config, clock, observe: () => undefined, masterKey, warn: () => undefined })
    await store.close()
    return [ok('limits store', `${store.server} answers`), eviction(store.warnings ?? [])]
  } catch (error) {
    const reason = error instanceof ConfigError ? (error.errors[0]?.message ?? 'it fails') : String(error)
    return [fail('limits store', reason, 'check that it runs, and host, port, user and password in limits.store (FILMGATE_LIMITS_STORE)')]
  }
}

const eviction = ([warning]: readonly string[]): Finding =>
  warning === undefined
    ? ok('limits memory', 'nothing that is counted is forgotten')
    : warn(
        'limits memory',
        warning,
        'redis-cli config set maxmemory-policy noeviction, and the same in redis.conf; a Redis that others use as a cache is the wrong one',
      )

const encryption = (url: string): Finding => {
  if (/^(?:rediss|valkeys):/.test(url)) return ok('limits TLS', 'in use')
  return isRedisExposed(url)
    ? fail(
        'limits TLS',
        'not in use: whoever is in between can read the password and change what was counted',
        'let Redis speak TLS (tls-port), and write rediss:// in limits.store',
      )
    : ok('limits TLS', 'not in use, on the same machine')
}
