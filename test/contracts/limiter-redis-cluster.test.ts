import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { slotOf } from '../../src/layers/rate-limit/redis/slot.ts'
import type { Decision, Quota } from '../../src/layers/rate-limit/store.ts'
import { eventually } from '../support/deadline.ts'
import { many, openTestStore, quota, type TestStore } from '../support/limiter-redis.ts'
import { type RedisCluster, startRedisCluster } from '../support/redis-cluster.ts'
import type { RedisServer } from '../support/redis.ts'
import { describeUnless, servicesMissing } from '../support/services.ts'

const minute = 60_000
const limitMs = 30_000

const count = (decisions: readonly Decision[]): number => decisions.filter(({ allowed }) => allowed).length
const both = (scope: string): readonly Quota[] => [
  ...quota(20, minute, scope),
  { ...quota(500, minute, `${scope} wider`)[0]!, of: 'wider' },
]

describeUnless(servicesMissing('redis'), 'limits in a Redis Cluster for several instances', () => {
  let cluster: RedisCluster
  let opened: TestStore[] = []
  before(async () => {
    cluster = await startRedisCluster({ persistent: true })
    // Each instance is given another node to begin with.
    opened = await Promise.all(cluster.nodes.map(({ url }) => openTestStore(url, { onFailure: 'local' })))
  })
  after(async () => {
    for (const each of opened) await each[Symbol.asyncDispose]()
    await cluster[Symbol.asyncDispose]()
  })
  const storeAt = (index: number): TestStore['store'] => opened[index % opened.length]!.store

  test('it is known as a cluster by itself, and slots are computed as it does', async () => {
    assert.ok(opened.every(({ store }) => store.isCluster))
    for (const key of ['', 'a', '{a}b', 'x{}y', 'x{{y}}z', 'é{ü}', '123456789'])
      assert.equal(String(slotOf(key)), await cluster.nodes[0]!.cli('cluster', 'keyslot', key))
  })

  test('of 20 times the limit at once, over three instances and all nodes, exactly the limit is admitted', async () => {
    const clients = Array.from({ length: 15 }, (_, i) => ({ id: `client ${i}`, wider: i % 2 === 0 ? `wider ${i}` : undefined }))
    const admitted = await Promise.all(clients.map(async (id) => count(await many(400, (i) => storeAt(i).consume(id, both('a'), 1)))))
    assert.deepEqual(new Set(admitted), new Set([20]))
  })

  test('slots move while clients are counted: no count is lost, none is made twice, nobody notices', async () => {
    const clients = Array.from({ length: 20 }, (_, i) => ({ id: `mover ${i}`, wider: 'one wider prefix' }))
    const quotas = both('moving')
    const admitted = clients.map(() => 0)
    const ask = async (): Promise<void> => {
      await Promise.all(
        clients.map(async (id, i) => {
          const decision = await storeAt(i).consume(id, quotas, 1)
          if (decision.allowed) admitted[i]!++
        }),
      )
    }
    await ask()
    const keys = (await Promise.all(cluster.nodes.map((node) => node.cli('keys', '*')))).join('\n').split('\n')
    const key = keys.find(
      (each) => /^filmgate:\{[\w-]{22}\}[\w-]{22}$/.test(each) && keys.filter((other) => other.startsWith(each.slice(0, 33))).length > 20,
    )
    assert.ok(key !== undefined)
    for (let round = 0; round < 3; round++) {
      const move = await cluster.beginMove(key)
      await ask()
      await move.moveKeys()
      await ask()
      await move.finish()
      await ask()
    }
    for (let i = 0; i < 20; i++) await ask()
    assert.deepEqual(new Set(admitted), new Set([20]))
    assert.ok(opened.every(({ events }) => events.length === 0))
  })

  test('a node dies: the whole store counts as gone until it is back, and what all nodes had counted still counts', async () => {
    const quotas = quota(30, minute, 'dying')
    const clients = Array.from({ length: 12 }, (_, i) => ({ id: `dying ${i}` }))
    const ask = async (store: number): Promise<number[]> =>
      Promise.all(clients.map(async (id) => ((await storeAt(store).consume(id, quotas, 10)).allowed ? 1 : 0)))
    await ask(0)
    await cluster.nodes[2]!.stop('SIGKILL')
    await eventually(limitMs, 'all have noticed', async () => {
      for (let i = 0; i < 3; i++) await ask(i)
      return opened.every(({ store }) => !store.isUp)
    })
    assert.ok(!(storeAt(0).consume(clients[0]!, quotas, 1) instanceof Promise))
    await cluster.nodes[2]!.start()
    await cluster.healthy()
    await eventually(limitMs, 'all nodes are found again', () => opened.every(({ store }) => store.isUp))
    for (const id of clients) assert.ok((await storeAt(0).peek(id, quotas)).states[0]!.remaining <= 20)
  })
})

describeUnless(servicesMissing('redis'), 'a master of the cluster dies and its replica takes over', () => {
  test('the limiter follows, and what the replica has copied still counts', async () => {
    await using cluster = await startRedisCluster({ replicas: 1 })
    await using opened = await openTestStore(cluster.url, { onFailure: 'local' })
    const { store, events } = opened
    const quotas = quota(30, minute, 'failing over')
    const clients = Array.from({ length: 12 }, (_, i) => ({ id: `client ${i}` }))
    for (const id of clients) await store.consume(id, quotas, 10)
    const [master, , , replica] = cluster.nodes as [RedisServer, RedisServer, RedisServer, RedisServer]
    await eventually(limitMs, 'the replica has a copy', async () => (await replica.cli('dbsize')) === (await master.cli('dbsize')))
    await master.stop('SIGKILL')
    await eventually(limitMs, 'it is noticed', async () => {
      await Promise.all(clients.map(async (id) => store.peek(id, quotas)))
      return !store.isUp
    })
    await cluster.failover(master)
    await eventually(limitMs, 'the new master is found', () => store.isUp)
    for (const id of clients) assert.equal((await store.peek(id, quotas)).states[0]!.remaining, 20)
    assert.deepEqual(new Set(events.map(({ event }) => event)), new Set(['sys_store_failure', 'sys_store_recovered']))
  })
})
