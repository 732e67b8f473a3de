import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { ask, assertLogged, assertProblem, assertQuietLog, assertSafe, chunked, exchange, requestBytes } from '../support/attack.ts'
import { runCommand } from '../support/command.ts'
import { eventually } from '../support/deadline.ts'
import { freePort } from '../support/free-port.ts'
import { scrape } from '../support/metrics-text.ts'
import { runToEnd, startServer, type TestServer } from '../support/server.ts'

const redirecting = async (env: Readonly<Record<string, string>> = {}, toml?: string) => {
  const port = await freePort()
  const server = await startServer({
    env: { FILMGATE_TLS_MODE: 'dev', FILMGATE_TLS_REDIRECT_PORT: String(port), ...env },
    ...(toml === undefined ? {} : { toml }),
  })
  return { server, port, plain: { port } }
}

describe('plain HTTP beside TLS', () => {
  let server: TestServer
  let plain: { readonly port: number }
  before(async () => ({ server, plain } = await redirecting()))
  after(() => server[Symbol.asyncDispose]())

  test('GET and HEAD go to the same path and query of the same host over TLS: 308, one line, all the fields', async () => {
    const targets = [
      '/',
      '/?like=1&x=%20',
      '/v1/films/1',
      '/nowhere',
      '//evil.example/x',
      '/%2e%2e/',
      '/a;b',
      '/?next=https://evil.example',
    ]
    for (const method of ['GET', 'HEAD'])
      for (const target of targets) {
        const answer = await ask(plain, { method, target, fields: { Host: `localhost:${plain.port}` } })
        assert.equal(answer.status, 308)
        assert.equal(answer.field('location'), `https://localhost:${server.port}${target}`)
        assert.equal(answer.body, '')
        assertSafe(answer)
        await assertLogged(server, answer, 'ok')
      }
  })

  test('what is sent there or refused is in the metrics of the API', async () => {
    const counted = async () => (await scrape(server)).sum('http_server_request_duration_seconds_count', { route: '_none', status: '308' })
    const earlier = await counted()
    await ask(plain, { target: '/v1/films/1', fields: { Host: `localhost:${plain.port}` } })
    await eventually(10_000, 'it is counted', async () => (await counted()) === earlier + 1)
    assert.equal((await scrape(server)).value('http_server_active_requests'), 0)
  })

  test('whoever asked by another name of this machine is sent to that name', async () => {
    for (const [host, name] of [
      ['127.0.0.1', '127.0.0.1'],
      ['LOCALHOST:80', 'LOCALHOST'],
      ['[::1]:8080', '[::1]'],
    ] as const) {
      const answer = await ask(plain, { target: '/', fields: { Host: host } })
      assert.equal(answer.field('location'), `https://${name}:${server.port}/`)
    }
  })

  test('absolute form: its host is held against the list too, and only its path is taken', async () => {
    const own = await ask(plain, { target: 'http://localhost/v1/films/1?x=1', fields: { Host: 'localhost' } })
    assert.equal(own.field('location'), `https://localhost:${server.port}/v1/films/1?x=1`)
    assertProblem(await ask(plain, { target: 'http://evil.example/', fields: { Host: 'localhost' } }), {
      status: 421,
      code: 'misdirected_request',
    })
  })

  test('an open redirect by Host: a foreign name, two of them, or none is refused, never a Location', async () => {
    const hosts = [
      'evil.example',
      'localhost.evil.example',
      'localhost@evil.example',
      'localhost:80@evil.example',
      'evil.example#localhost',
    ]
    for (const host of hosts) {
      const answer = await ask(plain, { target: '/', fields: { Host: host } })
      assertProblem(answer, { status: 421, code: 'misdirected_request' })
      assert.equal(answer.field('location'), undefined)
      await assertLogged(server, answer, 'misdirected_request')
    }
    for (const host of [null, ['localhost', 'evil.example']])
      assertProblem(await ask(plain, { target: '/', fields: { Host: host } }), { status: 400, code: 'bad_request' })
  })

  test('an open redirect by a target that is no path: a scheme of its own, or the asterisk, is refused, never a Location', async () => {
    for (const method of ['GET', 'HEAD'])
      for (const target of ['x://evil.example/', 'm://evil.example', 'ftp://localhost/', '*']) {
        const answer = await ask(plain, { method, target, fields: { Host: 'localhost' } })
        if (method === 'GET') assertProblem(answer, { status: 400, code: 'bad_request' })
        assert.equal(answer.status, 400, target)
        assert.equal(answer.field('location'), undefined)
        assertSafe(answer)
        await assertLogged(server, answer, 'bad_request')
      }
  })

  test('response splitting: what is no target never gets into a Location', async () => {
    for (const bytes of [
      'GET /\r\nX: 1 HTTP/1.1\r\nHost: localhost\r\n\r\n',
      'GET /\x01 HTTP/1.1\r\nHost: localhost\r\n\r\n',
      'GET /\n HTTP/1.1\r\nHost: localhost\r\n\r\n',
    ]) {
      const { answers } = await exchange(plain.port, bytes)
      assert.deepEqual(
        answers.map(({ status }) => status),
        [400],
      )
    }
    for (const target of ['/%0d%0aSet-Cookie:%20a=b', '/%0d%0a%0d%0a<script>']) {
      const answer = await ask(plain, { target })
      assert.equal(answer.field('location'), `https://localhost:${server.port}${target}`)
      assert.equal(answer.field('set-cookie'), undefined)
    }
  })

  test('[ASVS 4.1.2] [ASVS 12.2.1] every other method is 403 and not redirected, and nothing of its body is read', async () => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'QUERY', 'PROPFIND']) {
      const answer = await ask(plain, { method, target: '/add_film', fields: { 'Content-Type': 'application/json' } })
      assertProblem(answer, { status: 403, code: 'forbidden' })
      assert.equal(answer.field('location'), undefined)
      assert.equal(answer.field('connection'), 'close')
      await assertLogged(server, answer, 'forbidden')
    }
    // The body is announced and does not come: whoever waited for it would not answer.
    for (const fields of [
      { 'Content-Length': '1000' },
      { 'Transfer-Encoding': 'chunked' },
      { 'Content-Length': '1000', Expect: '100-continue' },
    ]) {
      const { answers } = await exchange(plain.port, requestBytes({ method: 'POST', target: '/add_film', fields }))
      assert.deepEqual(
        answers.map(({ status }) => status),
        [403],
      )
    }
  })

  test('[ASVS 4.1.2] a credential in the clear is refused, so that its owner hears of it, and told to be replaced', async () => {
    const answer = await ask(plain, { target: '/v1/me', fields: { Authorization: 'Bearer fg_abc' } })
    assertProblem(answer, { status: 403, code: 'forbidden' })
    assert.match(String(answer.json()['detail']), /replace it/)
    assert.equal(answer.field('location'), undefined)
  })

  test('a request smuggled behind a refused one is not answered', async () => {
    const bytes = Buffer.concat([
      requestBytes({
        method: 'POST',
        target: '/',
        fields: { 'Transfer-Encoding': 'chunked', Connection: 'keep-alive' },
        body: chunked('x'),
      }),
      requestBytes({ target: '/v1/films/1' }),
    ])
    const { answers } = await exchange(plain.port, bytes)
    assert.deepEqual(
      answers.map(({ status }) => status),
      [403],
    )
  })

  test('a vote by plain HTTP is not counted before it comes over TLS', async () => {
    assert.equal((await ask(plain, { target: '/?like=1' })).status, 308)
    assert.ok(!server.log().some((record) => record['route'] === '/' && record['status'] === 200))
  })

  test('broken syntax is answered, counted and logged as everywhere', async () => {
    const { answers } = await exchange(plain.port, 'GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n')
    assert.deepEqual(
      answers.map(({ status }) => status),
      [400],
    )
    assert.match(answers[0]?.field('ratelimit-policy') ?? '', /total/)
  })

  test('nothing of all this made the server stumble', () => assertQuietLog(server))
})

test('plain requests count in the same total as those over TLS', async () => {
  const { server, plain } = await redirecting({ FILMGATE_LIMITS_TOTAL: '3 per hour' }, '')
  await using _ = server
  for (let i = 0; i < 3; i++) assert.equal((await ask(plain, { target: '/' })).status, 308)
  const refused = await ask(plain, { target: '/' })
  assertProblem(refused, { status: 429, code: 'quota_exceeded' })
  await assertLogged(server, refused, 'quota_exceeded')
})

test('with a public address everybody is sent there, whatever they called us', async () => {
  const { server, plain } = await redirecting({ FILMGATE_SERVER_PUBLIC_URL: 'https://films.example:8443' })
  await using _ = server
  // Who types the name alone asks port 80, and knows nothing of the other one.
  for (const host of ['films.example', 'films.example:80', 'films.example:8443', 'localhost', '127.0.0.1:9'])
    assert.equal((await ask(plain, { target: '/a?b', fields: { Host: host } })).field('location'), 'https://films.example:8443/a?b')
  assert.equal((await ask(plain, { target: '/', fields: { Host: 'evil.example' } })).status, 421)
})

test('a redirect that leads nowhere, or in a circle, does not start', async () => {
  const cases: readonly (readonly [Readonly<Record<string, string>>, RegExp])[] = [
    [{ FILMGATE_TLS_REDIRECT_PORT: '8080' }, /FILMGATE_TLS_REDIRECT_PORT: tls\.redirect_port redirects to HTTPS, but tls\.mode is "off"/],
    [
      { FILMGATE_TLS_MODE: 'dev', FILMGATE_TLS_REDIRECT_PORT: '8443', FILMGATE_SERVER_PORT: '8443' },
      /tls\.redirect_port leaves server\.port and tls\.redirect_port the same port 8443/,
    ],
    [
      { FILMGATE_TLS_MODE: 'dev', FILMGATE_TLS_REDIRECT_PORT: '8444', FILMGATE_OPS_PORT: '8444' },
      /tls\.redirect_port leaves ops and the redirect to HTTPS the same port 8444/,
    ],
  ]
  for (const [env, told] of cases) {
    const { code, stderr } = await runCommand(['config'], { env })
    assert.equal(code, 2, stderr)
    assert.match(stderr, told)
  }
})

test('a port that somebody else has ends the start', async () => {
  const { server, port } = await redirecting()
  await using _ = server
  const { code, stderr } = await runToEnd({ env: { FILMGATE_TLS_MODE: 'dev', FILMGATE_TLS_REDIRECT_PORT: String(port) } })
  assert.equal(code, 1)
  assert.match(stderr, /EADDRINUSE/)
})
