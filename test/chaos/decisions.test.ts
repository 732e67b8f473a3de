import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test, type TestContext } from 'node:test'

import { openMasterKey } from '../../src/credentials/master-key.ts'
import { operatorKey } from '../../src/serve/operator.ts'
import { ask } from '../support/attack.ts'
import { databases, postgresPlace } from '../support/databases.ts'
import { eventually } from '../support/deadline.ts'
import { as, assertBanned, behindProxy, decide, lift } from '../support/decide.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { type StartOptions, startServer, type TestServer } from '../support/server.ts'
import { describeUnless, servicesMissing } from '../support/services.ts'

/** The promise is 1 s, and the tests print what it took; a machine that runs other tests has more to do. */
const limitMs = 15_000

const operatorOf = ({ dataDir }: TestServer, secretsKey = '') => ({
  Authorization: `Bearer ${operatorKey(openMasterKey(dataDir, secretsKey), Date.now())}`,
})

const statusOf = async (server: TestServer, client: string): Promise<number> => (await as(server, client)).status

/** Milliseconds until a client is answered with this status. */
const untilStatus = async (server: TestServer, client: string, status: number): Promise<number> => {
  const startMs = performance.now()
  await eventually(limitMs, `${client} gets ${status}`, async () => (await statusOf(server, client)) === status)
  return performance.now() - startMs
}

/** What a scanner does, until a rule has had enough. Resolves with the id of the decision. */
const attack = async (server: TestServer, client: string): Promise<string> => {
  for (let i = 0; i < 3; i++)
    await as(server, client, { target: `/v1/films/${i}`, fields: { 'User-Agent': 'sqlmap/1.8.4#stable (https://sqlmap.org)' } })
  const record = await server.logged(({ event, target }) => event === 'decision_created' && target === client)
  return String(record['decision'])
}

const readDecision = async (server: TestServer, fields: Readonly<Record<string, string>>, id: string): Promise<Shown> =>
  (await ask(server, { target: `/v1/security/decisions/${id}`, fields })).json() as unknown as Shown

for (const kind of databases) {
  describeUnless(kind.missing, `the server with decisions in ${kind.name} ends`, () => {
    test('by SIGKILL, right after a ban was acknowledged: whoever comes first after the restart is banned, and what was lifted is not', async () => {
      await using place = await kind.place()
      const options: StartOptions = { env: { ...place.env, ...behindProxy }, dataDir: place.dataDir }
      let lifted: string
      {
        await using server = await startServer(options)
        const operator = operatorOf(server, place.env['FILMGATE_SECRETS_KEY'])
        lifted = await decide(server, operator, { target: '203.0.113.70' })
        assertBanned(await as(server, '203.0.113.70'))
        assert.equal((await lift(server, operator, lifted)).status, 204)
        await decide(server, operator, { scope: 'range', target: '198.51.100.0/24' })
        await server.kill('SIGKILL')
      }
      await using again = await startServer(options)
      assertBanned(await as(again, '198.51.100.200'))
      assert.equal(await statusOf(again, '203.0.113.70'), 200)
      const operator = operatorOf(again, place.env['FILMGATE_SECRETS_KEY'])
      assert.equal((await readDecision(again, operator, lifted)).lifted_by, 'operator')
    })

    test('by SIGTERM, right after a rule decided: the decision is there after the restart with its evidence, and the next one lasts longer', async () => {
      await using place = await kind.place()
      const options: StartOptions = { env: { ...place.env, ...behindProxy }, dataDir: place.dataDir }
      let first: string
      {
        await using server = await startServer(options)
        first = await attack(server, '203.0.113.80')
        assert.equal(await server.kill('SIGTERM'), 0)
      }
      await using again = await startServer(options)
      assertBanned(await as(again, '203.0.113.80'))
      const operator = operatorOf(again, place.env['FILMGATE_SECRETS_KEY'])
      const shown = await readDecision(again, operator, first)
      assert.equal(shown.rule, 'scanner-agent')
      assert.ok((shown.evidence?.signals.length ?? 0) > 0)
      // Not lifted, for then it would be no offence: over.
      await again.kill('SIGTERM')
      await kind.change(place, `update decision set expires_at = ${Date.now() - 1}`)
      await using third = await startServer(options)
      const second = await attack(third, '203.0.113.80')
      const later = await readDecision(third, operatorOf(third, place.env['FILMGATE_SECRETS_KEY']), second)
      assert.equal(later.offence, 2)
      assert.equal(Math.round(lastsMs(later) / lastsMs(shown)), 2)
    })
  })
}

interface Shown {
  readonly rule: string
  readonly lifted_by: string | null
  readonly offence: number
  readonly created_at: string
  readonly expires_at: string
  /** Where there is no such decision, there is a problem without it. */
  readonly evidence?: { readonly signals: readonly unknown[] }
}

const lastsMs = ({ created_at: from, expires_at: until }: Shown): number => Date.parse(until) - Date.parse(from)

/** What one decides the other enforces, and what one lifts the other does. */
const assertShared = async (
  t: TestContext,
  here: TestServer,
  there: TestServer,
  operator: Readonly<Record<string, string>>,
): Promise<void> => {
  const id = await decide(here, operator, { target: '203.0.113.90' })
  const banned = await untilStatus(there, '203.0.113.90', 429)
  const rule = await attack(there, '203.0.113.91')
  const byRule = await untilStatus(here, '203.0.113.91', 429)
  assert.equal((await lift(there, operator, id)).status, 204)
  assert.equal(await statusOf(there, '203.0.113.90'), 200)
  const freed = await untilStatus(here, '203.0.113.90', 200)
  await eventually(limitMs, 'the evidence is here, too', async () => {
    const { evidence } = await readDecision(here, operator, rule)
    return evidence !== undefined && evidence.signals.length > 0
  })
  t.diagnostic(`enforced by the other after ${banned.toFixed(0)} and ${byRule.toFixed(0)} ms, lifted after ${freed.toFixed(0)} ms`)
}

describeUnless(servicesMissing('postgres'), 'two servers on one PostgreSQL', () => {
  test('share what they decide', async (t) => {
    await using place = await postgresPlace()
    await using here = await startServer({ env: { ...place.env, ...behindProxy } })
    await using there = await startServer({ env: { ...place.env, ...behindProxy } })
    await assertShared(t, here, there, operatorOf(here, place.env['FILMGATE_SECRETS_KEY']))
  })
})

describeUnless(servicesMissing('redis'), 'two servers with a database each and one Redis', () => {
  const key = randomBytes(32).toString('base64url')
  const optionsFor = (redis: RedisServer): StartOptions => ({
    // Longer than it would be in service: the machine of a test is busy.
    env: { ...behindProxy, FILMGATE_SECRETS_KEY: key, FILMGATE_LIMITS_STORE: redis.url, FILMGATE_LIMITS_STORE_TIMEOUT_MS: '500' },
  })

  test('share what they decide; Redis dies, hangs and comes back empty: nobody waits for it, and what was decided meanwhile is shared behind it', async (t) => {
    await using redis = await startRedis()
    const options = optionsFor(redis)
    await using here = await startServer(options)
    await using there = await startServer(options)
    const operator = operatorOf(here, key)
    await assertShared(t, here, there, operator)

    await redis.stop('SIGKILL')
    await here.logged(({ event, store }) => event === 'sys_store_failure' && store === 'redis')
    await decide(here, operator, { target: '203.0.113.92' })
    assertBanned(await as(here, '203.0.113.92'))
    assert.equal(await statusOf(there, '203.0.113.92'), 200)
    await redis.start()
    t.diagnostic(`after an outage: ${(await untilStatus(there, '203.0.113.92', 429)).toFixed(0)} ms`)
    await here.logged(({ event, store }) => event === 'sys_store_recovered' && store === 'redis')

    const failuresBefore = failuresOf(here)
    await redis.pause()
    await eventually(limitMs, 'it is noticed', () => failuresOf(here) > failuresBefore)
    const startMs = performance.now()
    await decide(here, operator, { target: '203.0.113.93' })
    assertBanned(await as(here, '203.0.113.93'))
    for (let i = 0; i < 20; i++) assert.equal(await statusOf(here, '203.0.113.1'), 200)
    // Twenty waits for Redis, twice for each request, would be twenty seconds.
    assert.ok(performance.now() - startMs < 10_000, `${performance.now() - startMs} ms`)
    redis.resume()
    await untilStatus(there, '203.0.113.93', 429)

    // A third one, that knows nothing, hears it all from a Redis that had lost it all.
    await redis.cli('flushall')
    await using third = await startServer(options)
    for (const client of ['203.0.113.91', '203.0.113.92', '203.0.113.93']) await untilStatus(third, client, 429)
    assert.equal(await statusOf(third, '203.0.113.90'), 200)
    for (const server of [here, there, third]) {
      const told = server.log().filter(({ store }) => store === 'redis decisions')
      assert.deepEqual(told, [], 'one outage is told of once')
      assert.equal(await server.kill('SIGTERM'), 0)
    }
  })
})

const failuresOf = (server: TestServer): number =>
  server.log().filter(({ event, store }) => event === 'sys_store_failure' && store === 'redis').length
