import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, get, type IncomingMessage } from 'node:http'
import { test } from 'node:test'
import { setInterval as paced } from 'node:timers/promises'

import { eventually } from '../support/deadline.ts'
import { limitPlaces } from '../support/limit-places.ts'
import type { TestServer } from '../support/server.ts'
import { describeUnless } from '../support/services.ts'
import { median } from '../support/statistics.ts'
import { startFlood } from './flood.ts'
import { limited } from './hits.ts'

/** The quiet client stays below, the other is at a hundred times as much. */
const toml = `
[limits]
default = "1000000 per day"
total = "100 per second"
`
const requestsPerRound = 40
const pauseMs = 15
const rounds = 5
/** A hundred times what somebody asks who pauses that long, and some more: the flood has to be at it, not to use up the processor. */
const perSecond = 8000
/** The flood, the server and what measures may have to share two processors: what is left is that nobody waits behind the flood. */
const noiseMs = 50

interface Round {
  readonly p99Ms: number
  readonly statuses: ReadonlySet<number>
}

/** One request after the other, as somebody who uses the API does. */
const quietRound = async ({ port }: TestServer, agent: Agent): Promise<Round> => {
  const tookMs: number[] = []
  const statuses = new Set<number>()
  for await (const _ of paced(pauseMs)) {
    const startedMs = performance.now()
    const request = get({ port, host: '127.0.0.1', path: limited, agent, localAddress: '127.0.51.1' })
    const [answer] = (await once(request, 'response')) as [IncomingMessage]
    answer.resume()
    await once(answer, 'end')
    tookMs.push(performance.now() - startedMs)
    statuses.add(answer.statusCode ?? 0)
    if (tookMs.length === requestsPerRound) break
  }
  const sorted = tookMs.toSorted((a, b) => a - b)
  return { p99Ms: sorted[Math.floor(sorted.length * 0.99)] ?? NaN, statuses }
}

for (const place of limitPlaces) {
  describeUnless(place.missing, `limits counted in ${place.name}`, () => {
    test('case 27: a client at 100 times the pace of another: that one is served as before', async (t) => {
      await using at = await place.open()
      const server = await at.start({ toml })
      const agent = new Agent({ keepAlive: true })
      try {
        await quietRound(server, agent)
        const [quiet, flooded]: [Round[], Round[]] = [[], []]
        const times: number[] = []
        // In turn, so that both see the same of what else the machine does.
        for (let i = 0; i < rounds; i++) {
          quiet.push(await quietRound(server, agent))
          const flood = startFlood({ port: server.port, from: '127.0.51.2', target: limited, connections: 16, perSecond })
          try {
            await eventually(10_000, 'the flood comes', () => flood.answered > 1000)
            const before = flood.answered
            flooded.push(await quietRound(server, agent))
            times.push((flood.answered - before) / requestsPerRound)
          } finally {
            await flood.stop()
          }
        }
        const [before, during] = [quiet, flooded].map((all) => median(all.map(({ p99Ms }) => p99Ms))) as [number, number]
        const shown = `p99 ${before.toFixed(1)} ms quiet, ${during.toFixed(1)} ms while another asks ${median(times).toFixed(0)} times as often`
        t.diagnostic(shown)
        for (const { statuses } of [...quiet, ...flooded]) assert.deepEqual([...statuses], [200])
        assert.ok(median(times) >= 100, shown)
        assert.ok(during < 3 * before + noiseMs, shown)
      } finally {
        agent.destroy()
      }
    })
  })
}
