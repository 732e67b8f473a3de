import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { type Answer, ask } from '../support/attack.ts'
import { limitPlaces, type OpenLimitPlace } from '../support/limit-places.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { describeUnless } from '../support/services.ts'
import { limited, remaining, statuses } from './hits.ts'
import { reloadWith } from './reload.ts'

const tomlOf = (keys: string, more = ''): string => `
[limits]
authenticated = "10 per hour"
total = "1000000 per hour"
[limits.keys]
${keys}
${more}`

const idOf = (server: TestServer): string => server.key().split('_')[1]!

const asKey = (server: TestServer, target = limited): Promise<Answer> =>
  ask(server, { target, from: '127.0.50.1', fields: { Authorization: `Bearer ${server.key()}` } })

const several = async (server: TestServer, requests: number): Promise<Answer[]> => {
  const answers: Answer[] = []
  for (let i = 0; i < requests; i++) answers.push(await asKey(server))
  return answers
}

const left = (answer: Answer, policies: readonly string[]): number[] => policies.map((policy) => remaining(answer, policy))

for (const place of limitPlaces) {
  describeUnless(place.missing, `limits of API keys, counted in ${place.name}`, () => {
    let at: OpenLimitPlace
    before(async () => {
      at = await place.open()
    })
    after(() => at[Symbol.asyncDispose]())

    test('a key is narrowed, counted alone, freed and again as all, while it runs; nothing that was counted is forgotten', async () => {
      const server = await at.start({ toml: tomlOf('') })
      const id = idOf(server)
      assert.deepEqual(left((await several(server, 2))[1]!, ['hour']), [8])

      await reloadWith(server, tomlOf(`${id} = "3 per minute"`))
      const narrowed = await several(server, 4)
      assert.deepEqual(statuses(narrowed), { 200: 3, 429: 1 })
      assert.deepEqual(narrowed[3]!.json()['violated-policies'], ['key-minute'])
      assert.deepEqual(left(narrowed[3]!, ['hour', 'key-minute']), [5, 0], 'what the key is refused takes nothing from its subject')

      await reloadWith(server, tomlOf(`${id} = { only = "20 per hour" }`))
      const alone = await several(server, 4)
      assert.deepEqual(statuses(alone), { 200: 4 })
      // The three from when it was narrowed were of this key too.
      assert.equal(alone[3]!.field('ratelimit-policy'), '"key-hour";q=20;w=3600')
      assert.deepEqual(left(alone[3]!, ['key-hour']), [20 - 3 - 4])

      await reloadWith(server, tomlOf(`${id} = "exempt"`))
      assert.deepEqual(statuses(await several(server, 30)), { 200: 30 })

      await reloadWith(server, tomlOf(''))
      const again = await several(server, 6)
      assert.deepEqual(statuses(again), { 200: 5, 429: 1 })
      assert.deepEqual(again[5]!.json()['violated-policies'], ['hour'])
    })

    test("rules of somebody else's key change nothing", async () => {
      await using own = await place.open()
      const server = await own.start({ toml: tomlOf('000000000000 = "exempt"\naaaaaaaaaaaa = "1 per day"') })
      const answers = await several(server, 11)
      assert.deepEqual(statuses(answers), { 200: 10, 429: 1 })
      assert.equal(answers[0]!.field('ratelimit-policy'), '"hour";q=10;w=3600')
    })
  })
}

test('an exempt key does not wait where others are throttled', async () => {
  const paced = '[throttle.routes]\n"GET /v1/films/:id" = { pace = "1 per minute", max_wait_ms = 1 }\n'
  await using server = await startServer({ toml: tomlOf('', paced) })
  assert.deepEqual(statuses(await several(server, 2)), { 200: 1, 429: 1 })
  await reloadWith(server, tomlOf(`${idOf(server)} = "exempt"`, paced))
  assert.deepEqual(statuses(await several(server, 20)), { 200: 20 })
})

test('a whole key in the file is refused, and not repeated', async () => {
  await using server = await startServer({ toml: tomlOf('') })
  const record = await reloadWith(server, tomlOf(`${server.key()} = "exempt"`))
  assert.equal(record['ok'], false)
  assert.match(String(record['error']), /revoke it/)
  const secret = server.key().split('_')[2]!
  assert.ok(!server.stderr().includes(secret) && !JSON.stringify(server.log()).includes(secret), 'the secret is repeated')
})
