import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'

import { type Answer, type Ask, ask, assertLogged, assertProblem, assertQuietLog, assertSafe, exchange } from '../support/attack.ts'
import { startServer } from '../support/server.ts'

/** The limits as they are out of the box. Each test comes from a loopback address of its own, so each is a client of its own. */
const server = await startServer({ toml: '' })
after(() => server[Symbol.asyncDispose]())

const get = (from: string, target: string, request: Ask = {}): Promise<Answer> => ask(server, { ...request, target, from })
const count = (answers: readonly Answer[], status: number): number => answers.filter((answer) => answer.status === status).length

interface Item {
  readonly name: string
  readonly parameters: Readonly<Record<string, number>>
}

/** A list of RFC 9651 whose items are strings with whole numbers as parameters; nothing else is let through. */
const parseItems = (field: string | undefined): Item[] => {
  assert.match(field ?? 'missing', /^"[!#-[\]-~]+"(;[a-z]+=\d{1,15})+(, "[!#-[\]-~]+"(;[a-z]+=\d{1,15})+)*$/)
  return (field ?? '').split(', ').map((item) => {
    const [name = '', ...parameters] = item.split(';')
    return {
      name: name.slice(1, -1),
      parameters: Object.fromEntries(parameters.map((parameter) => parameter.split('=')).map(([key = '', value]) => [key, Number(value)])),
    }
  })
}

/** draft-ietf-httpapi-ratelimit-headers-11: every limit has its policy, nothing is left over that the policy does not allow. */
const assertLimitFields = (answer: Answer, policies: readonly string[]): void => {
  const policy = parseItems(answer.field('ratelimit-policy'))
  const state = parseItems(answer.field('ratelimit'))
  assert.deepEqual(
    policy.map(({ name }) => name),
    policies,
  )
  assert.deepEqual(
    state.map(({ name }) => name),
    policies,
  )
  for (const [i, { parameters }] of policy.entries()) {
    const { q = 0, w = 0 } = parameters
    assert.deepEqual(Object.keys(parameters), ['q', 'w'])
    const { r = -1, t = -1 } = state[i]?.parameters ?? {}
    assert.ok(q > 0 && w > 0 && r >= 0 && r <= q && t >= 0 && t <= w, JSON.stringify([policy, state]))
  }
}

const valueOf = (items: readonly Item[], name: string, parameter: string): number =>
  items.find((item) => item.name === name)?.parameters[parameter] ?? NaN

/** A 429 that says truly which limit it was and when to come back. */
const assertQuotaExceeded = (answer: Answer, violated: readonly string[]): void => {
  assertProblem(answer, { status: 429, code: 'quota_exceeded' })
  assert.deepEqual(answer.json()['violated-policies'], violated)
  const policy = parseItems(answer.field('ratelimit-policy'))
  const state = parseItems(answer.field('ratelimit'))
  const seconds = Number(answer.field('retry-after'))
  assert.ok(Number.isInteger(seconds) && seconds > 0, `Retry-After ${seconds}`)
  for (const name of violated) {
    assert.equal(valueOf(state, name, 'r'), 0)
    assert.ok(seconds <= valueOf(policy, name, 'w'), 'no longer than the window')
  }
  assert.equal(seconds, Math.max(...violated.map((name) => valueOf(state, name, 't'))), 'Retry-After is when the last of them opens')
}

const left = (answer: Answer): number[] => parseItems(answer.field('ratelimit')).map(({ parameters }) => parameters['r'] ?? NaN)

const anonymousPolicies = ['second', 'hour', 'day']
const totalPolicies = ['total-second', 'total-hour']

test('21 at once from one client: one film', async () => {
  const answers = await Promise.all(Array.from({ length: 21 }, () => get('127.0.1.1', '/')))
  assert.deepEqual([count(answers, 200), count(answers, 429)], [1, 20])
  for (const answer of answers) if (answer.status === 429) assertProblem(answer, { status: 429, code: 'quota_exceeded' })
})

test('25 at once, pipelined, to nothing: 20 answers of 404, the rest 429 of the total', async () => {
  const bytes = 'GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(25)
  const { answers } = await exchange(server.port, bytes, { from: '127.0.1.2', answers: 25 })
  assert.deepEqual(
    answers.map((answer) => answer.status),
    [...Array<number>(20).fill(404), ...Array<number>(5).fill(429)],
  )
  for (const answer of answers.slice(20)) assertQuotaExceeded(answer, ['total-second'])
})

test('another client is not hit by it', async () => {
  assert.equal((await get('127.0.1.3', '/')).status, 200)
})

describe('one bucket under every spelling', () => {
  const spellings: readonly Ask[] = [
    { target: '/' },
    { target: '/', method: 'HEAD' },
    { target: '/?' },
    { target: '/?x' },
    { target: '/?like=1' },
    { target: '/?_=1690000000' },
    { target: '/#a' },
    { target: '//' },
    { target: '/%2f' },
    { target: '/%2F%2F' },
    { target: '/.' },
    { target: '/%2e' },
    { target: '/;a=b' },
    { target: '/\\' },
    { target: '/%20' },
    { target: '/%00' },
    { target: 'http://localhost/' },
    { target: 'http://LOCALHOST:80' },
    { target: '*' },
    { target: '/', fields: { Host: `127.0.0.1:${server.port}` } },
    { target: '/', fields: { 'User-Agent': 'another', 'Accept-Language': 'xx', Cookie: 'a=b' } },
    { target: '/', fields: { 'X-Forwarded-For': '203.0.113.1' } },
    { target: '/', fields: { Connection: 'keep-alive' } },
  ]
  for (const [i, one] of spellings.entries()) {
    const { method = 'GET', target = '' } = one
    const shown = `${method} ${target} ${Object.keys(one.fields ?? {}).join()}`
    test(`${shown} behind GET / gives no second film`, async () => {
      const from = `127.0.2.${i + 1}`
      assert.equal((await get(from, '/')).status, 200)
      const again = await ask(server, { ...one, from })
      assert.ok([400, 404, 429].includes(again.status), `${again.status}`)
      assertSafe(again)
      assert.equal((await get(from, '/')).status, 429)
    })
  }

  test('HEAD takes from the quota of GET', async () => {
    assert.equal((await get('127.0.3.1', '/', { method: 'HEAD' })).status, 200)
    assertQuotaExceeded(await get('127.0.3.1', '/'), ['second'])
  })

  test('HEAD and POST /add_film share one quota, encoded or not', async () => {
    const bearer = { Authorization: `Bearer ${server.key()}`, 'Content-Type': 'application/json' }
    assert.equal((await get('127.0.3.2', '/add_film', { method: 'HEAD', fields: bearer })).status, 200)
    const film = { method: 'POST', fields: bearer, body: '{"name":"x"}' }
    for (const target of ['/add_film', '/%61dd_film', '/add_fil%6D', '/add_film?']) {
      assertQuotaExceeded(await get('127.0.3.2', target, film), ['route-second'])
    }
    for (const target of ['/ADD_FILM', '//add_film', '/add_film/']) {
      assertProblem(await get('127.0.3.2', target, film), { status: 404, code: 'not_found' })
    }
  })

  test('a key is one client from whatever address, and another one than its address', async () => {
    const bearer = { fields: { Authorization: `Bearer ${server.key()}` } }
    assert.equal((await get('127.0.3.3', '/', bearer)).status, 200)
    assertQuotaExceeded(await get('127.0.3.4', '/', bearer), ['route-second'])
    assert.equal((await get('127.0.3.3', '/')).status, 200)
  })

  test('what is refused for its credentials takes nothing from the quota of the route', async () => {
    assert.equal((await get('127.0.3.5', '/', { fields: { Authorization: 'Bearer x' } })).status, 401)
    assert.equal((await get('127.0.3.5', '/')).status, 200)
  })
})

describe('RateLimit fields', () => {
  const answers: Readonly<Record<string, readonly [request: Ask, status: number, policies: readonly string[]]>> = {
    'a film': [{ target: '/' }, 200, anonymousPolicies],
    'a film by id': [{ target: '/v1/films/1' }, 200, ['hour', 'day']],
    'a film that is not there': [{ target: '/v1/films/99999' }, 404, ['hour', 'day']],
    nothing: [{ target: '/nowhere' }, 404, totalPolicies],
    'bad credentials': [{ target: '/', fields: { Authorization: 'x' } }, 401, totalPolicies],
    'no credentials': [{ target: '/add_film', method: 'POST' }, 401, totalPolicies],
    'another method': [{ target: '/', method: 'DELETE' }, 405, totalPolicies],
    'a preflight': [{ target: '/', method: 'OPTIONS' }, 204, totalPolicies],
    'a foreign host': [{ target: '/', fields: { Host: 'evil.example' } }, 421, totalPolicies],
    'a broken target': [{ target: '/%' }, 400, totalPolicies],
    'a query that is refused': [{ target: '/?x' }, 400, anonymousPolicies],
    'a vote by HEAD': [{ target: '/?like=1', method: 'HEAD' }, 200, anonymousPolicies],
  }
  for (const [i, [what, [request, status, policies]]] of Object.entries(answers).entries()) {
    test(`on ${what} (${status})`, async () => {
      const answer = await ask(server, { ...request, from: `127.0.4.${i + 1}` })
      assert.equal(answer.status, status)
      assertLimitFields(answer, policies)
    })
  }

  test('on 429', async () => {
    await get('127.0.4.100', '/')
    const answer = await get('127.0.4.100', '/')
    assertQuotaExceeded(answer, ['second'])
    assertLimitFields(answer, anonymousPolicies)
    await assertLogged(server, answer, 'quota_exceeded')
  })

  test('what is left counts down, and a refusal takes nothing', async () => {
    assert.deepEqual(left(await get('127.0.4.101', '/')), [0, 49, 199])
    assert.deepEqual(left(await get('127.0.4.101', '/')), [0, 49, 199])
    assert.deepEqual(left(await get('127.0.4.101', '/v1/films/1')), [49, 199])
    assert.deepEqual(left(await get('127.0.4.101', '/v1/films/2')), [48, 198])
  })
})

test('the log is quiet: one line each, no error', () => assertQuietLog(server))
