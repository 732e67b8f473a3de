import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

import { createMemoryStore, type Identity, parseLimits, type Quota } from '../../src/layers/index.ts'
import { ask, exchange } from '../support/attack.ts'
import { createManualClock } from '../support/manual-clock.ts'
import { type Random, seededRandom } from '../support/random.ts'
import { startServer } from '../support/server.ts'
import { median } from '../support/statistics.ts'
import { limited, manyConnections, onlyLimit, remaining, statuses } from './hits.ts'

// Only the embedded store has a bound of its own; that of Redis is maxmemory, and a server that would evict counts is warned of at the start.

const group = (random: Random): string => random.below(65_536).toString(16)

/** Any of 2^48 clients: what an attacker with many networks comes from. */
const randomClient = (random: Random): Identity => {
  const network = `2a02:${group(random)}:${group(random)}`
  return { id: `${network}:${group(random)}::/64`, wider: `${network}::/48` }
}

const p99 = (values: Float64Array): number => values.toSorted()[Math.floor(values.length * 0.99)]!

/** The README's goal for a million clients, with three requests each. */
const mostBytes = 300e6

test('case 21: 1,000,000 random keys: memory within the bound, decisions as fast as before, and who was exhausted stays so', (t) => {
  const random = seededRandom(t)
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  const before = process.memoryUsage().rss
  const clock = createManualClock()
  const store = createMemoryStore({ clock, maxTrackedClients: 1_000_000 })
  const quotas: readonly Quota[] = [
    { scope: 'total', windows: parseLimits('20 per second; 3000 per hour') },
    { scope: 'route GET /', windows: parseLimits('1 per second; 50 per hour; 200 per day') },
  ]
  const victim = { id: '2001:db8::/64', wider: '2001:db8::/48' }
  for (let i = 0; i < 50; i++) {
    clock.advance(1000)
    assert.ok(store.consume(victim, quotas, 1).allowed)
  }
  assert.ok(!store.consume(victim, quotas, 1).allowed)

  const [blocks, blockSize] = [50, 20_000]
  const p99s = Array.from({ length: blocks }, () => {
    const tookNs = new Float64Array(blockSize)
    for (let i = 0; i < blockSize; i++) {
      const client = randomClient(random)
      clock.advance(0.001)
      const askedNs = process.hrtime.bigint()
      const { allowed } = store.consume(client, quotas, 1)
      tookNs[i] = Number(process.hrtime.bigint() - askedNs)
      if (!allowed) assert.fail(`${client.id} was refused`)
    }
    assert.ok(!store.consume(victim, quotas, 1).allowed, 'the exhausted client got a second quota')
    return p99(tookNs)
  })
  collect()
  const grownBytes = process.memoryUsage().rss - before
  // The first blocks are those in which the code is compiled; single blocks are those in which the machine did something else.
  const [early, late] = [median(p99s.slice(5, 20)), median(p99s.slice(-15))]
  t.diagnostic(
    `rss +${(grownBytes / 1e6).toFixed(0)} MB; p99 of a decision ${(early / 1000).toFixed(1)} µs early, ${(late / 1000).toFixed(1)} µs late`,
  )
  assert.ok(grownBytes < mostBytes, `rss grew by ${grownBytes} bytes`)
  assert.ok(late < 2 * early, `p99 went from ${early} to ${late} ns`)
  assert.equal(store.overflowed, 0)
  assert.equal(store.peek(victim, quotas).states[3]?.remaining, 0)
})

test('case 21: a real server with room for 1000 clients, 20,000 random ones: it does not grow, and who was exhausted stays so', async (t) => {
  const random = seededRandom(t)
  const trusted = { FILMGATE_SERVER_TRUSTED_PROXIES: '127.0.0.1/32', FILMGATE_LIMITS_MAX_TRACKED_CLIENTS: '1000' }
  await using server = await startServer({ toml: onlyLimit('2 per hour'), env: { ...manyConnections, ...trusted } })
  const askAs = (client: string) => ask(server, { target: limited, fields: { 'X-Forwarded-For': client } })
  const victim = '2001:db8::1'
  assert.deepEqual([(await askAs(victim)).status, (await askAs(victim)).status, (await askAs(victim)).status], [200, 200, 429])

  const flood = async (): Promise<Readonly<Record<number, number>>> => {
    const pipelines = Array.from({ length: 50 }, () =>
      Array.from({ length: 100 }, () => {
        const client = randomClient(random).id.replace('/64', '1')
        return `GET ${limited} HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: ${client}\r\n\r\n`
      }).join(''),
    )
    const exchanged = await Promise.all(pipelines.map((bytes) => exchange(server.port, bytes, { answers: 100, timeoutMs: 20_000 })))
    return statuses(exchanged.flatMap(({ answers }) => answers))
  }
  const rssBytes = (): number => Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${server.process.pid}/status`, 'utf8'))?.[1]) * 1024
  let seen: Readonly<Record<number, number>> = {}
  for (let i = 0; i < 2; i++) seen = await flood()
  const warmBytes = rssBytes()
  for (let i = 0; i < 2; i++) seen = await flood()
  t.diagnostic(`rss +${((rssBytes() - warmBytes) / 1e6).toFixed(1)} MB`)
  assert.ok(rssBytes() - warmBytes < 64e6)

  assert.ok((seen[429] ?? 0) > 0, 'newcomers without room are counted together')
  const again = await askAs(victim)
  assert.deepEqual([again.status, remaining(again, 'hour')], [429, 0])
})
