import assert from 'node:assert/strict'
import { test } from 'node:test'

import { createCluster } from 'redis'

import { type RedisCluster, startRedisCluster } from './redis-cluster.ts'
import { describeUnless, servicesMissing } from './services.ts'

interface Client extends AsyncDisposable {
  incr(key: string): Promise<number>
}

const connect = async ({ url }: RedisCluster, password?: string): Promise<Client> => {
  const client = createCluster({ rootNodes: [{ url }], defaults: { ...(password !== undefined && { password }) } }).on('error', () => {})
  await client.connect()
  return { incr: (key) => client.incr(key), [Symbol.asyncDispose]: async () => client.destroy() }
}

describeUnless(servicesMissing('redis'), 'a private Redis cluster', () => {
  test('moves a slot under a client that counts in it', async () => {
    await using cluster = await startRedisCluster({ password: 'secret' })
    await using client = await connect(cluster, 'secret')
    for (const key of ['{a}1', '{b}1', '{c}1', '{d}1']) assert.equal(await client.incr(key), 1)
    const owner = await cluster.ownerOf('{a}')
    const move = await cluster.beginMove('{a}')
    assert.equal(move.from, owner)
    assert.notEqual(move.to, owner)
    await assert.rejects(owner.cli('incr', '{a}2'), new RegExp(`ASK ${move.slot} 127.0.0.1:${move.to.port}`))
    assert.equal(await client.incr('{a}1'), 2)
    assert.equal(await client.incr('{a}2'), 1)
    await move.moveKeys()
    await assert.rejects(owner.cli('get', '{a}1'), /ASK/)
    assert.equal(await client.incr('{a}1'), 3)
    await move.finish()
    assert.equal(await cluster.ownerOf('{a}'), move.to)
    for (const node of cluster.nodes.filter((one) => one !== move.to)) {
      await assert.rejects(node.cli('get', '{a}1'), new RegExp(`MOVED ${move.slot} 127.0.0.1:${move.to.port}`))
    }
    assert.equal(await client.incr('{a}1'), 4)
    const back = await cluster.moveKeySlot('{a}', owner)
    assert.equal(back.to, owner)
    assert.equal(await owner.cli('get', '{a}1'), '4')
    assert.equal(await client.incr('{a}1'), 5)
  })

  test('lets a replica take over, from a master that answers, one that stands still and one that is gone', async () => {
    await using cluster = await startRedisCluster({ replicas: 1 })
    await using client = await connect(cluster)
    const keys = await Promise.all(
      cluster.nodes.slice(0, 3).map(async (node) => {
        for (let n = 0; ; n++) if ((await cluster.ownerOf(`k${n}`)) === node) return `k${n}`
      }),
    )
    for (const [index, key] of keys.entries()) {
      const [master, replica] = [cluster.nodes[index]!, cluster.nodes[index + 3]!]
      await client.incr(key)
      assert.equal(await master.cli('wait', '1', '5000'), '1')
      if (index === 1) await master.pause()
      if (index === 2) await master.stop('SIGKILL')
      assert.equal(await cluster.failover(master), replica)
      assert.equal(await cluster.ownerOf(key), replica)
      assert.equal(await replica.cli('incr', key), '2')
      master.resume()
    }
    await cluster.nodes[2]!.start()
    await cluster.healthy()
  })

  test('has its slots and its counts again after every node was killed', async () => {
    await using cluster = await startRedisCluster({ persistent: true })
    const owner = await cluster.ownerOf('n')
    assert.equal(await owner.cli('incr', 'n'), '1')
    await Promise.all(cluster.nodes.map((node) => node.stop('SIGKILL')))
    await Promise.all(cluster.nodes.map((node) => node.start()))
    await cluster.healthy()
    assert.equal(await owner.cli('incr', 'n'), '2')
  })
})
