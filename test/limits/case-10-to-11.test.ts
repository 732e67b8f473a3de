import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { type Answer, ask, assertLogged } from '../support/attack.ts'
import { openClock } from '../support/clock-file.ts'
import { eventually } from '../support/deadline.ts'
import { limitPlaces, type OpenLimitPlace } from '../support/limit-places.ts'
import type { TestServer } from '../support/server.ts'
import { describeUnless, servicesMissing } from '../support/services.ts'
import { askAtOnce, limited, manyConnections, onlyLimit, remaining, statuses, untilMs } from './hits.ts'

const hourMs = 3_600_000
const windowMs = 2000
/** What a machine that does other things too may add. */
const graceMs = 1000
/** So long a refusal is repeated without asking Redis, which hence learns of the jump that much later. */
const repeatedMs = 1000

const askFrom = (server: TestServer, from: string): Promise<Answer> => ask(server, { target: limited, from })

/** By the line in the log. */
const assertTold = async (server: TestServer, answer: Answer, aheadMs: number): Promise<void> => {
  const toldMs = Date.parse(String((await assertLogged(server, answer, 'ok'))['time']))
  assert.ok(Math.abs(toldMs - Date.now() - aheadMs) < hourMs / 2, `${new Date(toldMs).toISOString()}, not ahead by ${aheadMs} ms`)
}

for (const place of limitPlaces) {
  describeUnless(place.missing || servicesMissing('faketime'), `limits counted in ${place.name}, while clocks jump`, () => {
    let at: OpenLimitPlace
    before(async () => {
      at = await place.open({ clock: true })
    })
    after(() => at[Symbol.asyncDispose]())

    test('case 10: the clock of one instance is set an hour forward and back: admissions are unchanged', async () => {
      using clock = openClock()
      const toml = onlyLimit('20 per hour')
      const jumping = await at.start({ toml, env: clock.env })
      const servers = [jumping, ...(place.isShared ? await at.startSeveral(2, { toml }) : [])]
      const from = '127.0.41.1'
      // Four and three instances: each jump meets each.
      const jumps = [0, 1, -1, 1]
      for (let turn = 0; turn < 18; turn++) {
        const hours = jumps[turn % jumps.length]!
        clock.setOffset(hours * hourMs)
        const server = servers[turn % servers.length]!
        const answer = await askFrom(server, from)
        // Before the next jump: the line is written when the answer has gone.
        await assertTold(server, answer, server === jumping ? hours * hourMs : 0)
        assert.equal(remaining(answer, 'hour'), 19 - turn)
      }
      for (const hours of jumps) {
        clock.setOffset(hours * hourMs)
        await askFrom(jumping, from)
      }
      for (const server of servers) assert.equal((await askFrom(server, from)).status, 429)
    })

    test('case 10: the clock of one instance is an hour off: its clients wait for the window and no longer', async () => {
      using clock = openClock()
      const jumping = await at.start({ toml: onlyLimit('3 per 2 seconds'), env: clock.env })
      for (const [i, hours] of [1, -1, 0].entries()) {
        const from = `127.0.41.${10 + i}`
        const startedMs = performance.now()
        assert.deepEqual(statuses(await askAtOnce([jumping], 10, from)), { 200: 3, 429: 7 })
        clock.setOffset(hours * hourMs)
        await eventually(windowMs + graceMs, 'it is served again', async () => (await askFrom(jumping, from)).status === 200)
        assert.ok(performance.now() - startedMs >= windowMs, 'before its time')
      }
    })

    // The embedded store has no other clock than that of its process.
    if (!place.isShared) return

    test('case 10: the clock of the store is set back by an hour: nobody is blocked for longer than the window from when it is next asked', async () => {
      const server = await at.start({ toml: onlyLimit('3 per 2 seconds') })
      const from = '127.0.41.3'
      for (const hours of [0, -1, -2]) {
        for (const node of at.nodes) node.setClockOffset(hours * hourMs)
        const answers = await askAtOnce([server], 10, from)
        const refused = answers.find(({ status }) => status === 429)
        assert.ok(refused !== undefined && Number(refused.field('retry-after')) <= 2)
        for (const node of at.nodes) node.setClockOffset((hours - 1) * hourMs)
        const startedMs = performance.now()
        await eventually(10_000, 'it is served again', async () => (await askFrom(server, from)).status === 200)
        const blockedMs = performance.now() - startedMs
        assert.ok(blockedMs <= windowMs + repeatedMs + graceMs, `blocked for ${blockedMs} ms`)
      }
    })
  })

  describeUnless(place.missing, `Retry-After of limits counted in ${place.name}`, () => {
    let at: OpenLimitPlace
    before(async () => {
      at = await place.open()
    })
    after(() => at[Symbol.asyncDispose]())

    for (const limit of [1, 20, 300]) {
      test(`case 11: ${limit} per 3 seconds: who keeps to Retry-After is served next, a second earlier is too early`, async () => {
        const server = await at.start({ toml: onlyLimit(`${limit} per 3 seconds`), env: manyConnections })
        const from = `127.0.42.${limit % 256}`
        const answers = await askAtOnce([server], limit, from)
        assert.deepEqual(statuses(answers), { 200: limit })
        const refused = await askFrom(server, from)
        const toldMs = performance.now()
        const seconds = Number(refused.field('retry-after'))
        assert.equal(refused.status, 429)
        assert.ok(Number.isInteger(seconds) && seconds >= 2 && seconds <= 3, `${seconds} seconds`)
        await untilMs(toldMs + (seconds - 1) * 1000)
        const early = await askFrom(server, from)
        assert.equal(early.status, 429)
        assert.equal(early.field('retry-after'), '1')
        await untilMs(toldMs + seconds * 1000)
        assert.equal((await askFrom(server, from)).status, 200)
      })
    }
  })
}
