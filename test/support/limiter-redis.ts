import type { SecurityEvent } from '../../src/core/events.ts'
import { systemClock } from '../../src/core/clock.ts'
import { openRedisStore, type RedisStore, type RedisStoreOptions } from '../../src/layers/rate-limit/redis-store.ts'
import type { Decision, Quota } from '../../src/layers/rate-limit/store.ts'
import type { RedisServer } from './redis.ts'

export interface TestStore extends AsyncDisposable {
  readonly store: RedisStore
  readonly events: SecurityEvent[]
}

export const keySecret = Buffer.alloc(32, 7)

/** A store that is closed with the test. It waits for an answer longer than it would in service, because the machine of a test is busy. */
export const openTestStore = async (url: string, options: Partial<RedisStoreOptions> = {}): Promise<TestStore> => {
  const events: SecurityEvent[] = []
  const store = await openRedisStore({
    url,
    keySecret,
    clock: systemClock,
    observe: (event) => void events.push(event),
    onFailure: 'deny',
    timeoutMs: 1000,
    maxTrackedClients: 1000,
    ...options,
  })
  return { store, events, [Symbol.asyncDispose]: () => store.close() }
}

export const quota = (limit: number, windowMs: number, scope = 'GET /'): readonly Quota[] => [
  { scope, windows: [{ name: `${limit}`, limit, windowMs }] },
]

/** How often a command was carried out, those inside scripts included. */
export const callsOf = async (redis: RedisServer, command: string): Promise<number> => {
  const line = (await redis.cli('info', 'commandstats')).split('\n').find((each) => each.startsWith(`cmdstat_${command}:`))
  return Number(/calls=(\d+)/.exec(line ?? '')?.[1] ?? 0)
}

/** All at once. */
export const many = async (count: number, consume: (index: number) => Decision | Promise<Decision>): Promise<Decision[]> =>
  Promise.all(Array.from({ length: count }, async (_, index) => consume(index)))
