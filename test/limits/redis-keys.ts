import assert from 'node:assert/strict'

import { ask } from '../support/attack.ts'
import { eventually } from '../support/deadline.ts'
import type { OpenLimitPlace } from '../support/limit-places.ts'
import type { RedisServer } from '../support/redis.ts'
import type { TestServer } from '../support/server.ts'
import { limited } from './hits.ts'

const clientKeys = async ({ nodes }: OpenLimitPlace): Promise<Set<string>> => {
  const listed = await Promise.all(nodes.map((node) => node.cli('keys', 'filmgate:{*')))
  return new Set(listed.join('\n').split('\n'))
}

const ownerOf = async ({ nodes, cluster }: OpenLimitPlace, key: string): Promise<RedisServer> => (await cluster?.ownerOf(key)) ?? nodes[0]!

/** Asks once for a client that never asked; resolves with the key that it is counted under. The name of a key tells nobody whose it is. */
export const firstAsk = async (at: OpenLimitPlace, server: TestServer, from: string): Promise<{ key: string; node: RedisServer }> => {
  const before = await clientKeys(at)
  assert.equal((await ask(server, { target: limited, from })).status, 200)
  const [key, ...others] = (await clientKeys(at)).difference(before)
  assert.ok(key !== undefined && others.length === 0)
  return { key, node: await ownerOf(at, key) }
}

/** Resolves when every instance has heard how many there are: with the second time that all have said that they are there. */
export const knowEachOther = async (at: OpenLimitPlace, instances: number): Promise<void> => {
  const key = 'filmgate:instances'
  const node = await ownerOf(at, key)
  const look = async (): Promise<string[]> => (await node.cli('zrange', key, '0', '-1', 'withscores')).split('\n')
  const said = new Set<string>()
  // Each member is followed by a moment, another one each time.
  await eventually(10_000, `${instances} instances know each other`, async () => {
    const lines = await look()
    if (lines.length === 2 * instances) for (let i = 0; i < lines.length; i += 2) said.add(`${lines[i]} ${lines[i + 1]}`)
    return said.size >= 3 * instances
  })
}
