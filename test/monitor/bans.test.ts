import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'

import { reloadWith } from '../limits/reload.ts'
import { addUser, claimAdmin, goodPassword, send, tryLogin } from '../support/accounts.ts'
import { type Answer, type Ask, ask, assertProblem, exchange, requestBytes } from '../support/attack.ts'
import { as, assertBanned, behindProxy, decide, inMs, lift } from '../support/decide.ts'
import { eventually } from '../support/deadline.ts'
import { asOperator } from '../support/operator.ts'
import { raisedLimits, startServer, type TestServer } from '../support/server.ts'

const server = await startServer({ toml: raisedLimits, env: behindProxy })
after(() => server[Symbol.asyncDispose]())
const operator = asOperator(server)
const admin = await claimAdmin(server)

const opsPort = (of: TestServer): number => Number(new URL(of.opsUrl).port)
const of = (answer: Answer) => (record: Readonly<Record<string, unknown>>) => record['request_id'] === answer.field('x-request-id')

describe('a client that is banned', () => {
  test('is refused everywhere, before anything else looks at it, and learns until when', async () => {
    const expires = Date.now() + 600_000
    const id = await decide(server, operator, { target: '2001:db8:1:1::7', expires_at: new Date(expires).toISOString() })
    const preflight = { method: 'OPTIONS', fields: { Origin: 'https://x.example', 'Access-Control-Request-Method': 'GET' } }
    const requests: readonly Ask[] = [
      {},
      { target: '/' },
      { target: '/docs' },
      { target: '/nothing' },
      { method: 'POST', target: '/v1/auth/login', body: '{}', fields: { 'Content-Type': 'application/json' } },
      { method: 'PROPFIND' },
      preflight,
      { fields: { Authorization: `Bearer ${server.key()}` } },
      { fields: { Authorization: 'Bearer nonsense' } },
      { fields: { Host: 'films.example' } },
    ]
    for (const request of requests) {
      // Every address of its /64 is that client.
      const answer = await as(server, '2001:db8:1:1:ffff::1', request)
      const left = Math.ceil((expires - Date.now()) / 1000)
      assertBanned(answer)
      const seconds = Number(answer.field('retry-after'))
      assert.ok(seconds >= left && seconds <= left + 5, 'true to the second')
    }
    assert.equal((await as(server, '2001:db8:1:2::1')).status, 200, 'its neighbour')
    const answer = await as(server, '2001:db8:1:1::7')
    await server.logged((record) => record.msg === 'request' && of(answer)(record))
    const lines = server.log().filter(of(answer))
    assert.deepEqual(
      lines.map((record) => record['event'] ?? record['verdict']),
      ['decision_enforced', 'abnormal_usage_detected'],
    )
    assert.equal(lines[0]?.['decision'], id)
    assert.equal((await ask({ port: opsPort(server) }, { target: '/livez' })).status, 200, 'health is asked elsewhere')
    assert.equal((await lift(server, operator, id)).status, 204)
    assert.equal((await as(server, '2001:db8:1:1::7')).status, 200, 'at once')
  })

  test('that sends many requests on one connection gets a refusal for each, and no other answer behind them', async () => {
    const id = await decide(server, operator, { target: '203.0.113.8' })
    const one = requestBytes({ fields: { 'X-Forwarded-For': '203.0.113.8', Connection: null } })
    const { answers } = await exchange(server.port, Buffer.concat([one, one, one]), { answers: 3 })
    assert.equal(answers.length, 3)
    answers.forEach(assertBanned)
    await lift(server, operator, id)
  })

  test('a forwarding header that it sends itself makes it nobody else', async () => {
    const id = await decide(server, operator, { target: '203.0.113.9' })
    for (const header of [
      '198.51.100.1, 203.0.113.9',
      '127.0.0.1, 203.0.113.9',
      'unknown, 203.0.113.9',
      '203.0.113.9:4711',
      '::ffff:203.0.113.9',
    ])
      assertBanned(await as(server, header))
    for (const name of ['X-Real-IP', 'Forwarded', 'CF-Connecting-IP', 'True-Client-IP', 'X-Client-IP'])
      assertBanned(await as(server, '203.0.113.9', { fields: { [name]: '127.0.0.1' } }))
    await lift(server, operator, id)
  })

  test('goes on when the time is over, without anybody', async () => {
    await decide(server, operator, { target: '203.0.113.10', expires_at: inMs(3000) })
    const first = await as(server, '203.0.113.10')
    assertBanned(first)
    const waitMs = Number(first.field('retry-after')) * 1000
    const from = performance.now()
    let last = from
    await eventually(waitMs + 5000, 'it is served again', async () => {
      last = performance.now()
      return (await as(server, '203.0.113.10')).status === 200
    })
    assert.ok(last - from > waitMs - 1100, 'no second before Retry-After said')
  })
})

describe('a network', () => {
  test('is refused whole, and nobody beside it', async () => {
    const ids = [
      await decide(server, operator, { scope: 'range', target: '198.51.100.0/25' }),
      await decide(server, operator, { scope: 'range', target: '2001:db8:7::/48' }),
    ]
    for (const client of ['198.51.100.0', '198.51.100.127', '::ffff:198.51.100.5', '2001:db8:7::1', '2001:db8:7:ffff::1'])
      assertBanned(await as(server, client))
    for (const client of ['198.51.100.128', '198.51.99.255', '2001:db8:8::1', '2001:db8:6:ffff::1'])
      assert.equal((await as(server, client)).status, 200, client)
    for (const id of ids) await lift(server, operator, id)
    assert.equal((await as(server, '198.51.100.0')).status, 200)
  })
})

describe('one credential', () => {
  test('a key is refused wherever it comes from, its owner and other keys are not', async () => {
    const made = await send(server, 'POST', '/v1/keys', { name: 'x', scopes: ['films:read'] }, { fields: admin.fields })
    const { id: keyId, key } = made.json() as { id: string; key: string }
    const fields = { Authorization: `Bearer ${key}` }
    const id = await decide(server, operator, { scope: 'principal', target: `key:${keyId}` })
    for (const client of ['203.0.113.1', '203.0.113.2']) assertBanned(await as(server, client, { fields }))
    assert.equal((await as(server, '203.0.113.1', { fields: admin.fields })).status, 200)
    assert.equal((await as(server, '203.0.113.1')).status, 200)
    await lift(server, operator, id)
    assert.equal((await as(server, '203.0.113.1', { fields })).status, 200)
  })

  test('a session is refused, and a new login of the same account is another', async () => {
    const user = await addUser(server, admin, 'viewer', 'sess')
    const id = await decide(server, operator, { scope: 'principal', target: `session:${user.sid}` })
    assertBanned(await as(server, '203.0.113.1', { fields: user.fields }))
    const again = await tryLogin(server, user)
    assert.equal(again.status, 200)
    await lift(server, operator, id)
  })
})

describe('an account', () => {
  const home = { 'X-Forwarded-For': '203.0.113.200' }
  const abroad = { 'X-Forwarded-For': '203.0.113.201' }

  test('is refused to strangers, and its owner goes on where it was used before; nobody learns whether it is there', async () => {
    const user = await addUser(server, admin, 'viewer', 'owner')
    const credentials = { username: 'owner', password: goodPassword }
    assert.equal((await tryLogin(server, credentials, { fields: home })).status, 200, 'from now on home is known')
    const id = await decide(server, operator, { scope: 'account', target: '@owner' })
    assertBanned(await as(server, '203.0.113.201', { fields: user.fields }))
    assert.equal((await as(server, '203.0.113.200', { fields: user.fields })).status, 200)
    const answers = [
      await tryLogin(server, credentials, { fields: abroad }),
      await tryLogin(server, { username: 'owner', password: 'eleven herons by the old weir' }, { fields: abroad }),
      await tryLogin(server, { username: 'no-such-name', password: goodPassword }, { fields: abroad }),
    ]
    for (const answer of answers) assertProblem(answer, { status: 401, code: 'unauthenticated' })
    const shapes = answers.map(({ fields, body }) => [
      fields.filter(([name]) => !/^(date|x-request-id|ratelimit)$/.test(name)),
      body.replace(/"request_id":"\w+"/, ''),
    ])
    assert.deepEqual(shapes[0], shapes[1])
    assert.deepEqual(shapes[0], shapes[2])
    for (const answer of answers.slice(0, 2)) {
      const enforced = await server.logged((record) => record['event'] === 'decision_enforced' && of(answer)(record))
      assert.equal(enforced['decision'], id)
    }
    assert.equal((await tryLogin(server, credentials, { fields: home })).status, 200)
    await lift(server, operator, id)
    assert.equal((await tryLogin(server, credentials, { fields: abroad })).status, 200, 'at once')
  })
})

describe('less than a ban', () => {
  test('tighten leaves ten requests a minute', async () => {
    const id = await decide(server, operator, { target: '203.0.113.11', type: 'tighten' })
    const statuses: number[] = []
    let last: Answer | undefined
    for (let i = 0; i < 12; i++) {
      last = await as(server, '203.0.113.11')
      statuses.push(last.status)
    }
    const seconds = Number(last?.field('retry-after'))
    assert.ok(seconds >= 1 && seconds <= 60, `served again within a minute, not at the end of the decision: ${seconds} s`)
    assert.deepEqual(
      statuses.map((status) => status === 200),
      statuses.map((_, i) => i < 10),
    )
    await lift(server, operator, id)
    assert.equal((await as(server, '203.0.113.11')).status, 200)
  })

  test('require_login lets credentials through, and whoever gets some', async () => {
    const id = await decide(server, operator, { target: '203.0.113.12', type: 'require_login' })
    const from = { 'X-Forwarded-For': '203.0.113.12' }
    assertBanned(await as(server, '203.0.113.12'))
    assertBanned(await as(server, '203.0.113.12', { target: '/docs' }))
    const login = await tryLogin(server, admin, { fields: from })
    assert.equal(login.status, 200, login.body)
    const fields = { Authorization: `Bearer ${String(login.json()['access_token'])}` }
    assert.equal((await as(server, '203.0.113.12', { fields })).status, 200)
    assertProblem(await as(server, '203.0.113.12', { fields: { Authorization: 'Bearer x' } }), { status: 401, code: 'unauthenticated' })
    await lift(server, operator, id)
    assert.equal((await as(server, '203.0.113.12')).status, 200)
  })

  test('of several the strongest holds, and lifting it leaves the others', async () => {
    const weak = await decide(server, operator, { target: '203.0.113.13', type: 'require_login' })
    const strong = await decide(server, operator, { scope: 'range', target: '203.0.113.13/32' })
    const fields = { Authorization: `Bearer ${admin.accessToken}` }
    assertBanned(await as(server, '203.0.113.13', { fields }))
    await lift(server, operator, strong)
    assert.equal((await as(server, '203.0.113.13', { fields })).status, 200)
    assertBanned(await as(server, '203.0.113.13'))
    await lift(server, operator, weak)
  })
})

test('whoever is put on the allow list is free at once, and banned again when taken off it', async () => {
  const id = await decide(server, operator, { target: '203.0.113.14' })
  assertBanned(await as(server, '203.0.113.14'))
  await reloadWith(server, `${raisedLimits}\n[monitor]\nallow = ["203.0.113.14/32"]\n`)
  assert.equal((await as(server, '203.0.113.14')).status, 200)
  const explained = await ask(server, { target: '/v1/security/explain/203.0.113.14', fields: operator })
  assert.equal(explained.json()['exempt'], true)
  await reloadWith(server, raisedLimits)
  assertBanned(await as(server, '203.0.113.14'))
  await lift(server, operator, id)
})

test('a ban outlives the process', async () => {
  await decide(server, operator, { target: '203.0.113.15' })
  assert.equal(await server.kill('SIGTERM'), 0)
  await using again = await startServer({ toml: raisedLimits, dataDir: server.dataDir, env: behindProxy })
  assertBanned(await as(again, '203.0.113.15'))
  assert.equal((await as(again, '203.0.113.16')).status, 200)
})
