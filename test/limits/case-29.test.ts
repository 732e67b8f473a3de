import assert from 'node:assert/strict'
import { test } from 'node:test'

import { type Answer, ask } from '../support/attack.ts'
import { eventually } from '../support/deadline.ts'
import { limitPlaces } from '../support/limit-places.ts'
import type { TestServer } from '../support/server.ts'
import { describeUnless } from '../support/services.ts'
import { count, limited, onlyLimit, remaining, startHits } from './hits.ts'

const from = '127.0.44.1'
const toml = onlyLimit('10 per hour')
const film = (server: TestServer): Promise<Answer> => ask(server, { target: limited, from })

for (const place of limitPlaces) {
  describeUnless(place.missing, `limits counted in ${place.name}`, () => {
    if (!place.isShared) {
      // What lives in the memory of a process ends with it; docs/rate-limits.md says so, and that Redis is for whoever needs more.
      test('case 29: a restart forgets what was counted', async () => {
        await using at = await place.open()
        const server = await at.start({ toml })
        for (let i = 0; i < 10; i++) await film(server)
        assert.equal((await film(server)).status, 429)
        assert.equal(await server.kill('SIGTERM'), 0)
        const again = await film(await at.start({ toml, dataDir: server.dataDir }))
        assert.deepEqual([again.status, remaining(again, 'hour')], [200, 9])
      })
      return
    }

    for (const signal of ['SIGTERM', 'SIGKILL'] as const)
      test(`case 29: a restart (${signal}) forgets nothing`, async () => {
        await using at = await place.open()
        let server = await at.start({ toml })
        for (let left = 9; left >= 0; left--) {
          if (left % 4 === 0) {
            await server.kill(signal)
            server = await at.start({ toml, dataDir: server.dataDir })
          }
          const answer = await film(server)
          assert.deepEqual([answer.status, remaining(answer, 'hour')], [200, left])
        }
        assert.equal((await film(server)).status, 429)
        await server.kill(signal)
        assert.equal((await film(await at.start({ toml, dataDir: server.dataDir }))).status, 429)
      })

    test('case 29: a rolling deployment under load: one instance after the other is replaced, and L are admitted in all', async () => {
      const limit = 300
      const many = onlyLimit(`${limit} per hour`)
      await using at = await place.open()
      const old = await at.startSeveral(3, { toml: many })
      const fresh: TestServer[] = []
      const hits = []
      for (const server of old) {
        // Those who are asked: the rest of the old and the new; the balancer has taken the one out that is to end.
        const asked = [...old.slice(fresh.length + 1), ...fresh]
        const load = startHits(asked.length === 0 ? old : asked, { from, lanes: 4, pauseMs: 10 })
        await load.answered(20)
        await server.kill('SIGTERM')
        fresh.push(await at.start({ toml: many }))
        await load.answered(20)
        hits.push(...(await load.stop()))
      }
      const rest = startHits(fresh, { from, lanes: 8 })
      await rest.answered(2 * limit)
      hits.push(...(await rest.stop()))
      assert.equal(count(hits, 200), limit)
      assert.equal(count(hits, 429), hits.length - limit)
    })

    test('case 29: a restart of Redis that keeps its file forgets nothing either', async () => {
      await using at = await place.open({ persistent: true })
      const env = { FILMGATE_LIMITS_ON_STORE_FAILURE: 'deny', FILMGATE_LIMITS_STORE_TIMEOUT_MS: '1000' }
      const server = await at.start({ toml, env })
      for (let i = 0; i < 6; i++) assert.equal((await film(server)).status, 200)
      for (const node of at.nodes) await node.stop('SIGTERM')
      await eventually(10_000, 'the failure is noticed', async () => (await film(server)).status === 503)
      await Promise.all(at.nodes.map((node) => node.start()))
      await at.cluster?.healthy()
      let answer = await film(server)
      await eventually(20_000, 'Redis is found again', async () => {
        if (answer.status === 503) answer = await film(server)
        return answer.status !== 503
      })
      assert.deepEqual([answer.status, remaining(answer, 'hour')], [200, 3], '6 before, and this one')
      for (let i = 0; i < 3; i++) assert.equal((await film(server)).status, 200)
      assert.equal((await film(server)).status, 429)
    })
  })
}
