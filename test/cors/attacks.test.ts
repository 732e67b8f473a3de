import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'

import { type Answer, type Ask, ask, assertLogged, assertProblem, assertQuietLog, assertSafe, exchange } from '../support/attack.ts'
import { raisedLimits, startServer, type TestServer } from '../support/server.ts'
import { allowedOrigins, hostileOrigins } from './hostile.ts'

const env = { FILMGATE_PAGE_ENABLED: 'false' }
const app = 'https://app.example'
const server = await startServer({ toml: `${raisedLimits}[cors]\norigins = ${JSON.stringify(allowedOrigins)}\ncredentials = true\n`, env })
after(() => server[Symbol.asyncDispose]())

const corsNames = (answer: Answer): readonly string[] =>
  answer.fields.map(([name]) => name).filter((name) => name.startsWith('access-control-'))

/** As bytes, because a browser that is none may send any. */
const askFrom = async (to: TestServer, origins: readonly string[], start = 'GET / HTTP/1.1', more = ''): Promise<Answer> => {
  const lines = origins.map((origin) => `Origin: ${origin}\r\n`).join('')
  const bytes = Buffer.from(`${start}\r\nHost: 127.0.0.1\r\nConnection: close\r\n${lines}${more}\r\n`, 'latin1')
  const { answers } = await exchange(to.port, bytes, { answers: 1 })
  assert.ok(answers[0], `no answer to ${origins.join(' and ')}`)
  return answers[0]
}

const preflight = (fields: Ask['fields'], target = '/v1/me', method = 'OPTIONS'): Promise<Answer> =>
  ask(server, { method, target, fields: { Origin: app, 'Access-Control-Request-Method': 'PATCH', ...fields } })

const isEvent = (answer: Answer) => (record: Readonly<Record<string, unknown>>) =>
  record['event'] === 'malicious_cors' && record['request_id'] === answer.field('x-request-id')

const assertNobody = (answer: Answer, origin: string): void => {
  assertSafe(answer)
  assert.deepEqual(corsNames(answer), [])
  assert.match(answer.field('vary') ?? '', /^Origin(?:,|$)/)
  if (origin.length > 4)
    assert.ok(!answer.body.includes(origin) && !answer.fields.some(([, value]) => value.includes(origin)), 'it is repeated')
}

describe('[ASVS 3.4.2] hostile origins get nothing (CVE-2023-49803, CVE-2024-6221, Hono f0b094db)', { concurrency: 4 }, () => {
  for (const [attack, origin] of Object.entries(hostileOrigins)) {
    test(attack, async () => {
      const answer = await askFrom(server, [origin])
      assert.equal(answer.status, 200)
      assertNobody(answer, origin)
      const announced = await askFrom(server, [origin], 'OPTIONS /v1/me HTTP/1.1', 'Access-Control-Request-Method: PATCH\r\n')
      assertProblem(announced, { status: 403, code: 'forbidden' })
      assertNobody(announced, origin)
      assert.match(String(announced.json()['detail']), /cors\.origins/)
      await assertLogged(server, announced, 'forbidden')
      for (const [i, told] of [answer, announced].entries()) {
        const record = await server.logged(isEvent(told))
        assert.deepEqual([record['level'], record['client'], record['preflight']], ['warn', '127.0.0.1', i === 1])
        const shown = String(record['origin'])
        assert.ok(shown.length <= 200 && /^[\x20-\x7e]*$/.test(shown), shown)
      }
    })
  }

  const several: Readonly<Record<string, readonly string[]>> = {
    'an empty one': [''],
    'two fields, ours first': [app, 'https://evil.test'],
    'two fields, ours last': ['https://evil.test', app],
    'ours twice': [app, app],
    'ours and an empty one': [app, ''],
  }
  for (const [attack, origins] of Object.entries(several))
    test(attack, async () => assertNobody(await askFrom(server, origins), 'https://evil.test'))

  test('an allowed one is repeated letter by letter', async () => {
    for (const origin of [app, 'https://a.b.films.example', 'https://a.films.example:8443']) {
      const answer = await askFrom(server, [origin])
      assert.deepEqual([answer.field('access-control-allow-origin'), answer.field('access-control-allow-credentials')], [origin, 'true'])
    }
  })
})

describe('what a preflight cannot do', () => {
  const names = [
    'x-evil',
    'authorization,x-evil',
    'x-evil,authorization',
    '*',
    'content-type,*',
    'cookie',
    'authorization;content-type',
    'authorization content-type',
    '"authorization"',
    'authorization\u00e4',
  ]
  for (const list of names)
    test(`Access-Control-Request-Headers: ${list} is neither allowed nor repeated (Hono f0b094db)`, async () => {
      const answer = await preflight({ 'Access-Control-Request-Headers': list })
      assertProblem(answer, { status: 403, code: 'forbidden' })
      assert.deepEqual(corsNames(answer), [])
      assert.ok(!answer.body.includes('evil') && !answer.body.includes('cookie'))
      assert.match(String(answer.json()['detail']), /authorization, content-type, if-match, if-none-match, idempotency-key/)
      assert.match(answer.field('vary') ?? '', /Access-Control-Request-Headers/)
    })

  test('spellings of the same list are the same', async () => {
    const lists = [
      'authorization',
      'Authorization',
      'AUTHORIZATION,Content-Type',
      ' authorization ,\tcontent-type ',
      'authorization,,content-type,',
      ',',
      '',
      ['authorization', 'content-type'],
      'if-match,if-match',
    ]
    for (const list of lists) {
      const answer = await preflight({ 'Access-Control-Request-Headers': list })
      assert.equal(answer.status, 204, String(list))
      assert.equal(answer.field('access-control-allow-headers'), 'authorization, content-type, if-match, if-none-match, idempotency-key')
    }
  })

  for (const [name, list] of Object.entries({
    commas: ','.repeat(12_000),
    spaces: `${' '.repeat(12_000)}x`,
    names: 'a,'.repeat(6000),
    'one name': 'a'.repeat(12_000),
  }))
    test(`12,000 characters of ${name} in Access-Control-Request-Headers (Hono 93fc250d)`, async () => {
      const answer = await preflight({ 'Access-Control-Request-Headers': `authorization,${list}` })
      assertProblem(answer, { status: 403, code: 'forbidden' })
      assert.ok(answer.body.length < 1000)
    })

  for (const method of [
    'patch',
    'PATCH, GET',
    'PATCH GET',
    '*',
    'TRACE',
    'CONNECT',
    'X'.repeat(5000),
    '',
    '"PATCH"',
    '__proto__',
    'constructor',
  ])
    test(`Access-Control-Request-Method: ${method.slice(0, 20)} is no method of that URL, and not repeated`, async () => {
      const answer = await preflight({ 'Access-Control-Request-Method': method })
      assertProblem(answer, { status: 405, code: 'method_not_allowed' })
      assert.equal(answer.field('allow'), 'DELETE, GET, HEAD, OPTIONS, PATCH')
      assert.deepEqual(corsNames(answer), [])
      assert.ok(method.length < 6 || !answer.body.includes(method))
    })

  for (const target of ['/v1', '/nothing', '/V1/me', '/v1/me/', '//v1/me', '/v1//me', '/*', '/v1/films/1/x', '/index.php', '/constructor'])
    test(`${target} is nothing, in a preflight too`, async () => {
      const answer = await preflight({}, target)
      assertProblem(answer, { status: 404, code: 'not_found' })
      assert.deepEqual(corsNames(answer), [])
    })

  test('it opens no way into a private network', async () => {
    const answer = await preflight({ 'Access-Control-Request-Private-Network': 'true', 'Access-Control-Request-Local-Network': 'true' })
    assert.equal(answer.status, 204)
    assert.deepEqual(corsNames(answer).toSorted(), [
      'access-control-allow-credentials',
      'access-control-allow-headers',
      'access-control-allow-methods',
      'access-control-allow-origin',
      'access-control-max-age',
    ])
  })

  test('credentials are not looked at: it is answered before anybody asks who it is', async () => {
    const answer = await preflight({ Authorization: 'Bearer x', Cookie: '__Host-filmgate_session=x' })
    assert.equal(answer.status, 204)
    assertSafe(answer)
    assert.equal((await assertLogged(server, answer, 'ok'))['principal'], null)
    const id = answer.field('x-request-id')
    assert.deepEqual(
      server.log().filter((record) => record['request_id'] === id && record.msg === 'event'),
      [],
    )
  })

  test('a body is not waited for', async () => {
    const start =
      'OPTIONS /v1/me HTTP/1.1\r\nHost: localhost\r\nOrigin: https://app.example\r\nAccess-Control-Request-Method: PATCH\r\nContent-Type: application/json\r\n'
    for (const body of ['Content-Length: 1000000\r\n\r\n{', 'Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n']) {
      const { answers } = await exchange(server.port, start + body, { answers: 1 })
      assert.equal(answers[0]?.status, 204)
    }
  })

  test('nor does it change the method, the host or the origin by another field', async () => {
    const override = {
      'X-HTTP-Method-Override': 'DELETE',
      'X-Forwarded-Host': 'app.example',
      'X-Forwarded-Proto': 'https',
      Forwarded: 'host=app.example',
    }
    assert.equal((await preflight({ ...override, 'Access-Control-Request-Method': 'PUT' })).status, 405)
    const foreign = await ask(server, {
      target: '/',
      fields: { ...override, Origin: 'https://evil.test', 'X-Forwarded-Host': 'evil.test' },
    })
    assert.deepEqual(corsNames(foreign), [])
    await server.logged(isEvent(foreign))
    assertProblem(await preflight({ Host: 'evil.test' }), { status: 421, code: 'misdirected_request' })
  })

  test('what is no preflight is answered as before: OPTIONS alone, with half of its fields, another method with them', async () => {
    for (const fields of [{}, { Origin: app }, { 'Access-Control-Request-Method': 'GET' }]) {
      const answer = await ask(server, { method: 'OPTIONS', target: '/v1/me', fields })
      assert.deepEqual([answer.status, answer.field('allow')], [204, 'DELETE, GET, HEAD, OPTIONS, PATCH'])
      assert.equal(answer.field('access-control-allow-methods'), undefined)
    }
    assert.equal((await preflight({ 'Access-Control-Request-Method': 'GET' }, '/', 'GET')).status, 200)
    assertProblem(await preflight({}, '/', 'POST'), { status: 405, code: 'method_not_allowed' })
    assertProblem(await ask(server, { method: 'OPTIONS', target: '/v1/me', fields: { Origin: app, Authorization: 'Bearer x' } }), {
      status: 401,
      code: 'unauthenticated',
    })
  })
})

const assertSilent = (answer: Answer): void => {
  assert.deepEqual(corsNames(answer), [])
  assert.equal(answer.field('vary'), undefined)
}

const told = async (to: TestServer, fields: NonNullable<Ask['fields']>): Promise<boolean> => {
  const answer = await ask(to, { method: 'POST', target: '/', fields })
  // Its own line comes after those of its events.
  await to.logged((record) => record.msg === 'request' && record['request_id'] === answer.field('x-request-id'))
  return to.log().some(isEvent(answer))
}

describe('the log', () => {
  test("pages of this server's own are nobody's attack, however it is called", async () => {
    for (const fields of [
      { Origin: 'http://localhost' },
      { Origin: 'https://localhost' },
      { Host: `localhost:${server.port}`, Origin: `http://localhost:${server.port}` },
      { Host: '127.0.0.1:1', Origin: 'http://127.0.0.1:1' },
      { Origin: 'null', 'Sec-Fetch-Site': 'same-origin' },
      { Origin: app },
    ])
      assert.equal(await told(server, fields), false, JSON.stringify(fields))
    for (const fields of [
      { Origin: 'http://127.0.0.1' },
      { Origin: 'null' },
      { Origin: app, Host: 'localhost', 'X-Forwarded-For': 'x', 'Sec-Fetch-Site': 'cross-site' },
    ])
      assert.equal(await told(server, fields), !('X-Forwarded-For' in fields), JSON.stringify(fields))
  })

  test('a busy foreign page fills it no faster than total lets it', async () => {
    await using narrow = await startServer({ toml: '[limits]\ntotal = "5 per hour"\n', env })
    const answers: Answer[] = []
    for (let i = 0; i < 20; i++) answers.push(await ask(narrow, { target: '/', fields: { Origin: `https://evil-${i}.test` } }))
    await assertLogged(narrow, answers[19]!, 'quota_exceeded')
    assert.equal(answers.filter(({ status, body }) => status === 429 && body.includes('total-hour')).length, 15)
    assert.equal(narrow.log().filter(({ event }) => event === 'malicious_cors').length, 5)
  })

  test('where CORS is closed, which is the default, answers say nothing of it, and foreign pages are told of', async () => {
    await using closed = await startServer({ toml: raisedLimits, env })
    const requests: readonly Ask[] = [
      { target: '/' },
      { target: '/nothing' },
      { method: 'POST', target: '/' },
      { method: 'OPTIONS', target: '/' },
    ]
    for (const fields of [{}, { Origin: app }, { Origin: 'null' }, { Origin: 'http://localhost' }])
      for (const request of requests) assertSilent(await ask(closed, { ...request, fields }))
    for (const Origin of [app, 'null', 'http://localhost']) {
      const answer = await ask(closed, { method: 'OPTIONS', target: '/', fields: { Origin, 'Access-Control-Request-Method': 'GET' } })
      assertProblem(answer, { status: 403, code: 'forbidden' })
      assertSilent(answer)
    }
    assert.equal(await told(closed, { Origin: app }), true)
    assert.equal(await told(closed, { Origin: 'http://localhost' }), false)
    assertQuietLog(closed)
  })

  test('is quiet: one line each, no error', () => assertQuietLog(server))
})
