import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'

import { errorCodes, type Fields, headers, outcome, request } from '../support/http2-frames.ts'
import { startTlsServer } from '../support/http2-server.ts'
import type { LogRecord } from '../support/server.ts'

const scene = await startTlsServer({ env: { FILMGATE_SERVER_HOSTS: 'films.example' } })
after(() => scene[Symbol.asyncDispose]())
const { server } = scene

interface Case {
  readonly fields: Fields
  readonly status: number
  /** `ok` or the code of the problem. */
  readonly verdict: string
}

let asked = 0

/** Each request comes with an agent of its own, by which its line is found: one, and no more. */
const ask = async ({ fields, status, verdict }: Case): Promise<{ body: string; line: LogRecord }> => {
  const agent = `test-${++asked}`
  using client = await scene.open()
  client.send(headers(1, [...fields, ['user-agent', agent]]))
  const answer = await outcome(client, 1)
  assert.equal(answer.status, status, answer.body ?? '')
  const line = await server.logged((record) => record['user_agent'] === agent)
  assert.deepEqual([line['verdict'], line['status'], line['client']], [verdict, status, '127.0.0.1'])
  if (verdict !== 'ok') assert.equal((JSON.parse(answer.body ?? '') as { code: string }).code, verdict)
  assert.equal(server.log().filter((record) => record['user_agent'] === agent).length, 1)
  return { body: answer.body ?? '', line }
}

const suite = (name: string, cases: Readonly<Record<string, Case>>): void => {
  describe(name, { concurrency: 8 }, () => {
    for (const [attack, one] of Object.entries(cases)) test(attack, () => ask(one).then(() => undefined))
  })
}

const badRequest = { status: 400, verdict: 'bad_request' }
const misdirected = { status: 421, verdict: 'misdirected_request' }
const notFound = { status: 404, verdict: 'not_found' }
const notAllowed = { status: 405, verdict: 'method_not_allowed' }
const ok = { status: 200, verdict: 'ok' }

suite(':authority and Host (RFC 9113 section 8.3.1)', {
  ours: { fields: request(), ...ok },
  'ours in upper case, with a port': { fields: request({ authority: 'LOCALHOST:65535' }), ...ok },
  'one that was configured': { fields: request({ authority: 'films.example' }), ...ok },
  'Host alone': { fields: request({ authority: null }, [['host', 'localhost']]), ...ok },
  'both, equal': { fields: request({}, [['host', 'localhost']]), ...ok },
  'both, in two spellings of one name': { fields: request({}, [['host', 'LocalHost']]), ...ok },
  'both, ours and a stranger (DNS rebinding past a proxy)': { fields: request({}, [['host', 'evil.example']]), ...badRequest },
  'both, a stranger and ours': { fields: request({ authority: 'evil.example' }, [['host', 'localhost']]), ...badRequest },
  'both ours, but not the same': { fields: request({}, [['host', 'films.example']]), ...badRequest },
  'a stranger (DNS rebinding)': { fields: request({ authority: 'evil.example' }), ...misdirected },
  'a stranger in Host alone': { fields: request({ authority: null }, [['host', 'evil.example']]), ...misdirected },
  'a stranger with our port': { fields: request({ authority: `evil.example:${server.port}` }), ...misdirected },
  'ours with a dot at the end': { fields: request({ authority: 'localhost.' }), ...misdirected },
  'the loopback address as a number': { fields: request({ authority: '2130706433' }), ...misdirected },
  'a stranger on an unknown route': { fields: request({ authority: 'evil.example', path: '/nowhere' }), ...misdirected },
  'X-Forwarded-Host changes nothing': {
    fields: request({ authority: 'evil.example' }, [['x-forwarded-host', 'localhost']]),
    ...misdirected,
  },
})

suite('doubled fields', {
  'Authorization twice': {
    fields: request({}, [
      ['authorization', 'Bearer x'],
      ['authorization', 'Bearer y'],
    ]),
    ...badRequest,
  },
  'Authorization twice, the good one first': {
    fields: scene.post([['authorization', 'Bearer x']]),
    ...badRequest,
  },
  'Content-Type twice': {
    fields: request({}, [
      ['content-type', 'text/plain'],
      ['content-type', 'application/json'],
    ]),
    ...badRequest,
  },
  'a cookie in several fields is one cookie (section 8.2.3)': {
    fields: request({}, [
      ['cookie', 'a=b'],
      ['cookie', 'c=d'],
    ]),
    ...ok,
  },
  'one that is called __proto__ (CVE-2026-21710)': {
    fields: request({}, [
      ['__proto__', 'x'],
      ['constructor', 'x'],
    ]),
    ...ok,
  },
})

suite('targets', {
  'a broken escape': { fields: request({ path: '/%' }), ...badRequest },
  'an overlong slash': { fields: request({ path: '/%c0%af' }), ...badRequest },
  'a path of 5 KB': { fields: request({ path: `/${'a'.repeat(5120)}` }), status: 414, verdict: 'uri_too_long' },
  'the route of the refusals itself': { fields: request({ path: '/%00' }), ...notFound },
  'a host behind two slashes': { fields: request({ path: '//evil.example/' }), ...notFound },
  'a dot segment': { fields: request({ path: '/v1/films/../films/1' }), ...notFound },
  'an encoded slash': { fields: request({ path: '/v1/films%2f1' }), ...notFound },
  'upper case': { fields: request({ path: '/V1/FILMS/1' }), ...notFound },
  'an encoded letter is no way around a guard': {
    fields: request({ method: 'POST', path: '/%61dd_film' }, [['content-type', 'application/json']]),
    status: 401,
    verdict: 'unauthenticated',
  },
  'absolute, under another scheme, where nghttp2 lets any text be the path': {
    fields: request({ scheme: 'ftp', path: 'http://localhost/v1/films/1' }),
    ...badRequest,
  },
  'another scheme': { fields: request({ scheme: 'javascript' }), ...badRequest },
  'http, which a proxy may have been asked for': { fields: request({ scheme: 'http' }), ...ok },
  'OPTIONS *': { fields: request({ method: 'OPTIONS', path: '*' }), status: 204, verdict: 'ok' },
})

suite('methods and expectations', {
  'CONNECT to another host': {
    fields: request({ method: 'CONNECT', scheme: null, path: null, authority: 'evil.example:443' }),
    ...notAllowed,
  },
  'CONNECT to ourselves': { fields: request({ method: 'CONNECT', scheme: null, path: null, authority: 'localhost:80' }), ...notAllowed },
  'TRACE [ASVS 13.4.4]': { fields: request({ method: 'TRACE' }, [['cookie', 'secret=x']]), ...notAllowed },
  'PURGE of nothing': { fields: request({ method: 'PURGE', path: '/nowhere' }), ...notFound },
  'a method that nobody knows': { fields: request({ method: 'FILM' }), ...badRequest },
  get: { fields: request({ method: 'get' }), ...badRequest },
  'Expect: foo': { fields: request({}, [['expect', 'foo']]), status: 417, verdict: 'expectation_failed' },
  'Expect: foo on an unknown route': {
    fields: request({ path: '/nowhere' }, [['expect', 'foo']]),
    status: 417,
    verdict: 'expectation_failed',
  },
  'te: trailers is allowed': { fields: request({}, [['te', 'trailers']]), ...ok },
})

test('a method of 10 KB does not fill the log', async () => {
  const { line } = await ask({ fields: request({ method: 'X'.repeat(10_000) }), ...badRequest })
  assert.equal(line['method'], 'X'.repeat(20))
})

describe('malformed requests are reset before anybody sees them (RFC 9113 sections 8.2 and 8.3)', { concurrency: 8 }, () => {
  const malformed: Readonly<Record<string, Fields>> = {
    'Connection [ASVS 4.2.3]': request({}, [['connection', 'close']]),
    'Keep-Alive [ASVS 4.2.3]': request({}, [['keep-alive', 'timeout=5']]),
    'Proxy-Connection [ASVS 4.2.3]': request({}, [['proxy-connection', 'close']]),
    'Transfer-Encoding [ASVS 4.2.3]': request({}, [['transfer-encoding', 'chunked']]),
    'Upgrade [ASVS 4.2.3]': request({}, [['upgrade', 'websocket']]),
    'TE that is not trailers [ASVS 4.2.3]': request({}, [['te', 'gzip']]),
    'a name in upper case': request({}, [['X-A', 'b']]),
    'a pseudo-field behind a field': [...request({ path: null }), ['x-a', 'b'], [':path', '/']],
    'an unknown pseudo-field': request({}, [[':film', 'x']]),
    ':status in a request': request({}, [[':status', '200']]),
    'two :path': request({}, [[':path', '/add_film']]),
    'two :authority': request({}, [[':authority', 'evil.example']]),
    'no :path': request({ path: null }),
    'an empty :path': request({ path: '' }),
    'no :method': request({ method: null }),
    'no :scheme': request({ scheme: null }),
    'neither :authority nor Host': request({ authority: null }),
    'an empty :authority': request({ authority: '' }),
    'a user in :authority': request({ authority: 'localhost@evil.example' }),
    'CR and LF in :authority [ASVS 4.2.4]': request({ authority: 'localhost\r\nx: y' }),
    'CR and LF in :path (request splitting) [ASVS 4.2.4]': request({ path: '/ HTTP/1.1\r\nHost: evil.example' }),
    'a blank in :path': request({ path: '/a b' }),
    'a blank in :method': request({ method: 'GET /' }),
    'an absolute :path': request({ path: 'http://evil.example/' }),
    '* for GET': request({ path: '*' }),
    'two Host fields': request({}, [
      ['host', 'localhost'],
      ['host', 'evil.example'],
    ]),
    'two Content-Length': request({}, [
      ['content-length', '0'],
      ['content-length', '1'],
    ]),
    'Content-Length of letters': request({}, [['content-length', 'x']]),
    'Content-Length below zero': request({}, [['content-length', '-1']]),
    'Content-Length and no body': request({ method: 'POST' }, [['content-length', '5']]),
    'extended CONNECT, a WebSocket (RFC 8441)': request({ method: 'CONNECT' }, [[':protocol', 'websocket']]).toSorted(
      ([a], [b]) => Number(b.startsWith(':')) - Number(a.startsWith(':')),
    ),
  }
  for (const [attack, fields] of Object.entries(malformed)) {
    test(attack, async () => {
      using client = await scene.open()
      client.send(headers(1, fields))
      assert.deepEqual(await outcome(client, 1), { resetCode: errorCodes.protocol })
      client.send(headers(3, request()))
      assert.equal((await outcome(client, 3)).status, 200, 'the connection goes on')
    })
  }
})

describe('fields with CR, LF or NUL reach nobody [ASVS 4.2.4]', { concurrency: 8 }, () => {
  const key = `Bearer ${server.key()}`
  for (const [what, bytes] of Object.entries({ 'CR LF': '\r\n', LF: '\n', CR: '\r', NUL: '\0', 'a blank before': undefined })) {
    test(`${what}: not even as good credentials`, async () => {
      using client = await scene.open()
      const value = bytes === undefined ? ` ${key}` : `${key}${bytes}x-injected: 1`
      client.send(
        headers(
          1,
          request({ method: 'POST', path: '/add_film' }, [
            ['content-type', 'application/json'],
            ['authorization', value],
          ]),
        ),
      )
      assert.equal((await outcome(client, 1)).status, 401)
    })
  }
  test('a user agent of several lines does not stand in the log', async () => {
    using client = await scene.open()
    client.send(headers(1, request({ path: '/nowhere/injected' }, [['user-agent', 'a\r\n{"forged":true}']])))
    assert.equal((await outcome(client, 1)).status, 404)
    const [line] = await scene.lines('/nowhere/injected', 1)
    assert.equal(line?.['user_agent'], null)
  })
})

test('nothing of it harmed the server', () => scene.assertUnharmed())
