import assert from 'node:assert/strict'
import { Agent, request } from 'node:http'
import { test } from 'node:test'

import { createFilmRepository, type FilmRepository } from '../../src/api/films/repository.ts'
import { systemClock } from '../../src/core/clock.ts'
import { databases, openAt } from '../support/databases.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { median } from '../support/statistics.ts'

const few = 10_000
const many = 1_000_000

/** Runs both in turn, so that whatever else the machine does meets both; microseconds for one of `count`. */
const interleave = async (
  rounds: number,
  count: number,
  runs: readonly [() => Promise<void>, () => Promise<void>],
): Promise<[number, number]> => {
  const times: [number[], number[]] = [[], []]
  for (let round = 0; round < rounds; round++) {
    for (const index of [0, 1] as const) {
      const startedMs = performance.now()
      await runs[index]()
      times[index].push(((performance.now() - startedMs) * 1000) / count)
    }
  }
  return [median(times[0]), median(times[1])]
}

const pickMany = async ({ picks }: FilmRepository): Promise<void> => {
  for (let i = 0; i < 2560; i++) assert.ok(picks.take() ?? (await picks.next()))
}

const openAgent = (): Disposable & { readonly agent: Agent } => {
  const agent = new Agent({ keepAlive: true, maxSockets: 8 })
  return { agent, [Symbol.dispose]: () => agent.destroy() }
}

const get = ({ port }: TestServer, agent: Agent): Promise<void> =>
  new Promise((resolve, reject) => {
    const call = request({ host: '127.0.0.1', port, agent }, (answer) => {
      assert.equal(answer.statusCode, 200)
      answer.resume().once('end', resolve)
    })
    call.once('error', reject).end()
  })

for (const kind of databases) {
  test(`random films on ${kind.name} among ${few} and among ${many}`, { skip: kind.missing }, async (t) => {
    await using smallPlace = await kind.filledPlace(few)
    await using largePlace = await kind.filledPlace(many)

    await t.test('GET / costs the same', async (sub) => {
      await using small = await startServer(smallPlace)
      await using large = await startServer(largePlace)
      using http = openAgent()
      const getMany = async (server: TestServer): Promise<void> => {
        await Promise.all(Array.from({ length: 512 }, () => get(server, http.agent)))
      }
      await interleave(5, 512, [() => getMany(small), () => getMany(large)])
      const [base, grown] = await interleave(31, 512, [() => getMany(small), () => getMany(large)])
      sub.diagnostic(`median ${base.toFixed(1)} µs and ${grown.toFixed(1)} µs a call, ratio ${(grown / base).toFixed(2)}`)
      assert.ok(grown / base <= 1.5, `ratio ${grown / base}`)
    })

    /**
     * The query behind it, by itself: larger trees miss the processor's caches more often, so it cannot cost the same, but a hundred times
     * the films must not cost more than a few of those misses. OFFSET, count(*) or ORDER BY random() would take a hundred times as long.
     */
    await t.test('fetching picks grows with the depth of the tree at most', async (sub) => {
      await using small = await openAt(smallPlace)
      await using large = await openAt(largePlace)
      const repositories = [createFilmRepository(small.database, systemClock), createFilmRepository(large.database, systemClock)] as const
      const [base, grown] = await interleave(61, 2560, [() => pickMany(repositories[0]), () => pickMany(repositories[1])])
      sub.diagnostic(`median ${base.toFixed(2)} µs and ${grown.toFixed(2)} µs a pick, ratio ${(grown / base).toFixed(2)}`)
      assert.ok(grown / base <= 4, `ratio ${grown / base}`)
    })
  })
}
