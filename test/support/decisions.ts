import { randomBytes } from 'node:crypto'
import { after } from 'node:test'

import { createAuditTrail } from '../../src/api/audit/trail.ts'
import { createDecisionRepository, type DecisionRepository } from '../../src/api/security/decision-repository.ts'
import { systemClock } from '../../src/core/clock.ts'
import type { SecurityEvent } from '../../src/core/events.ts'
import type { Database } from '../../src/db/open.ts'
import type { Decision, DecisionStore } from '../../src/layers/monitor/decision.ts'
import { createMonitor, type Monitor } from '../../src/layers/monitor/monitor.ts'
import { createSharedDecisions } from '../../src/layers/monitor/redis-store.ts'
import type { RedisStore } from '../../src/layers/rate-limit/redis-store.ts'
import { createDecisionStore } from '../../src/serve/decision-store.ts'
import { databases, openAt, type OpenDatabase, type Place } from './databases.ts'
import { openTestStore } from './limiter-redis.ts'
import { startRedisCluster } from './redis-cluster.ts'
import { type RedisServer, startRedis } from './redis.ts'
import { servicesMissing } from './services.ts'

export const [minute, hour, day] = [60_000, 3_600_000, 86_400_000]

/** All instances of an installation have it. */
export const decisionSecret = Buffer.alloc(32, 9)
const auditKey = Buffer.alloc(32, 5)

let made = 0

/** As a rule makes one; in force for an hour. */
export const testDecision = (parts: Partial<Decision> = {}): Decision => {
  const now = systemClock.epochMs()
  return {
    id: randomBytes(12).toString('base64url'),
    scope: 'client',
    target: `203.0.113.${++made % 250}`,
    type: 'ban',
    rule: 'a-rule',
    reason: 'a test',
    by: 'monitor',
    createdAt: now,
    expiresAt: now + hour,
    offence: 1,
    observed: false,
    evidence: {
      bucket: { capacity: 5, leakPerSecond: 0.1, level: 5.4 },
      signals: [
        { at: now, requestId: 'r1', name: 'request', client: '203.0.113.9', method: 'GET', route: null, status: 404, about: 'é\u202e"\n' },
      ],
    },
    ...parts,
  }
}

/** What a process has of the monitor: rules and requests aside, this is an instance of the program. */
export interface Instance extends AsyncDisposable {
  readonly monitor: Monitor
  readonly store: DecisionStore
  readonly repository: DecisionRepository
  readonly database: Database
  readonly events: readonly SecurityEvent[]
  /** Undefined where it has no Redis. */
  readonly redis: RedisStore | undefined
}

export interface InstanceOptions {
  readonly place: Place
  readonly redisUrl?: string | undefined
  readonly epochMs?: () => number
  readonly secret?: Buffer
  readonly timeoutMs?: number
}

export const openInstance = async (options: InstanceOptions): Promise<Instance> => {
  const { place, redisUrl, epochMs = systemClock.epochMs, secret = decisionSecret, timeoutMs = 1000 } = options
  const events: SecurityEvent[] = []
  const observe = (event: SecurityEvent): void => void events.push(event)
  const opened: OpenDatabase = await openAt(place)
  const { database } = opened
  const limiter = redisUrl === undefined ? undefined : await openTestStore(redisUrl, { observe, timeoutMs })
  const redis = limiter?.store
  const repository = createDecisionRepository({ database, trail: createAuditTrail(database, epochMs, auditKey), epochMs })
  const shared =
    redis && createSharedDecisions({ script: (text) => redis.script(text), isUp: () => redis.isUp, secret, observe, epochMs, timeoutMs })
  const store = createDecisionStore({ repository, channel: database.channel, epochMs, shared })
  const monitor = await createMonitor({
    clock: { ...systemClock, epochMs },
    observe,
    rules: [],
    policy: () => ({ mode: 'enforce', rules: {}, isExempt: () => false }),
    store,
  })
  return {
    monitor,
    store,
    repository,
    database,
    events,
    redis,
    [Symbol.asyncDispose]: async () => {
      await monitor.close()
      await redis?.close()
      await opened[Symbol.asyncDispose]()
    },
  }
}

/** What instances share, and so hear of one another through. */
export interface SharingKind {
  readonly name: string
  readonly missing: string | false
  begin(): Promise<Sharing>
}

export interface Sharing extends AsyncDisposable {
  /** The same again after it was closed: an instance that starts again. */
  open(name: string): Promise<Instance>
}

const sharingOf = async (
  placeOf: (name: string) => Promise<Place>,
  redisUrl: string | undefined,
  end: () => Promise<void>,
): Promise<Sharing> => {
  const open = new Set<Instance>()
  return {
    open: async (name) => {
      const instance = await openInstance({ place: await placeOf(name), redisUrl })
      open.add(instance)
      return {
        ...instance,
        [Symbol.asyncDispose]: async () => {
          if (open.delete(instance)) await instance[Symbol.asyncDispose]()
        },
      }
    },
    [Symbol.asyncDispose]: async () => {
      for (const instance of open) await instance[Symbol.asyncDispose]()
      await end()
    },
  }
}

/** A database for each name, so that nothing is heard of through it. */
const ownPlaces = () => {
  const places = new Map<string, Place>()
  return {
    placeOf: async (name: string): Promise<Place> => {
      const place = places.get(name) ?? (await databases[0]!.place())
      places.set(name, place)
      return place
    },
    end: async (): Promise<void> => {
      for (const place of places.values()) await place[Symbol.asyncDispose]()
    },
  }
}

interface RedisPlace extends AsyncDisposable {
  readonly url: string
  readonly nodes: readonly RedisServer[]
}

/** Started when the first test asks, empty for each. */
const overRedis = (start: () => Promise<RedisPlace>): (() => Promise<Sharing>) => {
  let started: Promise<RedisPlace> | undefined
  after(async () => (await started)?.[Symbol.asyncDispose]())
  return async () => {
    const redis = await (started ??= start())
    for (const node of redis.nodes) await node.cli('flushall')
    const { placeOf, end } = ownPlaces()
    return sharingOf(placeOf, redis.url, end)
  }
}

const startSingle = async (): Promise<RedisPlace> => {
  const redis = await startRedis()
  return { url: redis.url, nodes: [redis], [Symbol.asyncDispose]: async () => redis[Symbol.asyncDispose]() }
}

export const sharingKinds: readonly SharingKind[] = [
  ...databases.map((kind): SharingKind => ({
    name: `one ${kind.name} database`,
    missing: kind.missing,
    begin: async () => {
      const place = await kind.place()
      return sharingOf(
        async () => place,
        undefined,
        async () => place[Symbol.asyncDispose](),
      )
    },
  })),
  { name: 'Redis', missing: servicesMissing('redis'), begin: overRedis(startSingle) },
  { name: 'a Redis Cluster', missing: servicesMissing('redis'), begin: overRedis(startRedisCluster) },
]
