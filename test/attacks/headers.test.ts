import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, describe, test } from 'node:test'

import { type Answer, type Ask, ask, assertSafe, exchange, requestBytes } from '../support/attack.ts'
import { assertPageBuilt } from '../support/built-page.ts'
import { openHttp2, askHttp1, type SecureAnswer, type SecureAsk } from '../support/secure-client.ts'
import { raisedLimits, startServer, type TestServer } from '../support/server.ts'

assertPageBuilt()
const raised =
  raisedLimits.replace('[limits.routes]', '[limits.routes]\n"POST /v1/auth/mfa" = { only = "1 per day" }') +
  '[cors]\norigins = ["https://app.example"]\n'
const server = await startServer({ toml: raised })
const secure = await startServer({ toml: raised, env: { FILMGATE_TLS_MODE: 'dev' } })
after(async () => {
  await server[Symbol.asyncDispose]()
  await secure[Symbol.asyncDispose]()
})
const ca = readFileSync(join(secure.dataDir, 'dev-ca.pem'), 'utf8')

/** CONTRACT section 5, as it is in every answer of whatever kind, byte for byte. */
const always: Readonly<Record<string, string>> = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'x-frame-options': 'DENY',
}

/** In answers that are no page. */
const apiFields: Readonly<Record<string, string>> = {
  'content-security-policy': "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'permissions-policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
}

/** Beside these, CORS, framing and what tells of the answer itself nothing may be there: each field costs every answer. */
const others =
  /^(?::status|date|connection|keep-alive|transfer-encoding|content-(?:type|length|disposition)|cache-control|etag|vary|allow|accept-post|location|retry-after|www-authenticate|x-request-id|ratelimit(?:-policy)?|permissions-policy|content-security-policy|cross-origin-embedder-policy|reporting-endpoints|access-control-[a-z-]+)$/

const bodiless = new Set([204, 304])

interface Kind {
  readonly status: number
  readonly request: SecureAsk
  /** The charset stands where the type has one (RFC 8259 section 11: JSON has none). */
  readonly type?: string
  readonly isPage?: true
  readonly noStore?: false
}

const json = 'application/json; charset=utf-8'
const problem = 'application/problem+json'
const html = 'text/html; charset=utf-8'
const asJson = { 'content-type': 'application/json' }

/** By what answers: each layer of the path, each kind of route, each method that has rules of its own. */
const kindsOf = (of: TestServer): Readonly<Record<string, Kind>> => {
  const key = { authorization: `Bearer ${of.key()}` }
  return {
    'a film': { status: 200, type: json, request: { target: '/v1/films/1' }, noStore: false },
    'a random film': { status: 200, type: json, request: { target: '/' } },
    'a film for somebody known': { status: 200, type: json, request: { target: '/v1/films/1', fields: key } },
    'HEAD of a film': { status: 200, type: json, request: { method: 'HEAD', target: '/v1/films/1' }, noStore: false },
    'HEAD without GET': { status: 200, request: { method: 'HEAD', target: '/add_film' } },
    'not modified': { status: 304, request: { target: '/v1/films/1', fields: { 'if-none-match': '*' } }, noStore: false },
    'a film that was added': {
      status: 201,
      type: json,
      request: { method: 'POST', target: '/add_film', fields: { ...asJson, ...key }, body: '{"name":"Moana"}' },
    },
    'nothing to say': {
      status: 204,
      request: {
        method: 'POST',
        target: '/csp-report',
        fields: { 'content-type': 'application/reports+json' },
        body: '[{"type":"x","body":{}}]',
      },
    },
    'the description': { status: 200, type: json, request: { target: '/openapi.json' }, noStore: false },
    'the page': { status: 200, type: html, request: { target: '/index.html' }, isPage: true, noStore: false },
    'the page, not modified': {
      status: 304,
      request: { target: '/index.html', fields: { 'if-none-match': '*' } },
      isPage: true,
      noStore: false,
    },
    'the documentation': { status: 200, type: html, request: { target: '/docs' }, isPage: true, noStore: false },
    'the documentation for somebody known': { status: 200, type: html, request: { target: '/docs', fields: key }, isPage: true },
    'HEAD of the documentation': { status: 200, type: html, request: { method: 'HEAD', target: '/docs' }, isPage: true, noStore: false },
    'the page of a problem': { status: 200, type: html, request: { target: '/problems/not_found' }, isPage: true, noStore: false },
    OPTIONS: { status: 204, request: { method: 'OPTIONS', target: '/v1/films/1' } },
    'a preflight that is granted': {
      status: 204,
      request: { method: 'OPTIONS', target: '/', fields: { origin: 'https://app.example', 'access-control-request-method': 'GET' } },
    },
    'a film for a page of another origin': { status: 200, type: json, request: { target: '/', fields: { origin: 'https://app.example' } } },
    'a preflight that is refused': {
      status: 403,
      type: problem,
      request: { method: 'OPTIONS', target: '/', fields: { origin: 'https://evil.example', 'access-control-request-method': 'GET' } },
    },
    'a broken escape': { status: 400, type: problem, request: { target: '/%zz' } },
    'a query that is not valid': { status: 400, type: problem, request: { target: '/v1/films/1?x=1' } },
    'a path that is not valid': { status: 400, type: problem, request: { target: '/v1/films/x' } },
    'broken JSON': {
      status: 400,
      type: problem,
      request: { method: 'POST', target: '/add_film', fields: { ...asJson, ...key }, body: '{' },
    },
    'no credentials': { status: 401, type: problem, request: { target: '/v1/me' } },
    'wrong credentials': { status: 401, type: problem, request: { target: '/', fields: { authorization: 'Bearer x' } } },
    'wrong credentials on a page': { status: 401, type: problem, request: { target: '/docs', fields: { authorization: 'Bearer x' } } },
    'no permission': { status: 403, type: problem, request: { target: '/v1/limits', fields: key } },
    'no such route': { status: 404, type: problem, request: { target: '/nothing' } },
    'no such film': { status: 404, type: problem, request: { target: '/v1/films/999999999' } },
    'no such method': { status: 405, type: problem, request: { method: 'DELETE', target: '/v1/films/1' } },
    'a form that is not produced': { status: 406, type: problem, request: { target: '/v1/films/1', fields: { accept: 'image/png' } } },
    'a page in a form that is not produced': { status: 406, type: problem, request: { target: '/docs', fields: { accept: 'image/png' } } },
    'a body that is too large': {
      status: 413,
      type: problem,
      request: { method: 'POST', target: '/add_film', fields: { ...asJson, ...key }, body: `"${'x'.repeat(20_000)}"` },
    },
    'a target that is too long': { status: 414, type: problem, request: { target: `/${'x'.repeat(5000)}` } },
    'a type that is not read': {
      status: 415,
      type: problem,
      request: { method: 'POST', target: '/add_film', fields: { ...key, 'content-type': 'text/plain' }, body: 'x' },
    },
    'another host': { status: 421, type: problem, request: { target: '/', fields: { host: 'evil.example' } } },
    'a quota that is used up': {
      status: 429,
      type: problem,
      request: { method: 'POST', target: '/v1/auth/mfa', fields: asJson, body: '{}' },
    },
  }
}

interface Seen {
  readonly status: number
  readonly fields: readonly (readonly [name: string, value: string])[]
  readonly body: string
}

const assertKind = (
  name: string,
  { status, fields, body }: Seen,
  { type, isPage, noStore, ...kind }: Pick<Kind, 'status' | 'type' | 'isPage' | 'noStore'>,
): void => {
  assert.equal(status, kind.status, `${name}: ${body}`)
  const sent = new Map(fields)
  assert.equal(sent.size, fields.length, `${name}: a field stands twice`)
  const expected = isPage === true ? always : { ...always, ...apiFields }
  for (const [field, value] of Object.entries(expected)) assert.equal(sent.get(field), value, `${name}: ${field}`)
  if (isPage === true) {
    assert.match(
      sent.get('content-security-policy') ?? '',
      /^default-src 'none'; .*base-uri 'none'; form-action 'none'; frame-ancestors 'none'/,
    )
    assert.match(sent.get('permissions-policy') ?? '', /camera=\(\).*xr-spatial-tracking=\(\)$/)
    assert.equal(sent.get('cross-origin-embedder-policy'), 'require-corp')
  }
  assert.equal(sent.get('content-type'), type, name)
  if (bodiless.has(status)) assert.equal(body, '')
  if (noStore !== false) assert.equal(sent.get('cache-control'), 'no-store', name)
  assert.match(sent.get('x-request-id') ?? '', /^[0-9a-f]{24}$/)
  for (const [field] of fields) assert.ok(field in always || others.test(field), `${name}: what is ${field} for?`)
}

const withHost = ({ fields = {}, ...request }: SecureAsk): Ask => {
  const { host, ...rest } = fields
  return { ...request, fields: { ...(host === undefined ? {} : { Host: host }), ...rest } }
}

const seenOver2 = ({ status, headers, body }: SecureAnswer): Seen => ({
  status,
  body,
  fields: Object.entries(headers).flatMap(([name, value]) =>
    value === undefined ? [] : [value].flat().map((one) => [name, one] as const),
  ),
})

const titles = '[ASVS 3.2.1] [ASVS 3.4.4] [ASVS 3.4.5] [ASVS 3.4.8] [ASVS 3.5.8] [ASVS 4.1.1] [ASVS 13.4.6]'

describe(`${titles} every kind of answer, HTTP/1.1`, () => {
  for (const [name, kind] of Object.entries(kindsOf(server))) {
    test(`${kind.status} ${name}`, async () => {
      if (kind.status === 429) await ask(server, withHost(kind.request))
      const answer = await ask(server, withHost(kind.request))
      assertSafe(answer)
      assertKind(name, answer, kind)
    })
  }

  const host = 'Host: localhost\r\n'
  const raw: Readonly<Record<string, readonly [status: number, bytes: string]>> = {
    'broken syntax': [400, 'GET / HTTP/1.1\r\nHost : localhost\r\n\r\n'],
    'two lengths': [400, `POST / HTTP/1.1\r\n${host}Content-Length: 1\r\nContent-Length: 2\r\n\r\nx`],
    'no Host': [400, 'GET / HTTP/1.1\r\n\r\n'],
    'two Hosts': [400, `GET / HTTP/1.1\r\n${host}${host}\r\n`],
    CONNECT: [405, `CONNECT evil.example:443 HTTP/1.1\r\n${host}\r\n`],
    'a method that nobody knows': [400, `HACK / HTTP/1.1\r\n${host}\r\n`],
    'an expectation': [417, `GET / HTTP/1.1\r\n${host}Expect: a miracle\r\n\r\n`],
    'fields that are too large': [431, `GET / HTTP/1.1\r\n${host}X: ${'x'.repeat(100_000)}\r\n\r\n`],
  }
  for (const [name, [status, bytes]] of Object.entries(raw)) {
    test(`${status} ${name}: what never became a request`, async () => {
      const { answers } = await exchange(server.port, bytes, { answers: 1 })
      const [answer] = answers
      assert.ok(answer)
      assertSafe(answer)
      assertKind(name, answer, { status, type: problem })
    })
  }

  test('408 and a stream that breaks off: slow headers, a slow body', async () => {
    await using hasty = await startServer({ env: { FILMGATE_SERVER_HEADER_TIMEOUT_MS: '300', FILMGATE_SERVER_REQUEST_TIMEOUT_MS: '300' } })
    const whole = requestBytes({
      method: 'POST',
      target: '/add_film',
      fields: { ...asJson, Authorization: `Bearer ${hasty.key()}` },
      body: '{"name":"slow"}',
    })
    for (const bytes of [whole.subarray(0, 30), whole.subarray(0, -3)]) {
      const { answers } = await exchange(hasty.port, bytes, { answers: 1, timeoutMs: 20_000 })
      assert.ok(answers[0])
      assertKind('slow', answers[0], { status: 408, type: problem })
    }
  })

  test('500 and 503: something breaks', async () => {
    await using broken = await startServer()
    // Films whose likes are no number; and nothing can be written any more.
    const database = new DatabaseSync(join(broken.dataDir, 'filmgate.db'))
    database.exec('pragma foreign_keys = off; alter table film rename to gone')
    const columns = (database.prepare('pragma table_info(gone)').all() as { name: string }[]).map(({ name }) => name)
    database.exec(`create view film as select ${columns.map((name) => (name === 'likes' ? "'many' as likes" : name)).join()} from gone`)
    database.close()
    const failed = await ask(broken)
    assertSafe(failed)
    assertKind('a bug', failed, { status: 500, type: problem })
    const refused = await ask(broken, { target: '/?like=1' })
    assertSafe(refused)
    assertKind('storage', refused, { status: 503, type: problem })
    assert.match(refused.field('retry-after') ?? '', /^\d+$/)
  })

  test('the health listener: the same fields, whatever it answers', async () => {
    const ops = { port: Number(new URL(server.opsUrl).port) }
    for (const [request, status, type] of [
      [{ target: '/livez' }, 200, json],
      [{ target: '/readyz' }, 200, json],
      [{ target: '/nothing' }, 404, problem],
      [{ target: '/livez', method: 'DELETE' }, 405, problem],
      [{ target: '/livez', fields: { Host: 'evil.example' } }, 421, problem],
    ] as const) {
      const answer: Answer = await ask(ops, request)
      assertSafe(answer)
      assertKind(request.target, answer, { status, type })
    }
  })
})

/** Over TLS the long request is cut by the client's own library only past its limits; what is special to a protocol has its tests elsewhere. */
const overTls = Object.entries(kindsOf(secure)).filter(([name]) => name !== 'another host')

describe(`${titles} every kind of answer, HTTPS`, () => {
  test('HTTP/1.1', async () => {
    for (const [name, kind] of overTls) {
      if (kind.status === 429) await askHttp1({ port: secure.port, ca }, kind.request)
      assertKind(name, seenOver2(await askHttp1({ port: secure.port, ca }, kind.request)), kind)
    }
  })

  test('HTTP/2', async () => {
    await using client = await openHttp2({ port: secure.port, ca })
    for (const [name, kind] of overTls) assertKind(name, seenOver2(await client.ask(kind.request)), kind)
    const { status, headers } = await client.ask({ target: '/', fields: { ':authority': 'evil.example' } })
    assertKind('another host', seenOver2({ status, headers, body: '' }), { status: 421, type: problem })
  })
})
