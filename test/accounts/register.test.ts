import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { claimAdmin, goodPassword, logIn, send, tryLogin } from '../support/accounts.ts'
import { type Answer, ask, assertProblem } from '../support/attack.ts'
import { databases } from '../support/databases.ts'
import { assertDescribed, readDocument } from '../support/openapi.ts'
import { raisedLimits, startServer, type TestServer } from '../support/server.ts'

const open = { FILMGATE_AUTH_REGISTRATION: 'open' }

const register = (server: Pick<TestServer, 'port'>, username: string, password = goodPassword, from?: string): Promise<Answer> =>
  send(server, 'POST', '/v1/auth/register', { username, password }, from === undefined ? {} : { from })

test('registration is closed unless the operator opens it, before and after the claim', async () => {
  await using server = await startServer()
  assertProblem(await register(server, 'grace'), { status: 403, code: 'forbidden' })
  await claimAdmin(server)
  assertProblem(await register(server, 'grace'), { status: 403, code: 'forbidden' })
  assertProblem(await register(server, 'ada'), { status: 403, code: 'forbidden' })
  assert.equal((await tryLogin(server, { username: 'grace', password: goodPassword })).status, 401)
})

for (const kind of databases) {
  describe(`open registration on ${kind.name}`, { skip: kind.missing }, () => {
    test('makes a viewer, who logs in next; a name is had once, however many ask for it at the same time', async () => {
      await using place = await kind.place()
      await using server = await startServer({ dataDir: place.dataDir, env: { ...place.env, ...open } })
      const document = await readDocument(server)
      const answer = await register(server, 'grace', goodPassword, '127.0.1.1')
      assert.equal(answer.status, 201)
      assertDescribed(document, 'POST /v1/auth/register', answer)
      const { id, username, role, ...more } = answer.json()
      assert.deepEqual([username, role, more], ['grace', 'viewer', {}])
      const grace = await logIn(server, { username: 'grace', password: goodPassword })
      assert.equal(grace.subject, id)
      const added = await send(server, 'POST', '/add_film', { name: 'Mine' }, { fields: grace.fields })
      assertProblem(added, { status: 403, code: 'forbidden' })
      assertProblem(await ask(server, { target: '/v1/users', fields: grace.fields }), { status: 403, code: 'forbidden' })
      const racers = await Promise.all(Array.from({ length: 10 }, (_, i) => register(server, 'linus', goodPassword, `127.0.2.${i + 1}`)))
      assert.deepEqual(
        racers.map(({ status }) => status).toSorted((a, b) => a - b),
        [201, ...Array<number>(9).fill(409)],
      )
      assertProblem(await register(server, 'grace', goodPassword, '127.0.1.2'), { status: 409, code: 'conflict' })
      assert.deepEqual(await place.query("select action, target from audit where action = 'user.register' order by seq limit 1"), [
        { action: 'user.register', target: id },
      ])
      const admin = await claimAdmin(server)
      assert.equal((await ask(server, { target: '/v1/users', fields: admin.fields })).status, 200, 'who registered first is no admin')
    })
  })
}

test('attack: a role, or anything else, beside the name', async () => {
  await using server = await startServer({ env: open })
  for (const more of [{ role: 'admin' }, { id: 'u'.repeat(21) }, { __proto__x: 1 }, { epoch: 1 }]) {
    const answer = await send(server, 'POST', '/v1/auth/register', { username: 'eve', password: goodPassword, ...more })
    assertProblem(answer, { status: 400, code: 'validation_failed', pointer: `/${Object.keys(more)[0]}` })
  }
})

test('names that the program uses itself, that people would believe, and that look like others', async () => {
  await using server = await startServer({ env: open, toml: `${raisedLimits}"POST /v1/auth/register" = { only = "1000 per hour" }\n` })
  const names = ['starter', 'operator', 'cli', 'system', 's.y.s.t.e.m', 'admin', 'root', 'ad-min', 'security', 'support', 'Filmgate']
  for (const username of [...names, 'Grace', 'gräce', 'gr ace', 'g', 'g'.repeat(65), 'grace\n', '', '@grace', 'gra/ce', 'гrace']) {
    const answer = await register(server, username)
    assertProblem(answer, { status: 400, code: 'validation_failed', pointer: '/username' })
  }
  for (const username of ['gr', 'g'.repeat(64), '0.0_-']) assert.equal((await register(server, username)).status, 201, username)
})

test('attack: who asks for name after name to see which are taken gets five an hour', async () => {
  await using server = await startServer({ env: open, toml: '' })
  const statuses: number[] = []
  for (let i = 0; i < 7; i++) statuses.push((await register(server, `guess-${i % 2}`)).status)
  assert.deepEqual(statuses, [201, 201, 409, 409, 409, 429, 429])
  assert.equal((await register(server, 'guess-2', goodPassword, '127.0.0.2')).status, 201)
})
