import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'

import {
  type Answer,
  type Ask,
  ask,
  assertLogged,
  assertProblem,
  assertQuietLog,
  assertSafe,
  countFilms,
  exchange,
  requestBytes,
} from '../support/attack.ts'
import { startServer } from '../support/server.ts'

const server = await startServer({ env: { FILMGATE_SERVER_HOSTS: 'films.example,api.example:8443' } })
after(() => server[Symbol.asyncDispose]())
const filmsBefore = countFilms(server)

interface Case {
  readonly ask?: Ask
  readonly raw?: string
  readonly status: number
  /** `ok` or the code of the problem. */
  readonly verdict: string
}

/** Sends it, and holds the answer and its log line against what must come. */
const check = async ({ ask: request, raw, status, verdict }: Case): Promise<Answer> => {
  const head = request?.method === 'HEAD'
  const { answers, rest } = await exchange(server.port, raw ?? requestBytes(request ?? {}), { head })
  assert.equal(rest, '')
  assert.equal(answers.length, 1, 'one request, one answer')
  const answer = answers[0] as Answer
  assert.equal(answer.status, status, answer.body)
  if (verdict === 'ok' || head) assertSafe(answer)
  else assertProblem(answer, { status, code: verdict })
  if (head) assert.equal(answer.body, '')
  await assertLogged(server, answer, verdict)
  return answer
}

const suite = (name: string, cases: Readonly<Record<string, Case>>): void => {
  describe(name, { concurrency: 8 }, () => {
    for (const [attack, one] of Object.entries(cases)) test(attack, () => check(one).then(() => undefined))
  })
}

const badRequest = { status: 400, verdict: 'bad_request' }
const notFound = { status: 404, verdict: 'not_found' }
const ok = { status: 200, verdict: 'ok' }
const misdirected = { status: 421, verdict: 'misdirected_request' }
const notAllowed = { status: 405, verdict: 'method_not_allowed' }
const fieldsTooLarge = { status: 431, verdict: 'headers_too_large' }

suite('targets', {
  '/%': { ask: { target: '/%' }, ...badRequest },
  '/%, HEAD': { ask: { target: '/%', method: 'HEAD' }, ...badRequest },
  '/%ff': { ask: { target: '/%ff' }, ...badRequest },
  '/%zz': { ask: { target: '/%zz' }, ...badRequest },
  '/%c0%af (an overlong slash)': { ask: { target: '/%c0%af' }, ...badRequest },
  '/%ed%a0%80 (a surrogate)': { ask: { target: '/%ed%a0%80' }, ...badRequest },
  'a broken escape behind a good route': { ask: { target: '/v1/films/%' }, ...badRequest },
  'a broken escape and a body': { ask: { target: '/%', method: 'POST', body: 'x'.repeat(20_000) }, ...badRequest },
  'a broken escape in the query, where none is known': { ask: { target: '/v1/films/1?%' }, status: 400, verdict: 'validation_failed' },
  'a parameter of 101 characters': { ask: { target: `/v1/films/${'1'.repeat(101)}` }, status: 400, verdict: 'validation_failed' },
  'a parameter of 4,000 characters': { ask: { target: `/v1/films/${'1'.repeat(4000)}` }, status: 400, verdict: 'validation_failed' },
  'a path of 5 KB': { ask: { target: `/${'a'.repeat(5120)}` }, status: 414, verdict: 'uri_too_long' },
  'a parameter of 5 KB': { ask: { target: `/v1/films/${'1'.repeat(5120)}` }, status: 414, verdict: 'uri_too_long' },
  'a query of 5 KB': { ask: { target: `/?like=${'1'.repeat(5120)}` }, status: 414, verdict: 'uri_too_long' },
  'a target of 17 KB': { ask: { target: `/${'a'.repeat(17_000)}` }, ...fieldsTooLarge },
  'the route of the refusals itself': { ask: { target: '/%00' }, ...notFound },
  'a doubled slash': { ask: { target: '//' }, ...notFound },
  'a doubled slash inside': { ask: { target: '/v1//films/1' }, ...notFound },
  'a host behind two slashes': { ask: { target: '//evil.example/' }, ...notFound },
  'a slash at the end': { ask: { target: '/v1/films/1/' }, ...notFound },
  'an encoded slash': { ask: { target: '/v1/films%2f1' }, ...notFound },
  'a dot segment': { ask: { target: '/v1/films/../films/1' }, ...notFound },
  'an encoded dot segment': { ask: { target: '/%2e%2e/%2e%2e/etc/passwd' }, ...notFound },
  'a backslash': { ask: { target: '/v1\\films\\1' }, ...notFound },
  'upper case': { ask: { target: '/V1/FILMS/1' }, ...notFound },
  'a path parameter': { ask: { target: '/v1/films;a=b/1' }, ...notFound },
  '__proto__ as a path': { ask: { target: '/__proto__' }, ...notFound },
  'an encoded letter is that letter, and no way around a guard': {
    ask: { target: '/%61dd_film', method: 'POST', fields: { 'Content-Type': 'application/json' }, body: '{"name":"x"}' },
    status: 401,
    verdict: 'unauthenticated',
  },
})

suite('Host', {
  none: { ask: { fields: { Host: null } }, ...badRequest },
  'none, unknown route': { ask: { target: '/nowhere', fields: { Host: null } }, ...badRequest },
  empty: { ask: { fields: { Host: '' } }, ...badRequest },
  'two, both ours': { ask: { fields: { Host: ['localhost', 'localhost'] } }, ...badRequest },
  'two, ours first': { ask: { fields: { Host: ['localhost', 'evil.example'] } }, ...badRequest },
  'two, ours last': { ask: { fields: { Host: ['evil.example', 'localhost'] } }, ...badRequest },
  'two in two spellings': { ask: { fields: { Host: 'localhost', hOST: 'evil.example' } }, ...badRequest },
  'two Authorization fields': { ask: { fields: { Authorization: ['Bearer x', 'Bearer y'] } }, ...badRequest },
  foreign: { ask: { fields: { Host: 'evil.example' } }, ...misdirected },
  'foreign, on a route that is not there': { ask: { target: '/nowhere', fields: { Host: 'evil.example' } }, ...misdirected },
  'foreign, OPTIONS': { ask: { method: 'OPTIONS', fields: { Host: 'evil.example' } }, ...misdirected },
  'foreign, POST with a body': {
    ask: { method: 'POST', target: '/add_film', fields: { Host: 'evil.example' }, body: 'x' },
    ...misdirected,
  },
  'ours before an @': { ask: { fields: { Host: 'localhost@evil.example' } }, ...misdirected },
  'ours behind an @': { ask: { fields: { Host: 'evil.example@localhost' } }, ...misdirected },
  'ours with a dot at the end': { ask: { fields: { Host: 'localhost.' } }, ...misdirected },
  'ours with another domain behind it': { ask: { fields: { Host: 'localhost.evil.example' } }, ...misdirected },
  'ours, a comma and another': { ask: { fields: { Host: 'localhost, evil.example' } }, ...misdirected },
  'ours, a blank and another': { ask: { fields: { Host: 'localhost evil.example' } }, ...misdirected },
  'ours and a path': { ask: { fields: { Host: 'localhost/evil' } }, ...misdirected },
  'ours and a fragment': { ask: { fields: { Host: 'localhost#evil' } }, ...misdirected },
  'ours as a URL': { ask: { fields: { Host: 'http://localhost' } }, ...misdirected },
  'ours with a port that is none': { ask: { fields: { Host: 'localhost:80a' } }, ...misdirected },
  'ours with two ports': { ask: { fields: { Host: 'localhost:80:80' } }, ...misdirected },
  'the unspecified address': { ask: { fields: { Host: '0.0.0.0' } }, ...misdirected },
  'the loopback address as one number': { ask: { fields: { Host: '2130706433' } }, ...misdirected },
  'the loopback address in hexadecimal': { ask: { fields: { Host: '0x7f.1' } }, ...misdirected },
  'a rebinding service': { ask: { fields: { Host: '127.0.0.1.nip.io' } }, ...misdirected },
  'a look-alike': { ask: { fields: { Host: 'locаlhost' } }, ...misdirected },
  'a configured host on a port that is not its own': { ask: { fields: { Host: 'api.example:1' } }, ...misdirected },
  'X-Forwarded-Host changes nothing': { ask: { fields: { Host: 'evil.example', 'X-Forwarded-Host': 'localhost' } }, ...misdirected },
  __proto__: { ask: { fields: { Host: '__proto__' } }, ...misdirected },
  'in upper case': { ask: { fields: { Host: 'LOCALHOST' } }, ...ok },
  'with a port': { ask: { fields: { Host: 'localhost:65535' } }, ...ok },
  'the bound address': { ask: { fields: { Host: `127.0.0.1:${server.port}` } }, ...ok },
  'IPv6 loopback': { ask: { fields: { Host: `[::1]:${server.port}` } }, ...ok },
  configured: { ask: { fields: { Host: 'films.example' } }, ...ok },
  'configured with its port': { ask: { fields: { Host: 'API.example:8443' } }, ...ok },
})

suite('header fields', {
  'one of 17 KB': { ask: { fields: { 'X-A': 'a'.repeat(17_000) } }, ...fieldsTooLarge },
  'many of 1 KB': { ask: { fields: { 'X-A': Array.from({ length: 20 }, () => 'a'.repeat(1000)) } }, ...fieldsTooLarge },
  'a name of 17 KB': { ask: { fields: { ['x'.repeat(17_000)]: 'a' } }, ...fieldsTooLarge },
  '2,500 fields': { ask: { fields: { a: Array.from({ length: 2500 }, () => '') } }, ...fieldsTooLarge },
  'one that is called __proto__ (CVE-2026-21710)': { ask: { fields: { ['__proto__']: 'x', constructor: 'x' } }, ...ok },
  'Expect: foo': { ask: { fields: { Expect: 'foo' } }, status: 417, verdict: 'expectation_failed' },
  'Expect: 100-continue, foo': { ask: { fields: { Expect: '100-continue, foo' } }, status: 417, verdict: 'expectation_failed' },
  'Expect: foo on an unknown route': { ask: { target: '/nowhere', fields: { Expect: 'foo' } }, status: 417, verdict: 'expectation_failed' },
  'Expect: 100-continue on a GET': { ask: { fields: { Expect: '100-continue' } }, ...ok },
  'an Accept that nothing fits': { ask: { fields: { Accept: 'text/html' } }, status: 406, verdict: 'not_acceptable' },
  'an Accept of weight 0': { ask: { fields: { Accept: 'application/json;q=0, */*' } }, status: 406, verdict: 'not_acceptable' },
  'Upgrade to a WebSocket': {
    ask: {
      fields: {
        Connection: 'Upgrade, close',
        Upgrade: 'websocket',
        'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
        'Sec-WebSocket-Version': '13',
      },
    },
    ...ok,
  },
  'Upgrade to h2c': {
    ask: { fields: { Connection: 'Upgrade, HTTP2-Settings, close', Upgrade: 'h2c', 'HTTP2-Settings': 'AAMAAABkAARAAAAAAAIAAAAA' } },
    ...ok,
  },
  'Upgrade on an unknown route': {
    ask: { target: '/nowhere', fields: { Connection: 'Upgrade, close', Upgrade: 'websocket' } },
    ...notFound,
  },
  'a method override': { ask: { fields: { 'X-HTTP-Method-Override': 'DELETE', 'X-HTTP-Method': 'DELETE' } }, ...ok },
  'a rewritten URL': { ask: { fields: { 'X-Original-URL': '/add_film', 'X-Rewrite-URL': '/add_film' } }, ...ok },
  'a request id that is not ours to take': { ask: { fields: { 'X-Request-Id': 'aaaaaaaaaaaaaaaaaaaaaaaa' } }, ...ok },
})

suite('forms of the target', {
  'absolute, ours': { ask: { target: `http://localhost:${server.port}/v1/films/1` }, ...ok },
  'absolute, ours, upper case': { ask: { target: 'HTTP://LOCALHOST/v1/films/1' }, ...ok },
  'absolute, ours, no path': { ask: { target: 'http://localhost' }, ...ok },
  'absolute, ours, a query alone': { ask: { target: 'http://localhost?x=1' }, status: 400, verdict: 'validation_failed' },
  'absolute, foreign': { ask: { target: 'http://evil.example/v1/films/1' }, ...misdirected },
  'absolute, foreign, no path': { ask: { target: 'http://evil.example' }, ...misdirected },
  'absolute, foreign, https': { ask: { target: 'https://evil.example/' }, ...misdirected },
  'absolute, ours as user': { ask: { target: 'http://localhost@evil.example/' }, ...misdirected },
  'absolute, foreign as user': { ask: { target: 'http://evil.example@localhost/v1/films/1' }, ...misdirected },
  'absolute, a broken escape': { ask: { target: 'http://localhost/%' }, ...badRequest },
  'absolute, nobody': { ask: { target: 'http:///v1/films/1' }, ...misdirected },
  'absolute, another scheme': { ask: { target: 'ftp://localhost/v1/films/1' }, ...notFound },
  'absolute, ours, behind a foreign Host': { ask: { target: 'http://localhost/', fields: { Host: 'evil.example' } }, ...misdirected },
  'OPTIONS *': { ask: { method: 'OPTIONS', target: '*' }, status: 204, verdict: 'ok' },
  'GET *': { ask: { target: '*' }, ...notFound },
})

suite('HTTP/1.0', {
  'without Host': { raw: 'GET /v1/films/1 HTTP/1.0\r\n\r\n', ...badRequest },
  'with Host': { raw: 'GET /v1/films/1 HTTP/1.0\r\nHost: localhost\r\n\r\n', ...ok },
  'with a foreign Host': { raw: 'GET / HTTP/1.0\r\nHost: evil.example\r\n\r\n', ...misdirected },
  'an unknown route': { raw: 'GET /nowhere HTTP/1.0\r\nHost: localhost\r\n\r\n', ...notFound },
  'Expect: 100-continue is not met': {
    raw: 'POST /add_film HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}',
    status: 401,
    verdict: 'unauthenticated',
  },
  'keep-alive': { raw: 'GET /nowhere HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n', ...notFound },
})

describe('methods', { concurrency: 8 }, () => {
  for (const method of [
    'TRACE',
    'PROPFIND',
    'PUT',
    'PATCH',
    'DELETE',
    'QUERY',
    'M-SEARCH',
    'SUBSCRIBE',
    'PURGE',
    'MKCOL',
    'LOCK',
    'REPORT',
  ]) {
    test(`${method} where it is not known`, async () => {
      const answer = await check({ ask: { method, target: '/add_film', fields: { Cookie: 'secret=x' } }, ...notAllowed })
      assert.deepEqual((answer.field('allow') ?? '').split(', '), ['HEAD', 'OPTIONS', 'POST'])
      assert.ok(!answer.body.includes('secret'), 'TRACE echoes nothing')
    })
    test(`${method} of nothing`, () => check({ ask: { method, target: '/nowhere' }, ...notFound }).then(() => undefined))
  }

  test('POST to / names what there is', async () => {
    const answer = await check({ ask: { method: 'POST', target: '/' }, ...notAllowed })
    assert.match(answer.field('allow') ?? '', /\bGET\b/)
  })
  test('a form to / is refused for its method', () =>
    check({
      ask: { method: 'POST', target: '/', fields: { 'Content-Type': 'application/x-www-form-urlencoded' }, body: 'like=1' },
      ...notAllowed,
    }).then(() => undefined))
  test('a preflight of another site is refused without a word of CORS', async () => {
    const answer = await ask(server, {
      method: 'OPTIONS',
      target: '/add_film',
      fields: {
        Origin: 'https://evil.example',
        'Access-Control-Request-Method': 'POST',
        'Access-Control-Request-Headers': 'authorization',
      },
    })
    assertProblem(answer, { status: 403, code: 'forbidden' })
    assert.deepEqual(
      answer.fields.filter(([name]) => name.startsWith('access-control')),
      [],
    )
    await assertLogged(server, answer, 'forbidden')
  })
})

test('nothing of all that was stored, and the log is quiet', () => {
  assert.equal(countFilms(server), filmsBefore)
  assertQuietLog(server)
})
