import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'

import { createApiKey, formatApiKey } from '../../src/credentials/api-key.ts'
import { addUser, bearer, claimAdmin, claimsOf, goodPassword, send } from '../support/accounts.ts'
import { type Answer, assertProblem, exchange } from '../support/attack.ts'
import { runCommand } from '../support/command.ts'
import { as, assertBanned, behindProxy } from '../support/decide.ts'
import { makeKey } from '../support/keys.ts'
import { asOperator } from '../support/operator.ts'
import { raisedLimits, runToEnd, startServer } from '../support/server.ts'

const toml = `${raisedLimits}
[auth]
login_failures = "1000000 per day"
account_failures = "1000000 per day"
`
const server = await startServer({ toml, env: behindProxy })
after(() => server[Symbol.asyncDispose]())

const withKey = (client: string, key: string): Promise<Answer> =>
  as(server, client, { target: '/v1/films/1', fields: { Authorization: `Bearer ${key}` } })

const honeyKey = async (...args: readonly string[]): Promise<string> => {
  const { code, stdout, stderr } = await runCommand(['key', 'honey', ...args], { dataDir: server.dataDir, cwd: server.dataDir })
  assert.equal(code, 0, stderr)
  return stdout.trim()
}

/** Without what is another in each answer. */
const comparable = ({ status, fields, body }: Answer) => ({
  status,
  fields: fields.filter(([name]) => !['x-request-id', 'date', 'ratelimit'].includes(name)),
  body: body.replace(/"request_id":"\w+"/, ''),
})

const decisions = async (): Promise<string> =>
  (await send(server, 'GET', '/v1/security/decisions', undefined, { fields: asOperator(server) })).body

describe('honey keys', () => {
  test('each is another, always the same, and looks like any key', async () => {
    const [first, again, third] = [await honeyKey(), await honeyKey('1'), await honeyKey('3')]
    assert.equal(first, again)
    assert.notEqual(first, third)
    for (const key of [first, third]) assert.match(key, /^fg_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}$/)
    assert.deepEqual(JSON.parse(await honeyKey('3', '--json')), { number: 3, key: third })
    for (const wrong of ['0', '17', '-1', 'x']) {
      const { code } = await runCommand(['key', 'honey', wrong], { dataDir: server.dataDir, cwd: server.dataDir })
      assert.equal(code, 2, wrong)
    }
    assert.ok(!server.log().some((record) => JSON.stringify(record).includes(first)))
  })

  test('whoever uses one learns as much as of a key that nobody has, and is banned', async () => {
    const unknown = await withKey('203.0.113.20', formatApiKey(createApiKey()))
    const honey = await withKey('203.0.113.21', await honeyKey('2'))
    assertProblem(honey, { status: 401, code: 'unauthenticated' })
    assert.deepEqual(comparable(honey), comparable(unknown))
    const told = await server.logged(({ event, reason }) => event === 'authn_login_fail' && reason === 'honey_key')
    assert.equal(told['client'], '203.0.113.21')
    await server.logged(({ event, rule }) => event === 'decision_created' && rule === 'honey-key')
    assertBanned(await as(server, '203.0.113.21', { target: '/' }))
    assert.equal((await as(server, '203.0.113.20', { target: '/' })).status, 200, 'who guessed goes on')
  })
})

describe('honey routes', () => {
  test('robots.txt asks to stay away from paths that there are not, and whoever obeys goes on', async () => {
    const answer = await as(server, '203.0.113.30', { target: '/robots.txt' })
    assert.equal(answer.status, 200)
    assert.equal(answer.field('content-type'), 'text/plain; charset=utf-8')
    assert.equal(answer.body, 'User-agent: *\nDisallow: /v1/internal/\n')
    for (const target of ['/', '/docs', '/v1/films/1']) assert.equal((await as(server, '203.0.113.30', { target })).status, 200)
  })

  test('whoever goes there is told that there is nothing, and banned', async () => {
    assertProblem(await as(server, '203.0.113.31', { target: '/v1/internal/users' }), { status: 404, code: 'not_found' })
    await server.logged(({ event, rule }) => event === 'decision_created' && rule === 'honey-route')
    assertBanned(await as(server, '203.0.113.31', { target: '/' }))
  })

  test('a page of another site gets nobody banned that way', async () => {
    const fields = { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'no-cors' }
    for (const target of ['/v1/internal/users', '/.git/config', '/.env', '/wp-login.php', '/?like=1%27%20or%20%271%27=%271'])
      await as(server, '203.0.113.32', { target, fields })
    assert.equal((await as(server, '203.0.113.32', { target: '/' })).status, 200)
  })

  test('nor does a link in a mail, which a browser opens as if its address had been typed', async () => {
    const fields = { 'Sec-Fetch-Site': 'none', 'Sec-Fetch-Mode': 'navigate' }
    for (const target of ['/.git/config', '/v1/internal/users']) {
      assert.equal((await as(server, '203.0.113.34', { target, fields })).status, 404)
      assert.equal((await as(server, '203.0.113.34', { target: '/' })).status, 200, target)
    }
  })

  test('nor by asking for more than there may be: images with endless addresses only slow down whoever looks at them', async () => {
    const fields = { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'no-cors' }
    for (let i = 0; i < 20; i++) await as(server, '203.0.113.33', { target: `/?${'x'.repeat(9000 + i)}`, fields })
    const told = await server.logged(({ event, target }) => event === 'decision_created' && target === '203.0.113.33')
    assert.deepEqual([told['rule'], told['type']], ['protocol-abuse', 'tighten'])
    assert.equal((await as(server, '203.0.113.33', { target: '/' })).status, 200)
  })
})

test('attack: votes that claim to come from the page of an origin that is allowed count, and are counted by the monitor', async () => {
  const origin = 'https://app.example'
  await using own = await startServer({ toml: `${raisedLimits}[cors]\norigins = ["${origin}"]\n`, env: behindProxy })
  const vote = (i: number, fields: Readonly<Record<string, string>>): Promise<Answer> =>
    as(own, `198.51.100.${i}`, { target: '/?like=1', fields: { 'Sec-Fetch-Site': 'cross-site', ...fields } })
  for (let i = 1; i <= 45; i++) assert.match((await vote(i, {})).body, /"recorded":false/, 'an image tag')
  assert.match((await vote(99, { Origin: origin })).body, /"recorded":true/)
  assert.ok(!own.log().some(({ event }) => event === 'decision_created'), 'no page of a stranger has a network asked to log in')
  for (let i = 101; i <= 145; i++) await vote(i, { Origin: origin })
  const told = await own.logged(({ event }) => event === 'decision_created')
  assert.deepEqual([told['rule'], told['target']], ['vote-stuffing', '198.51.100.0/24'])
})

test('stuffing with names that nobody has is seen by what was tried, and the log holds no name', async () => {
  for (let i = 0; i < 12; i++) {
    const body = { username: `hunter2-of-somebody-${i}`, password: 'not what it is' }
    await as(server, '203.0.113.40', {
      method: 'POST',
      target: '/v1/auth/login',
      fields: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    })
  }
  const decided = await server.logged(({ event, rule }) => event === 'decision_created' && rule === 'credential-stuffing')
  assert.deepEqual([decided['type'], decided['scope'], decided['target']], ['tighten', 'client', '203.0.113.40'])
  const failed = server.log().filter(({ event, client }) => event === 'authn_login_fail' && client === '203.0.113.40')
  assert.ok(failed.length >= 9)
  for (const { tried } of failed) assert.match(String(tried), /^[0-9a-f]{12}$/)
  assert.equal(new Set(failed.map(({ tried }) => tried)).size, failed.length)
  assert.ok(!server.log().some((record) => JSON.stringify(record).includes('hunter2')))
})

test('tokens that are none, each another, are told apart without being told', async () => {
  for (let i = 0; i < 25; i++) await withKey('203.0.113.41', `a-secret-that-was-pasted-${i}`)
  await server.logged(({ event, rule }) => event === 'decision_created' && rule === 'token-guessing')
  assert.ok(!server.log().some((record) => JSON.stringify(record).includes('a-secret')))
})

test('the same token that is none, for ever, is no guess', async () => {
  for (let i = 0; i < 60; i++) await withKey('203.0.113.42', 'an old token')
  assert.doesNotMatch(await decisions(), /203\.0\.113\.42/)
})

test('guesses of others at an account stop logins from where nobody logged in to it, and neither its owner at home nor its apps', async () => {
  const admin = await claimAdmin(server)
  const owner = await addUser(server, admin, 'editor', 'guessed-at')
  const { key } = await makeKey(server, owner, ['votes:write'])
  const { sub } = claimsOf(owner.accessToken)
  const login = JSON.stringify({ username: owner.username, password: goodPassword })
  const logInFrom = (client: string) =>
    as(server, client, { method: 'POST', target: '/v1/auth/login', fields: { 'Content-Type': 'application/json' }, body: login })
  assert.equal((await logInFrom('203.0.113.50')).status, 200, 'home')
  for (let i = 0; i < 14; i++) {
    const guess = JSON.stringify({ username: owner.username, password: `Guess-${i}-of-many-more` })
    const fields = { 'Content-Type': 'application/json' }
    await as(server, `198.51.${i}.9`, { method: 'POST', target: '/v1/auth/login', fields, body: guess })
  }
  await server.logged(({ event, rule, target }) => event === 'decision_created' && rule === 'distributed-guessing' && target === sub)
  assert.equal((await logInFrom('203.0.113.51')).status, 401, 'from elsewhere, even with the right password')
  assert.equal((await logInFrom('203.0.113.50')).status, 200, 'at home')
  assert.equal((await withKey('203.0.113.52', key)).status, 200, 'its apps, wherever they run')
  const session = { target: '/v1/me', fields: bearer(owner.accessToken) }
  assert.equal((await as(server, '203.0.113.53', session)).status, 200, 'who is logged in')
})

test('what never became a request is seen by the monitor, too', async () => {
  const { answers } = await exchange(server.port, 'NONSENSE\r\n\r\n')
  const id = answers[0]?.field('x-request-id') ?? ''
  const { status, body } = await send(server, 'GET', `/v1/security/explain/${id}`, undefined, { fields: asOperator(server) })
  assert.equal(status, 200, body)
  for (const word of ['malicious_extraneous', 'bad_request', '"request"']) assert.ok(body.includes(word), body)
})

test('a rule that there is not is a mistake of the configuration, with its line and the nearest name', async () => {
  const { code, stderr } = await runToEnd({ toml: '[monitor.rules]\n"path-probing" = "observe"\n"sqlprobing" = "off"\n' })
  assert.equal(code, 2)
  assert.match(stderr, /filmgate\.toml:3: monitor\.rules\.sqlprobing names no rule; the nearest is sql-probing/)
  assert.doesNotMatch(stderr, /path-probing names/)
})
