import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { ask } from '../support/attack.ts'
import { eventually } from '../support/deadline.ts'
import { storeEvents } from '../support/health.ts'
import { limitPlaces, type OpenLimitPlace } from '../support/limit-places.ts'
import { callsOf } from '../support/limiter-redis.ts'
import type { RedisServer } from '../support/redis.ts'
import type { TestServer } from '../support/server.ts'
import { describeUnless } from '../support/services.ts'
import { count, limited, onlyLimit, remaining, startHits, statuses } from './hits.ts'
import { firstAsk } from './redis-keys.ts'

const limit = 2000

/** What happens to the store while one client uses up its limit over three instances. */
type Disturb = (key: string, node: RedisServer, answered: (requests: number) => Promise<void>) => Promise<void>

/** Nobody notices: not one request too many or too few is admitted, none is refused for anything else, and nothing is told. */
const assertUnnoticed = async (servers: readonly TestServer[], at: OpenLimitPlace, from: string, disturb: Disturb): Promise<void> => {
  const { key, node } = await firstAsk(at, servers[0]!, from)
  const load = startHits(servers, { from, pauseMs: 5 })
  try {
    await load.answered(50)
    await disturb(key, node, (requests) => load.answered(requests))
    assert.equal(load.all.at(-1)?.status, 200, 'it was over before the limit was used up')
    await eventually(60_000, 'the limit is used up', () => load.all.at(-1)?.status === 429)
    await load.answered(50)
  } finally {
    await load.stop()
  }
  assert.equal(count(load.all, 200) + count(load.all, 429), load.all.length, JSON.stringify(statuses(load.all)))
  assert.equal(1 + count(load.all, 200), limit)
  for (const server of servers) {
    assert.equal((await ask(server, { target: limited, from })).status, 429)
    assert.deepEqual(storeEvents(server, 'redis'), [])
  }
}

for (const place of limitPlaces.filter(({ isShared }) => isShared)) {
  describeUnless(place.missing, `limits counted in ${place.name}, which is changed under load`, () => {
    let at: OpenLimitPlace
    let servers: readonly TestServer[]
    before(async () => {
      at = await place.open({ replicas: 1 })
      servers = await at.startSeveral(3, { toml: onlyLimit(`${limit} per hour`) })
    })
    after(() => at[Symbol.asyncDispose]())

    test('case 9: SCRIPT FLUSH under load: no count is lost or made twice, no 5xx', async () => {
      const flushes = 20
      await assertUnnoticed(servers, at, '127.0.40.1', async (_, node, answered) => {
        const sentBefore = await callsOf(node, 'eval')
        for (let i = 0; i < flushes; i++) {
          for (const each of at.nodes) await each.cli('script', 'flush')
          await answered(20)
        }
        assert.ok((await callsOf(node, 'eval')) - sentBefore >= flushes / 2, 'the script was not sent again')
      })
    })

    const { name } = place
    if (name !== 'a Redis Cluster') return

    test('case 9: the slot of the very key moves from node to node (ASK, MOVED) under load: no count is lost or made twice, no 5xx', async () => {
      await assertUnnoticed(servers, at, '127.0.40.2', async (key, node, answered) => {
        const { cluster } = at
        assert.ok(cluster !== undefined)
        for (let round = 0; round < 3; round++) {
          const move = await cluster.beginMove(key)
          await answered(30)
          await move.moveKeys()
          await answered(30)
          await move.finish()
          await answered(30)
        }
        assert.equal(await cluster.ownerOf(key), node, 'it went round all three')
      })
    })

    test('case 9: a planned failover of the very node under load: no count is lost or made twice, no 5xx', async () => {
      await assertUnnoticed(servers, at, '127.0.40.3', async (key, node, answered) => {
        const { cluster } = at
        assert.ok(cluster !== undefined)
        const promoted = await cluster.failover(node)
        assert.equal(await cluster.ownerOf(key), promoted)
        await answered(50)
      })
    })

    test('case 9: what was counted before the changes still counts after them', async () => {
      const { key } = await firstAsk(at, servers[0]!, '127.0.40.4')
      await at.cluster!.moveKeySlot(key)
      const node = await at.cluster!.ownerOf(key)
      await at.cluster!.failover(node)
      for (const each of at.nodes) await each.cli('script', 'flush')
      for (const [i, server] of servers.entries()) {
        assert.equal(remaining(await ask(server, { target: limited, from: '127.0.40.4' }), 'hour'), limit - 2 - i)
      }
    })
  })
}
