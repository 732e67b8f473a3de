/* oxlint-disable no-await-in-loop -- one after the other is the point: each seed has Redis for itself */
/* Part d: four instances on one Redis admit together exactly what the limit says, and what that takes of round trips. */
import { randomBytes, randomUUID } from 'node:crypto'
import { systemClock } from '../src/core/clock.ts'
import { type Decision, type Identity, openRedisStore, parseLimits, type Quota, type RedisStore } from '../src/layers/index.ts'
import { createRandom } from './import.ts'
import { absentPart, type PartOutcome, row } from './limits-part.ts'
import { type Machine, packageVersions } from './machine.ts'
import { redisMissing, redisVersions, type RunningRedis, startRedis } from './redis.ts'
import { type Goal, goal } from './report.ts'

const instances = 4
const seeds = 50
const mostLimit = 60
/** Parallel requests for each one that the limit has room for. */
const timesLimit = 20
const serialRequests = 500
const cachedRefusals = 1000
/** In service it is 50 ms; here nobody shall be admitted or refused because the machine was busy. */
const timeoutMs = 5000

const total: Quota = { scope: 'total', windows: parseLimits('1000000000 per second; 1000000000 per hour') }

function route(limit: number): Quota {
  return { scope: 'route GET /', windows: parseLimits(`${limit} per hour; ${limit * 2} per day`) }
}

function observe(event: object): void {
  console.error(`event: ${JSON.stringify(event)}`)
}

function open(url: string, keySecret: Buffer): Promise<RedisStore> {
  return openRedisStore({ url, keySecret, clock: systemClock, observe, onFailure: 'deny', timeoutMs, maxTrackedClients: 1000 })
}

/** Commands that the limiters sent since the last look: scripts, but for those by which the instances say that they are there. */
function watchRoundTrips(redis: RunningRedis): () => Promise<number> {
  let before: number | undefined
  return async () => {
    const calls = await redis.calls()
    const of = (name: string): number => calls.get(name) ?? 0
    const now = of('evalsha') + of('eval') - of('zadd')
    const since = before === undefined ? 0 : now - before
    before = now
    return since
  }
}

interface Seed {
  readonly seed: number
  readonly limit: number
  readonly asked: number
  readonly admitted: number
}

async function ask(stores: readonly RedisStore[], seed: number): Promise<Seed> {
  const below = createRandom(seed)
  const limit = 1 + below(mostLimit)
  const identity: Identity = { id: `32.${below(256)}.${below(256)}.${below(256)}-${randomUUID()}` }
  // Each instance has quotas of its own, as each has when it reads its configuration.
  const consumers = stores.map((store) => {
    const quotas = [route(limit)]
    return async () => store.consume(identity, quotas, 1)
  })
  const asked = limit * timesLimit
  const decisions = await Promise.all(Array.from({ length: asked }, async () => consumers[below(stores.length)]?.()))
  return { seed, limit, asked, admitted: decisions.filter((decision) => decision?.allowed).length }
}

/** Requests that come one by one, so that nothing can be sent together: `total`, then the route, as in a server. */
async function serially(store: RedisStore, trips: () => Promise<number>): Promise<number> {
  const [ofTotal, ofRoute] = [[total], [route(serialRequests)]]
  await trips()
  for (let i = 0; i < serialRequests; i++) {
    const identity = { id: '198.51.100.1', wider: '198.51.100.0/24' }
    for (const quotas of [ofTotal, ofRoute])
      if (!(await store.consume(identity, quotas, 1)).allowed) throw new Error(`INVALID RUN: request ${i} was refused`)
  }
  return (await trips()) / serialRequests
}

interface Cached {
  readonly roundTrips: number
  readonly answeredLater: number
}

/** After the first refusal: the same request again, within the second for which the answer is known. */
async function refusals(store: RedisStore, trips: () => Promise<number>): Promise<Cached> {
  const [identity, quotas] = [{ id: '198.51.100.2' }, [route(1)]]
  for (const allowed of [true, false])
    if ((await store.consume(identity, quotas, 1)).allowed !== allowed) throw new Error('INVALID RUN: the limit of 1 did not hold')
  await trips()
  const answers: (Decision | Promise<Decision>)[] = Array.from({ length: cachedRefusals }, () => store.consume(identity, quotas, 1))
  const decisions = await Promise.all(answers.map(async (answer) => answer))
  if (decisions.some(({ allowed }) => allowed)) throw new Error('INVALID RUN: an exhausted client was admitted')
  return { roundTrips: (await trips()) / cachedRefusals, answeredLater: answers.filter((answer) => answer instanceof Promise).length }
}

function goals(asked: readonly Seed[], serial: number, cached: Cached): Goal[] {
  const inexact = asked.filter(({ limit, admitted }) => limit !== admitted)
  if (inexact.length > 0) console.error(`not exact: ${JSON.stringify(inexact)}`)
  return [
    goal(`seeds of ${seeds} with another number admitted than the limit`, inexact.length, '<=', 0),
    goal('round trips per admitted request, total and route, one by one', serial, '<=', 2),
    goal('round trips per refusal that is known', cached.roundTrips, '<=', 0),
    goal('known refusals that were not answered at once', cached.answeredLater, '<=', 0),
  ]
}

export async function exactness(machine: Machine): Promise<PartOutcome> {
  const missing = redisMissing()
  if (missing !== undefined) return absentPart('Redis', missing)
  const redis = await startRedis(machine, 'server')
  const keySecret = randomBytes(32)
  const first = await open(redis.url, keySecret)
  const others = await Promise.all(Array.from({ length: instances - 1 }, () => open(redis.url, keySecret)))
  const stores = [first, ...others]
  const trips = watchRoundTrips(redis)
  try {
    await trips()
    const asked: Seed[] = []
    for (let seed = 1; seed <= seeds; seed++) asked.push(await ask(stores, seed))
    const all = asked.reduce((sum, one) => sum + one.asked, 0)
    const admitted = asked.reduce((sum, one) => sum + one.admitted, 0)
    const parallel = (await trips()) / admitted
    const serial = await serially(first, trips)
    const cached = await refusals(first, trips)
    return {
      rows: [
        row(
          'admitted / limit, each seed',
          asked.map((one) => one.admitted / one.limit),
          '1 is exact',
          4,
        ),
        row('round trips / admitted, all at once, one consume each', [parallel], ''),
        row('round trips / admitted, one by one, total and route', [serial], ''),
        row('round trips / refusal that is known', [cached.roundTrips], '', 3),
      ],
      notes: [
        `${instances} instances in one process on one Redis, ${seeds} seeds: a client and a limit of 1 to ${mostLimit} each, ${timesLimit} times as ` +
          `many requests at once, each at a random instance (${all} in all). Round trips: scripts that Redis carried out, without heartbeats.`,
      ],
      goals: goals(asked, serial, cached),
      versions: { ...redisVersions(), ...packageVersions(['redis']) },
      rounds: [...asked, { parallel, serial, ...cached }],
    }
  } finally {
    await Promise.all(stores.map((store) => store.close()))
    await redis.program.stop()
  }
}
