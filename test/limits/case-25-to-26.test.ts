import assert from 'node:assert/strict'
import { test } from 'node:test'

import { type Answer, ask } from '../support/attack.ts'
import { eventually } from '../support/deadline.ts'
import { inEachLimitPlace } from '../support/limit-places.ts'
import type { TestServer } from '../support/server.ts'
import { askAtOnce, limited, onlyLimit, remaining, startHits, statuses } from './hits.ts'
import { reloadWith } from './reload.ts'

const observing = (toml: string): string => toml.replace('[limits]', '[limits]\nmode = "observe"')

const refusals = (server: TestServer) => server.log().filter((record) => record['event'] === 'excess_rate_limit_exceeded')

/** What is said of limits; the seconds of a window go on. */
const fieldsOf = (answer: Answer): readonly unknown[] => [
  answer.fields.map(([name]) => name).toSorted(),
  answer.field('ratelimit-policy'),
  answer.field('ratelimit')?.replaceAll(/;t=\d+/g, ''),
]

inEachLimitPlace((at) => {
  test('case 25: observed: nobody is refused, what would have been is told of and counted, the fields are those of an enforced limit', async () => {
    const toml = onlyLimit('3 per hour', '8 per hour')
    const [server, enforcing] = [await at().start({ toml: observing(toml) }), await at().start({ toml })]
    const [from, other] = ['127.0.42.1', '127.0.42.2']
    for (let i = 0; i < 3; i++) {
      const [seen, enforced] = [await ask(server, { target: limited, from }), await ask(enforcing, { target: limited, from: other })]
      assert.deepEqual([seen.status, enforced.status], [200, 200])
      assert.deepEqual(fieldsOf(seen), fieldsOf(enforced))
    }
    const answers = await askAtOnce([server], 7, from)
    assert.deepEqual(statuses(answers), { 200: 7 })
    for (const answer of answers) {
      assert.equal(answer.field('retry-after'), undefined)
      assert.equal(remaining(answer, 'hour'), 0)
      assert.equal(answer.field('ratelimit-policy'), '"hour";q=3;w=3600')
    }

    // 7 beyond the 3 of the route, of which 2 were beyond the 8 in total.
    await eventually(5000, 'all refusals are told of', () => refusals(server).length >= 9)
    assert.deepEqual(
      refusals(server)
        .map((record) => [record['client'], record['policy'], record['violated'], record['observed']].flat().join(' '))
        .toSorted(),
      [...Array<string>(7).fill(`${from} GET /v1/films/:id hour true`), ...Array<string>(2).fill(`${from} total total-hour true`)],
    )

    await reloadWith(server, toml)
    assert.equal((await ask(server, { target: limited, from })).status, 429, 'enforced from now on, with what was counted')
    await reloadWith(server, observing(toml))
    assert.equal((await ask(server, { target: limited, from })).status, 200)
  })

  // A ban with a time of its own does not exist in this release (it is the monitor's), and so neither that it ends on time nor what being hit
  // meanwhile does to it. The nearest to it is the refusal of a limit: it ends when the window says, however often it is hit.
  test('case 26: a refusal is not drawn out by being hit, and ends on time', async () => {
    const windowMs = 2000
    const server = await at().start({ toml: onlyLimit('2 per 2 seconds') })
    const hits = startHits([server], { from: '127.0.43.1', lanes: 1, pauseMs: 2 })
    await eventually(15_000, 'it was let in again, twice', () => statuses(hits.all)[200] === 6)
    const all = await hits.stop()
    const admitted = all.filter(({ status }) => status === 200)
    assert.ok(all.length > 50, `${all.length} hits`)
    for (const [i, next] of admitted.slice(2).entries()) {
      const first = admitted[i]!
      assert.ok(next.endedMs - first.sentMs >= windowMs - 5, 'not before its time')
      assert.ok(next.sentMs - first.endedMs < windowMs + 500, `${next.sentMs - first.endedMs} ms after the one whose place it takes`)
    }
    // Rounded up to whole seconds, and never later than the end of the window.
    for (const { retryAfter, status } of all)
      assert.ok(status === 200 || ['1', '2'].includes(retryAfter ?? ''), `Retry-After: ${retryAfter}`)
  })
})
