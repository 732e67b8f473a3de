import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { test } from 'node:test'

import { createFilmRepository, type FilmRepository } from '../../src/api/films/repository.ts'
import { systemClock } from '../../src/core/clock.ts'
import { createFilledFolder, databases } from '../support/databases.ts'
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

test(`GET / costs the same among ${few} films and among ${many}`, async (t) => {
  const folders = [await createFilledFolder(few), await createFilledFolder(many)] as const
  try {
    await using small = await startServer({ dataDir: folders[0] })
    await using large = await startServer({ dataDir: folders[1] })
    const agent = new Agent({ keepAlive: true, maxSockets: 8 })
    const get = ({ port }: TestServer): Promise<void> =>
      new Promise((resolve, reject) => {
        const call = request({ host: '127.0.0.1', port, agent }, (answer) => {
          assert.equal(answer.statusCode, 200)
          answer.resume().once('end', resolve)
        })
        call.once('error', reject).end()
      })
    const getMany = async (server: TestServer): Promise<void> => {
      await Promise.all(Array.from({ length: 512 }, () => get(server)))
    }
    await interleave(5, 512, [() => getMany(small), () => getMany(large)])
    const [base, grown] = await interleave(31, 512, [() => getMany(small), () => getMany(large)])
    agent.destroy()
    t.diagnostic(`median ${base.toFixed(1)} µs and ${grown.toFixed(1)} µs a call, ratio ${(grown / base).toFixed(2)}`)
    assert.ok(grown / base <= 1.5, `ratio ${grown / base}`)
  } finally {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true })
  }
})

const pickMany = async ({ picks }: FilmRepository): Promise<void> => {
  for (let i = 0; i < 2560; i++) assert.ok(picks.take() ?? (await picks.next()))
}

for (const kind of databases) {
  /**
   * The query behind it, by itself: larger trees miss the processor's caches more often, so it cannot cost the same, but a hundred times
   * the films must not cost more than a few of those misses. OFFSET, count(*) or ORDER BY random() would take a hundred times as long.
   */
  test(`fetching picks on ${kind.name} grows with the depth of the tree at most`, async (t) => {
    await using small = await kind.openFilled(few)
    await using large = await kind.openFilled(many)
    const repositories = [createFilmRepository(small.database, systemClock), createFilmRepository(large.database, systemClock)] as const
    const [base, grown] = await interleave(61, 2560, [() => pickMany(repositories[0]), () => pickMany(repositories[1])])
    t.diagnostic(`median ${base.toFixed(2)} µs and ${grown.toFixed(2)} µs a pick, ratio ${(grown / base).toFixed(2)}`)
    assert.ok(grown / base <= 4, `ratio ${grown / base}`)
  })
}
