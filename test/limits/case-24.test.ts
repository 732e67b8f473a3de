import assert from 'node:assert/strict'
import { test } from 'node:test'

import { type Answer, ask } from '../support/attack.ts'
import { inEachLimitPlace } from '../support/limit-places.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { askAtOnce, count, limited, manyConnections, onlyLimit, remaining, startHits } from './hits.ts'
import { reloadWith } from './reload.ts'

const film = (server: TestServer, from: string): Promise<Answer> => ask(server, { target: limited, from })

/** A refusal, more than once, so that whoever remembers refusals remembers this one. */
const assertRefused = async (server: TestServer, from: string): Promise<void> => {
  for (let i = 0; i < 3; i++) assert.equal((await film(server, from)).status, 429)
}

const assertReloaded = async (server: TestServer, toml: string): Promise<void> => {
  const record = await reloadWith(server, toml)
  assert.deepEqual([record['ok'], record['error']], [true, null])
}

/** What is wrong in a file, and the words that tell of it. */
const wrongFiles: Readonly<Record<string, readonly [toml: string, words: RegExp]>> = {
  'no TOML': ['[limits\n', /filmgate\.toml/],
  'a limit that means nothing': [onlyLimit('five per hour'), /limits\.routes.*five per hour/s],
  'an unknown key': [`${onlyLimit('5 per hour')}\n[log]\nlevl = "info"\n`, /log\.levl.*level/s],
  'a route that does not exist': [onlyLimit('5 per hour').replace('/:id', '/:ident'), /:ident/],
  'a good part before a bad one': [`${onlyLimit('1000 per hour')}\n[throttle.routes]\n"GET /" = { pace = "quick" }\n`, /throttle\.routes/],
}

inEachLimitPlace((at, place) => {
  test('case 24: up, down and up while it runs: from the next request on, and what was counted stays counted', async () => {
    const server = await at().start({ toml: onlyLimit('3 per hour') })
    const from = '127.0.37.1'
    for (let left = 2; left >= 0; left--) assert.equal(remaining(await film(server, from), 'hour'), left)
    await assertRefused(server, from)

    await assertReloaded(server, onlyLimit('5 per hour'))
    const raised = await film(server, from)
    assert.deepEqual([raised.status, remaining(raised, 'hour')], [200, 1], 'a refusal that was remembered is lifted')
    assert.match(raised.field('ratelimit-policy') ?? '', /^"hour";q=5;w=3600$/)
    assert.equal((await film(server, from)).status, 200)
    await assertRefused(server, from)

    await assertReloaded(server, onlyLimit('4 per hour'))
    await assertRefused(server, from)
    assert.equal(remaining(await film(server, '127.0.37.2'), 'hour'), 3, 'somebody else')

    await assertReloaded(server, onlyLimit('7 per hour; 6 per day'))
    const raisedAgain = await film(server, from)
    assert.equal(raisedAgain.status, 200)
    assert.equal(remaining(raisedAgain, 'hour'), 1, '5 were counted, and this one')
  })

  test('case 24: read again and again under load: as many are admitted as ever', async () => {
    const limit = 50
    const server = await at().start({ toml: onlyLimit(`${limit} per hour`), env: manyConnections })
    const from = '127.0.38.1'
    const hits = startHits([server], { from, lanes: 4, pauseMs: 5 })
    for (let i = 0; i < 10; i++) {
      await assertReloaded(server, onlyLimit(i % 2 === 0 ? `${limit} per hour; 100 per day` : `${limit} per hour`))
      await hits.answered(5)
    }
    const all = [...(await hits.stop()), ...(await askAtOnce([server], 2 * limit, from))]
    assert.equal(count(all, 200), limit)
    assert.equal(count(all, 429), all.length - limit)
  })

  test('case 24: a file that is wrong changes nothing, and is told of', async () => {
    const server = await at().start({ toml: onlyLimit('4 per hour') })
    const from = '127.0.39.1'
    for (let i = 0; i < 4; i++) await film(server, from)
    for (const [what, [toml, words]] of Object.entries(wrongFiles)) {
      const record = await reloadWith(server, toml)
      assert.equal(record['ok'], false, what)
      assert.match(String(record['error']), words, what)
      const refused = await film(server, from)
      assert.equal(refused.status, 429, what)
      assert.equal(refused.field('ratelimit-policy'), '"hour";q=4;w=3600', what)
    }
    assert.equal(server.stderr().match(/^Nothing has changed\.$/gm)?.length, Object.keys(wrongFiles).length)
    await assertReloaded(server, onlyLimit('5 per hour'))
    assert.equal((await film(server, from)).status, 200)
  })

  if (place.isShared) {
    test('case 24: each instance reads its own file: one that was not told keeps its limit, and both count together', async () => {
      const servers = await at().startSeveral(2, { toml: onlyLimit('3 per hour') })
      const [told, other] = servers as readonly [TestServer, TestServer]
      const from = '127.0.40.1'
      for (let i = 0; i < 3; i++) assert.equal((await film(servers[i % 2]!, from)).status, 200)
      for (const server of servers) await assertRefused(server, from)
      await assertReloaded(told, onlyLimit('5 per hour'))
      assert.equal((await film(told, from)).status, 200)
      await assertRefused(other, from)
      assert.equal(remaining(await film(told, from), 'hour'), 0)
      await assertRefused(told, from)
    })
  }
})

test('case 24: throttling and concurrency too, and what only a restart can change is told of', async () => {
  const plain = '[limits]\ntotal = "1000000 per hour"\ndefault = "1000000 per hour"\n'
  await using server = await startServer({ toml: plain })
  const from = '127.0.41.1'
  const paced = `${plain}[throttle.routes]\n"GET /v1/films/:id" = { pace = "1 per minute", max_wait_ms = 1 }\n`
  assert.deepEqual([(await film(server, from)).status, (await film(server, from)).status], [200, 200])
  await assertReloaded(server, paced)
  assert.deepEqual([(await film(server, from)).status, (await film(server, from)).status], [200, 429])
  await assertReloaded(server, plain.replace('\n', '\nstore_timeout_ms = 77\n'))
  assert.equal((await film(server, from)).status, 200)
  assert.match(server.stderr(), /limits\.store_timeout_ms has changed, but only a restart can apply that/)
})
