import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ask, assertProblem } from '../support/attack.ts'
import { eventually } from '../support/deadline.ts'
import { inEachLimitPlace } from '../support/limit-places.ts'
import { askAtOnce, assertNeverAbove, count, limited, manyConnections, onlyLimit, remaining, startHits, statuses, untilMs } from './hits.ts'

inEachLimitPlace((at, place) => {
  test('case 1: one after the other: L are served, then 429; what is left falls from L - 1 to 0', async () => {
    const server = await at().start({ toml: onlyLimit('7 per hour') })
    const from = '127.0.20.1'
    for (let left = 6; left >= 0; left--) {
      const answer = await ask(server, { target: limited, from })
      assert.equal(answer.status, 200)
      assert.equal(remaining(answer, 'hour'), left)
    }
    const refused = await ask(server, { target: limited, from })
    assertProblem(refused, { status: 429, code: 'quota_exceeded' })
    assert.deepEqual(refused.json()['violated-policies'], ['hour'])
    assert.equal(remaining(refused, 'hour'), 0)
    assert.equal((await ask(server, { target: limited, from: '127.0.20.2' })).status, 200, 'another client')
  })

  // 300 is counted by sixtieths of the window, 20 by the moment.
  for (const limit of [20, 300]) {
    test(`case 2: 20 L = ${20 * limit} at once: exactly L are admitted`, async () => {
      const server = await at().start({ toml: onlyLimit(`${limit} per hour`), env: manyConnections })
      const from = `127.0.21.${limit % 256}`
      const answers = await askAtOnce([server], 20 * limit, from)
      assert.deepEqual(statuses(answers), { 200: limit, 429: 19 * limit })
    })
  }

  const windowMs = 2000
  for (const limit of [10, 300]) {
    test(`case 3: border: ${limit} at the end of a window, then as many as can be: never more than L in any W`, async () => {
      const server = await at().start({ toml: onlyLimit(`${limit} per 2 seconds`), env: manyConnections })

      // A window that begins with the first request, and one that begins with an even second.
      const lastOf: Readonly<Record<string, () => number>> = {
        '127.0.22.1': () => performance.now() + windowMs - 300,
        '127.0.22.2': () => performance.now() + windowMs - (Date.now() % windowMs) - 150,
      }
      const attack = async (from: string, endMs: number): Promise<void> => {
        const first = startHits([server], { from, lanes: 1 })
        await first.answered(1)
        // By now some more may have been answered; they count like all.
        const early = await first.stop()
        await untilMs(endMs)
        const greedy = startHits([server], { from, pauseMs: 2 })
        await untilMs(endMs + windowMs + 500)
        const hits = [...early, ...(await greedy.stop())]
        assert.equal(count(hits, 200) + count(hits, 429), hits.length)
        assertNeverAbove(hits, limit, windowMs)
        assert.ok(count(hits, 200) > limit, 'after a window there is more')
      }
      await Promise.all(Object.entries(lastOf).map(([from, end]) => attack(from, end())))
    })
  }

  test('case 4: two windows, all or nothing: refusals of the short one take nothing from the long one', async () => {
    const server = await at().start({ toml: onlyLimit('5 per 3 seconds; 8 per hour'), env: manyConnections })
    const from = '127.0.23.1'
    const first = await askAtOnce([server], 5, from)
    assert.deepEqual(statuses(first), { 200: 5 })
    const hammered = await askAtOnce([server], 100, from)
    assert.deepEqual(statuses(hammered), { 429: 100 })
    for (const answer of hammered) assert.deepEqual(answer.json()['violated-policies'], ['3-seconds'])
    let passed = 0
    let refused = hammered[0]!
    await eventually(10_000, 'the hour refuses', async () => {
      const answer = await ask(server, { target: limited, from })
      if (answer.status === 200) passed++
      else refused = answer
      return refused.json()['violated-policies']?.toString() === 'hour'
    })
    assert.equal(passed, 3)
    assert.ok(Number(refused.field('retry-after')) > 3500)
  })

  // Where each instance counts for itself there is no common limit.
  if (place.isShared) {
    for (const limit of [20, 300]) {
      test(`case 5: four instances asked in turn, 20 L = ${20 * limit} at once: exactly L are admitted in all`, async () => {
        const servers = await at().startSeveral(4, { toml: onlyLimit(`${limit} per hour`), env: manyConnections })
        const from = `127.0.24.${limit % 256}`
        const answers = await askAtOnce(servers, 20 * limit, from)
        assert.deepEqual(statuses(answers), { 200: limit, 429: 19 * limit })
        const next = await Promise.all(servers.map((server) => ask(server, { target: limited, from })))
        assert.deepEqual(statuses(next), { 429: 4 })
      })
    }

    test('case 5: one after the other, what is left falls by one whichever instance is asked', async () => {
      const servers = await at().startSeveral(4, { toml: onlyLimit('12 per hour') })
      for (let turn = 0; turn < 12; turn++) {
        const answer = await ask(servers[turn % 4]!, { target: limited, from: '127.0.24.1' })
        assert.equal(remaining(answer, 'hour'), 11 - turn)
      }
      for (const server of servers) assert.equal((await ask(server, { target: limited, from: '127.0.24.1' })).status, 429)
    })
  }
})
