import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { type Answer, ask, assertProblem, assertSafe } from '../support/attack.ts'
import { eventually } from '../support/deadline.ts'
import { storeEvents } from '../support/health.ts'
import { limitPlaces, type OpenLimitPlace } from '../support/limit-places.ts'
import type { RedisServer } from '../support/redis.ts'
import type { TestServer } from '../support/server.ts'
import { describeUnless } from '../support/services.ts'
import { count, type Hit, type Hits, limited, onlyLimit, remaining, startHits, statuses, untilMs } from './hits.ts'
import { firstAsk, knowEachOther } from './redis-keys.ts'

/** Of each client, in an hour: what is admitted in one test is in one window. */
const limit = 200
const inTotal = 1_000_000
/** What is waited for the store; far more than it takes, far less than the 2.5 s after which a silent connection is given up. */
const deadlineMs = 300
/** What a machine that does other things too may add to an answer. */
const graceMs = 100
/** For a single server that is back, and for a cluster that calls itself healthy again. */
const returnMs = 4000
const lanes = 8
const witnessed = 10

const faults = [
  {
    name: 'case 6: killed',
    end: (node: RedisServer) => node.stop('SIGKILL'),
    mend: (node: RedisServer) => node.start(),
  },
  {
    name: 'case 7: stopped, so that it hangs',
    end: (node: RedisServer) => node.pause(),
    mend: async (node: RedisServer) => node.resume(),
  },
]

/** What becomes of a request while the store is known to be gone. */
const modes = {
  local: (hits: readonly Hit[]) => {
    // The rest of the outage, when the shares of both instances are used up.
    assert.equal(count(hits, 200) + count(hits, 429), hits.length, JSON.stringify(statuses(hits)))
    assert.ok(count(hits, 200) > 0)
  },
  deny: (hits: readonly Hit[]) => {
    assert.deepEqual(statuses(hits), { 503: hits.length })
    assert.ok(hits.every(({ code, retryAfter }) => code === 'store_unavailable' && retryAfter === '1'))
  },
  allow: (hits: readonly Hit[]) => {
    assert.ok(hits.length > limit, 'more than there was left')
    assert.deepEqual(statuses(hits), { 200: hits.length })
  },
}

interface Scene {
  readonly servers: readonly TestServer[]
  /** Where the client under load is counted. */
  readonly node: RedisServer
  readonly load: Hits
  /** Of another client, whose requests are never on their way when something happens. */
  readonly witness: (target?: string) => Promise<Answer>
  /** Moments of `performance.now()`: when the store failed, when all had noticed, when it was mended, when all had noticed that. */
  readonly moments: number[]
}

const p99 = (hits: readonly Hit[]): number =>
  hits.map(({ sentMs, endedMs }) => endedMs - sentMs).toSorted((a, b) => a - b)[Math.ceil(0.99 * hits.length) - 1] ?? 0

const isWithin =
  (fromMs: number, toMs: number) =>
  ({ sentMs, endedMs }: Hit): boolean =>
    sentMs >= fromMs && endedMs <= toMs

const openScene = async (at: OpenLimitPlace, mode: keyof typeof modes, clients: string): Promise<Scene> => {
  const env = { FILMGATE_LIMITS_ON_STORE_FAILURE: mode, FILMGATE_LIMITS_STORE_TIMEOUT_MS: String(deadlineMs) }
  const servers = await at.startSeveral(2, { toml: onlyLimit(`${limit} per hour`, `${inTotal} per day`), env })
  const [first, second] = servers as readonly [TestServer, TestServer]
  await knowEachOther(at, 2)
  const from = `${clients}.1`
  const { node } = await firstAsk(at, first, from)
  let turn = 0
  const witness: Scene['witness'] = (target = limited) => ask([first, second][turn++ % 2]!, { target, from: `${clients}.2` })
  for (let i = 1; i <= witnessed; i++) assert.equal(remaining(await witness(), 'hour'), limit - i)
  return { servers, node, load: startHits(servers, { from, lanes, pauseMs: 10 }), witness, moments: [] }
}

const tell = (servers: readonly TestServer[], events: readonly string[]): boolean =>
  servers.every((server) => JSON.stringify(storeEvents(server, 'redis')) === JSON.stringify(events))

for (const place of limitPlaces.filter(({ isShared }) => isShared)) {
  describeUnless(place.missing, `limits counted in ${place.name}, which fails under load`, () => {
    let at: OpenLimitPlace
    before(async () => {
      // What was counted survives the end of the process; else `local` may admit three times the limit.
      at = await place.open({ persistent: true })
    })
    after(() => at[Symbol.asyncDispose]())

    for (const [i, fault] of faults.entries()) {
      for (const [j, mode] of (Object.keys(modes) as (keyof typeof modes)[]).entries()) {
        describe(`${fault.name.replace('case', 'in case')}, on_store_failure = "${mode}"`, () => {
          let scene: Scene
          before(async () => {
            scene = await openScene(at, mode, `127.0.${30 + 3 * i + j}`)
          })
          after(async () => {
            await scene.load.stop()
            // Those that are killed would be counted as instances for some seconds more.
            await Promise.all(scene.servers.map((server) => server.kill('SIGTERM')))
          })

          test(`${fault.name}, ${mode}: only the declared answers, in time, and an event`, async () => {
            const { servers, node, load, witness, moments } = scene
            await load.answered(60)
            moments.push(performance.now())
            const usual = [...load.all]
            assert.deepEqual(statuses(usual), { 200: usual.length })
            await fault.end(node)
            // These are sent to a store of which nobody knows yet that it will not answer.
            const early = await Promise.all(Array.from({ length: 20 }, () => witness()))
            await eventually(5000, 'both tell of it', () => tell(servers, ['sys_store_failure']))
            moments.push(performance.now())
            await load.answered(500)
            await untilMs(moments[1]! + 1500)
            const [failedMs, noticedMs] = moments as [number, number]
            const during = load.all.filter(({ endedMs }) => endedMs > failedMs)
            modes[mode](load.all.filter(isWithin(noticedMs, Infinity)))
            assert.equal(during.filter(({ status, code }) => status === 0 || (status >= 500 && code !== 'store_unavailable')).length, 0)
            if (mode !== 'deny') assert.equal(count(during, 503), 0, 'nothing is refused for want of a store')
            assert.ok(p99(during) <= deadlineMs + graceMs + p99(usual), `p99 ${p99(during)} ms, before ${p99(usual)} ms`)
            assert.ok(noticedMs - failedMs < deadlineMs + 2000)
            const later = await Promise.all(Array.from({ length: 20 }, () => witness()))
            for (const answer of [...early, ...later]) {
              if (mode === 'deny') assertProblem(answer, { status: 503, code: 'store_unavailable' })
              else assert.equal(answer.status, 200)
              assertSafe(answer)
            }
          })

          test(`case 8: it returns (${fault.name.replace(/.*: /, '')}, ${mode}): all count together again within ${returnMs} ms, nothing is replayed or counted twice`, async () => {
            const { servers, node, load, witness, moments } = scene
            moments.push(performance.now())
            await fault.mend(node)
            await at.cluster?.healthy()
            await eventually(returnMs, 'both tell of it', () => tell(servers, ['sys_store_failure', 'sys_store_recovered']))
            moments.push(performance.now())
            const left = [remaining(await witness(), 'hour'), remaining(await witness(), 'hour')]
            assert.deepEqual(left, [limit - witnessed - 1, limit - witnessed - 2], 'the forty of the outage are not counted now')
            // Asked for first: whom it was not answered for in time is asked for nothing else.
            assert.equal(remaining(await witness('/nowhere'), 'total-day'), inTotal - witnessed - 3, 'nor in total')
            await load.answered(400)
            const hits = await load.stop()
            const [failedMs, noticedMs, mendedMs, returnedMs] = moments as [number, number, number, number]
            assert.equal(hits.at(-1)?.status, 429, 'the limit is used up')
            const late = hits.filter(isWithin(returnedMs, Infinity))
            assert.equal(count(late, 200) + count(late, 429), late.length)
            // One was asked to learn the name of the key.
            const together = 1 + count(hits.filter(isWithin(0, failedMs)), 200) + count(late, 200)
            const between = hits.filter((hit) => !isWithin(0, failedMs)(hit) && !isWithin(returnedMs, Infinity)(hit))
            const doubtful = between.filter((hit) => !isWithin(noticedMs, mendedMs)(hit))
            assert.ok(together <= limit, `${together} were admitted together`)
            // A replay of the hundreds that came meanwhile would leave less than this.
            assert.ok(together >= limit - doubtful.length, `${together} admitted together, ${doubtful.length} in doubt`)
            if (mode === 'local') assert.ok(1 + count(hits, 200) <= 2 * limit, `${count(hits, 200)} in all`)
            if (mode === 'deny') assert.ok(1 + count(hits, 200) <= limit, `${count(hits, 200)} in all`)
          })
        })
      }
    }
  })
}
