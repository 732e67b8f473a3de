import assert from 'node:assert/strict'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'

import { bearer, claimAdmin, claimCode, goodPassword, loggedIn, send, tryLogin } from '../support/accounts.ts'
import { type Answer, ask, assertProblem } from '../support/attack.ts'
import { openClock } from '../support/clock-file.ts'
import { runCommand } from '../support/command.ts'
import { databases, type Place } from '../support/databases.ts'
import { raisedLimits, startServer, type StartOptions, type TestServer } from '../support/server.ts'
import { servicesMissing } from '../support/services.ts'

const claim = (server: Pick<TestServer, 'port'>, body: Readonly<Record<string, unknown>>, from?: string): Promise<Answer> =>
  send(server, 'POST', '/v1/auth/claim', { username: 'ada', password: goodPassword, ...body }, { timeoutMs: 60_000, ...(from && { from }) })

const at = ({ dataDir, env }: Place, more: StartOptions = {}): Promise<TestServer> =>
  startServer({ dataDir, ...more, env: { ...env, ...more.env } })

/** Of the form of a code, and none. */
const wrongCode = 'aaaaa-bbbbb-ccccc-ddddd-eeeee'

const countOf = async (place: Place, sql: string): Promise<number> =>
  Number((await place.query(`select count(*) as n from ${sql}`))[0]?.['n'])

/** What an answer says, without what is another in each. */
const sameIn = (answer: Answer): unknown => [
  answer.status,
  answer.fields.filter(([name]) => !['x-request-id', 'date', 'ratelimit'].includes(name)),
  { ...answer.json(), request_id: '' },
]

const adding = (key: string) => ({
  method: 'POST',
  target: '/add_film',
  body: '{"name":"Late"}',
  fields: { 'Content-Type': 'application/json', ...bearer(key) },
})

for (const kind of databases) {
  describe(`the first admin on ${kind.name}`, { skip: kind.missing }, () => {
    test('[ASVS 6.4.1] a code of 125 bits for its owner alone, good for one claim, which ends the starter key', async () => {
      await using place = await kind.place()
      await using server = await at(place)
      const code = claimCode(server)
      assert.match(code, /^([0-9a-z]{5}-){4}[0-9a-z]{5}$/)
      assert.equal((statSync(join(place.dataDir, 'claim.code')).mode & 0o777).toString(8), '600')
      const key = server.key()
      assert.equal((await ask(server, adding(key))).status, 201)
      const admin = await claimAdmin(server)
      assert.equal((await ask(server, { target: '/v1/users', fields: admin.fields })).status, 200)
      assert.equal((await tryLogin(server, admin)).status, 200)
      assertProblem(await ask(server, adding(key)), { status: 401, code: 'unauthenticated' })
      assertProblem(await claim(server, { code }), { status: 401, code: 'unauthenticated' })
      assertProblem(await claim(server, { code, username: 'eve' }), { status: 401, code: 'unauthenticated' })
      assert.equal(existsSync(join(place.dataDir, 'claim.code')), false)
      assert.deepEqual(await place.query("select username, role from account where username <> 'x'"), [{ username: 'ada', role: 'admin' }])
      const entries = await place.query(
        "select action, actor, target from audit where action in ('user.claim', 'key.revoke_all') order by seq",
      )
      assert.deepEqual(entries, [
        { action: 'user.claim', actor: admin.subject, target: admin.subject },
        { action: 'key.revoke_all', actor: admin.subject, target: 'starter' },
      ])
      const seen = JSON.stringify(server.log()) + server.stderr()
      for (const secret of [code, code.replaceAll('-', ''), goodPassword, admin.accessToken, admin.refreshToken, key])
        assert.ok(!seen.includes(secret), 'a secret is in the log or on the terminal')
      const stored =
        JSON.stringify(await place.query('select * from claim_code')) + JSON.stringify(await place.query('select * from audit'))
      assert.ok(!stored.includes(code) && !stored.includes(goodPassword))
    })

    test('after the claim a start makes neither a code nor a starter key, and removes the files of both', async () => {
      await using place = await kind.place()
      {
        await using server = await at(place)
        await claimAdmin(server)
        writeFileSync(join(place.dataDir, 'claim.code'), `${wrongCode}\n`)
        assert.equal(await server.kill('SIGTERM'), 0)
      }
      await using server = await at(place)
      for (const file of ['claim.code', 'starter.key']) assert.equal(existsSync(join(place.dataDir, file)), false, file)
      assert.doesNotMatch(server.stderr(), /starter\.key|claim/)
      assert.match(server.stderr(), /Adding films needs an API key: an admin makes one/)
      assert.equal(await countOf(place, 'claim_code where used_at is null'), 0)
      assert.equal(await countOf(place, "api_key where subject = 'starter' and revoked_at is null"), 0)
      assertProblem(await claim(server, { code: wrongCode }), { status: 401, code: 'unauthenticated' })
    })

    test('attack: forty claims at once on two instances, two codes: one admin, one session', async () => {
      await using place = await kind.place()
      await using one = await at(place)
      const first = claimCode(one)
      const folder = kind.name === 'sqlite' ? place.dataDir : join(place.dataDir, 'other')
      await using other = await startServer({ dataDir: folder, env: place.env })
      const second = claimCode(other)
      assert.notEqual(first, second)
      const answers = await Promise.all(
        Array.from({ length: 40 }, (_, i) =>
          claim(i % 2 === 0 ? one : other, { code: i % 4 < 2 ? first : second, username: `racer-${i}` }, `127.0.0.${i + 1}`),
        ),
      )
      const won = answers.filter(({ status }) => status === 200)
      // Those that waited for a hash too long were not looked at.
      const lost = answers.filter(({ status }) => status === 401 || status === 503)
      assert.deepEqual([won.length, lost.length], [1, 39], answers.map(({ status }) => status).join(' '))
      assert.equal(await countOf(place, 'account'), 1)
      assert.equal(await countOf(place, 'session'), 1)
      assert.equal(await countOf(place, "audit where action = 'user.claim'"), 1)
      const { fields } = loggedIn({ username: 'x', password: '' }, won[0]!)
      assert.equal((await ask(one, { target: '/v1/users', fields })).status, 200)
    })

    test('attack: wrong, expired, used, malformed, of no use any more: the same answer to the last field', async () => {
      await using place = await kind.place()
      await using server = await at(place)
      const code = claimCode(server)
      const wrong = await claim(server, { code: wrongCode })
      assertProblem(wrong, { status: 401, code: 'unauthenticated' })
      assert.match(wrong.field('www-authenticate') ?? '', /^Bearer/)
      const tried = [
        await claim(server, { code: 'x' }),
        await claim(server, { code: `${code}0` }),
        await claim(server, { code: '\0'.repeat(64) }),
      ]
      const added = await runCommand(['user', 'add', 'grace', '--role', 'admin', '--password-stdin'], {
        dataDir: place.dataDir,
        env: place.env,
        input: goodPassword,
      })
      assert.equal(added.code, 0, added.stderr)
      tried.push(await claim(server, { code }), await claim(server, { code: wrongCode }))
      for (const answer of tried) assert.deepEqual(sameIn(answer), sameIn(wrong))
      assert.equal(await countOf(place, 'claim_code where used_at is null'), 1, 'a good code, and an admin came by another way')
      assert.deepEqual(await place.query('select username from account'), [{ username: 'grace' }])
    })

    test('a name that is taken, and a password that nobody should have, cost no code', async () => {
      await using place = await kind.place()
      await using server = await at(place, { env: { FILMGATE_AUTH_REGISTRATION: 'open' } })
      const code = claimCode(server)
      assert.equal((await send(server, 'POST', '/v1/auth/register', { username: 'ada', password: goodPassword })).status, 201)
      assertProblem(await claim(server, { code }), { status: 409, code: 'conflict' })
      assertProblem(await claim(server, { code, password: 'password1234' }), {
        status: 400,
        code: 'validation_failed',
        pointer: '/password',
      })
      assertProblem(await claim(server, { code, password: 'short' }), { status: 400, code: 'validation_failed', pointer: '/password' })
      assertProblem(await claim(server, { code, username: 'starter' }), { status: 400, code: 'validation_failed', pointer: '/username' })
      assertProblem(await claim(server, { code, username: 'Ada' }), { status: 400, code: 'validation_failed', pointer: '/username' })
      assertProblem(await claim(server, { code: wrongCode, password: 'password1234' }), { status: 401, code: 'unauthenticated' })
      assert.equal((await claim(server, { code: ` ${code.toUpperCase()} `, username: 'admin' })).status, 200)
    })
  })
}

test('attack: a page of somebody else that has the code gets no cookie with it', async () => {
  await using server = await startServer()
  const code = claimCode(server)
  const body = { code, username: 'ada', password: goodPassword, browser: true }
  for (const fields of [{}, { Origin: 'https://evil.example' }, { 'Sec-Fetch-Site': 'same-site' }])
    assertProblem(await send(server, 'POST', '/v1/auth/claim', body, { fields }), { status: 403, code: 'forbidden' })
  const own = await send(server, 'POST', '/v1/auth/claim', body, { fields: { 'Sec-Fetch-Site': 'same-origin' } })
  assert.equal(own.status, 200)
  assert.match(own.field('set-cookie') ?? '', /^__Host-/)
  assert.equal(own.json()['refresh_token'], undefined)
})

test('[ASVS 6.4.1] attack: a code that somebody finds after a quarter of an hour', { skip: servicesMissing('faketime') }, async () => {
  using clock = openClock()
  await using server = await startServer({ env: clock.env })
  const code = claimCode(server)
  clock.setOffset(15 * 60_000 + 1000)
  assertProblem(await claim(server, { code }), { status: 401, code: 'unauthenticated' })
  assert.equal(await server.kill('SIGTERM'), 0)
  await using again = await startServer({ dataDir: server.dataDir, env: clock.env })
  assert.notEqual(claimCode(again), code, 'the next start makes another one')
  assertProblem(await claim(again, { code }), { status: 401, code: 'unauthenticated' })
  await claimAdmin(again)
})

describe('attack: guessing codes', () => {
  test('ten wrong ones in a quarter of an hour for each client, and none of them keeps the owner out', async () => {
    await using server = await startServer()
    const code = claimCode(server)
    const statuses: number[] = []
    for (let i = 0; i < 13; i++) statuses.push((await claim(server, { code: wrongCode })).status)
    assert.deepEqual(statuses, [...Array<number>(10).fill(401), 429, 429, 429])
    const refused = await claim(server, { code })
    assertProblem(refused, { status: 429, code: 'quota_exceeded' })
    assert.ok(Number(refused.field('retry-after')) > 0)
    assert.equal((await claim(server, { code }, '127.0.0.2')).status, 200)
  })

  test('fifty at the same time are no more than ten', async () => {
    await using server = await startServer()
    const answers = await Promise.all(Array.from({ length: 50 }, () => claim(server, { code: wrongCode })))
    assert.equal(answers.filter(({ status }) => status === 401).length, 10)
    assert.equal(answers.filter(({ status }) => status === 429).length, 40)
  })

  test('a right code with mistakes beside it is no wrong guess', async () => {
    await using server = await startServer()
    const code = claimCode(server)
    for (let i = 0; i < 15; i++) assert.equal((await claim(server, { code, password: 'password1234' })).status, 400)
    assert.equal((await claim(server, { code })).status, 200)
  })

  test('a wrong code costs no hash: of three hundred at once, more than may wait for one, each is answered', async () => {
    await using server = await startServer()
    const clients = Array.from({ length: 300 }, (_, i) => `127.0.${1 + Math.floor(i / 200)}.${1 + (i % 200)}`)
    const answers = await Promise.all(clients.map((from) => claim(server, { code: wrongCode }, from)))
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [401])
  })
})

test('[ASVS 6.3.2] attack: there is no account that anybody knows', async () => {
  await using server = await startServer({ toml: `${raisedLimits}\n[auth]\nlogin_failures = "1000 per minute"\n` })
  for (const username of ['admin', 'root', 'starter', 'operator', 'filmgate', 'system', 'cli', 'test'])
    for (const password of [username, 'admin', 'password', 'filmgate', goodPassword])
      assert.equal((await tryLogin(server, { username, password })).status, 401, `${username} ${password}`)
  assert.equal((await claim(server, { code: 'admin' })).status, 401)
  await using other = await startServer()
  assert.notEqual(claimCode(other), claimCode(server))
  assert.notEqual(other.key(), server.key())
  assert.notEqual(readFileSync(join(other.dataDir, 'master.key'), 'utf8'), readFileSync(join(server.dataDir, 'master.key'), 'utf8'))
})
