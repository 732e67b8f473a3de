import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, describe, test } from 'node:test'

import { type Answer, ask, assertProblem, assertQuietLog, assertSafe, countFilms, exchange, requestBytes } from '../support/attack.ts'
import { isAlive } from '../support/restarting.ts'
import { startServer } from '../support/server.ts'

const server = await startServer()
after(() => server[Symbol.asyncDispose]())
const filmsBefore = countFilms(server)
const bearer = `Bearer ${server.key()}`

/** Everything that comes, as bytes. */
const read = (bytes: string | Buffer): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect({ port: server.port, host: '127.0.0.1' })
    let text = ''
    socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk))
    socket.on('error', reject).on('close', () => resolve(text))
    socket.setTimeout(10_000, () => socket.destroy(new Error(`no end: ${text.slice(0, 200)}`)))
    socket.write(bytes)
  })

interface Framed {
  readonly status: number
  readonly lengths: readonly string[]
  readonly codings: readonly string[]
  readonly text: string
}

/** A reader that knows nothing of requests: the head of the first answer, and the text behind it. */
const firstHead = (text: string): Framed => {
  const end = text.indexOf('\r\n\r\n')
  const [first = '', ...lines] = text.slice(0, end).split('\r\n')
  const valuesOf = (name: string): string[] =>
    lines.filter((line) => line.toLowerCase().startsWith(`${name}:`)).map((line) => line.slice(name.length + 1).trim())
  return {
    status: Number(first.slice(9, 12)),
    lengths: valuesOf('content-length'),
    codings: valuesOf('transfer-encoding'),
    text: text.slice(end + 4),
  }
}

const last = requestBytes({ target: '/v1/films/3' })
const isLast = (text: string): boolean => text.startsWith('HTTP/1.1 200 OK\r\n') && text.includes('"id":3,')

const { etag = '', asset = '' } = await (async () => {
  const page = await ask(server, { target: '/index.html' })
  return { etag: page.field('etag'), asset: /(?:src|href)="\.?(\/assets\/[^"]+)"/.exec(page.body)?.[1] }
})()

/** One of every way in which an answer is framed; null is no body at all. */
const answers: Readonly<Record<string, readonly [request: Parameters<typeof requestBytes>[0], status: number]>> = {
  'a film': [{ target: '/v1/films/1' }, 200],
  'a random film': [{ target: '/' }, 200],
  'HEAD of a film': [{ method: 'HEAD', target: '/v1/films/1' }, 200],
  'HEAD of /': [{ method: 'HEAD', target: '/' }, 200],
  'HEAD of /add_film': [{ method: 'HEAD', target: '/add_film' }, 200],
  'HEAD of the description': [{ method: 'HEAD', target: '/openapi.json' }, 200],
  'HEAD of the page': [{ method: 'HEAD', target: '/index.html' }, 200],
  'HEAD of nothing': [{ method: 'HEAD', target: '/nowhere' }, 404],
  'HEAD of what has no HEAD': [{ method: 'HEAD', target: '/v1/auth/login' }, 405],
  'HEAD that is not acceptable': [{ method: 'HEAD', target: '/v1/films/1', fields: { Accept: 'text/html' } }, 406],
  'HEAD with a bad token': [{ method: 'HEAD', target: '/v1/keys', fields: { Authorization: 'Bearer x' } }, 401],
  'the description': [{ target: '/openapi.json' }, 200],
  'the page': [{ target: '/index.html' }, 200],
  'a file of the page': [{ target: asset }, 200],
  'HEAD of a file of the page': [{ method: 'HEAD', target: asset }, 200],
  'the page, not changed': [{ target: '/index.html', fields: { 'If-None-Match': etag } }, 304],
  'HEAD of the page, not changed': [{ method: 'HEAD', target: '/index.html', fields: { 'If-None-Match': etag } }, 304],
  OPTIONS: [{ method: 'OPTIONS', target: '/' }, 204],
  'a film that is added': [
    { method: 'POST', target: '/add_film', fields: { Authorization: bearer, 'Content-Type': 'application/json' }, body: '{"name":"x"}' },
    201,
  ],
  'a refusal': [{ method: 'POST', target: '/add_film' }, 401],
  'a method that is not there': [{ method: 'DELETE', target: '/' }, 405],
  'nothing there': [{ target: '/nowhere' }, 404],
}

describe('answers say once how long they are, and are that long [ASVS 4.2.2]', () => {
  for (const [name, [request, status]] of Object.entries(answers)) {
    test(name, async () => {
      const keptAlive = requestBytes({ ...request, fields: { Connection: null, ...request.fields } })
      const framed = firstHead(await read(Buffer.concat([keptAlive, last])))
      assert.equal(framed.status, status)
      assert.ok(framed.lengths.length + framed.codings.length <= 1, `${framed.lengths.join()} and ${framed.codings.join()}`)
      if (status === 204) assert.deepEqual([framed.lengths, framed.codings], [[], []], 'RFC 9110 section 8.6')
      if (request.method === 'HEAD' || status === 204 || status === 304) {
        assert.ok(isLast(framed.text), `what follows is no answer: ${framed.text.slice(0, 80)}`)
        return
      }
      assert.match(framed.lengths[0] ?? 'none', /^\d+$/)
      assert.ok(isLast(framed.text.slice(Number(framed.lengths[0]))), 'the next answer begins elsewhere')
    })
  }

  test('HEAD announces the length that GET has', async () => {
    for (const target of ['/v1/films/1', '/openapi.json', '/index.html', asset, '/.well-known/jwks.json']) {
      const [head, get] = [await ask(server, { method: 'HEAD', target }), await ask(server, { target })]
      assert.equal(head.field('content-length'), get.field('content-length'), target)
    }
  })
})

const chunkedHead = (fields: string): string =>
  `POST /add_film HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n${fields}\r\n`

/** Whoever believes a trailer reads another message than who looked at the head (RFC 9110 section 6.5.1). */
describe('trailers are dropped', () => {
  const attacks: Readonly<Record<string, string>> = {
    'another host': 'Host: evil.example',
    'two of ours': 'Host: localhost\r\nHost: localhost',
    'another length': 'Content-Length: 5',
    'another coding': 'Transfer-Encoding: identity',
    'another type': 'Content-Type: text/plain',
    'a content coding': 'Content-Encoding: gzip',
    'an expectation': 'Expect: foo',
    'a connection to keep': 'Connection: keep-alive',
    'an address': 'X-Forwarded-For: 203.0.113.9',
    __proto__: '__proto__: x\r\nconstructor: x',
  }
  for (const [attack, trailers] of Object.entries(attacks)) {
    test(attack, async () => {
      const bytes = `${chunkedHead(`Authorization: ${bearer}\r\nTrailer: Host`)}\r\n3\r\n{,}\r\n0\r\n${trailers}\r\n\r\n`
      const { answers: given, rest } = await exchange(server.port, bytes)
      assert.deepEqual([given.length, rest], [1, ''])
      assertProblem(given[0] as Answer, { status: 400, code: 'bad_request' })
      const record = await server.logged((line) => line['request_id'] === given[0]?.field('x-request-id') && line.msg === 'request')
      assert.equal(record['client'], '127.0.0.1')
    })
  }

  const tooMany: Readonly<Record<string, string>> = {
    '3,000 of them': 'a:\r\n'.repeat(3000),
    'one of 17 KB': `X-A: ${'a'.repeat(17_000)}\r\n`,
    '20 of 1 KB': `X-A: ${'a'.repeat(1000)}\r\n`.repeat(20),
  }
  for (const [attack, trailers] of Object.entries(tooMany)) {
    test(`${attack} are not read to the end`, async () => {
      const bytes = `${chunkedHead(`Authorization: ${bearer}`)}\r\n3\r\n{,}\r\n0\r\n${trailers}\r\n`
      const { answers: given } = await exchange(server.port, bytes)
      assert.deepEqual(
        given.map(({ status }) => status),
        [431],
      )
    })
  }
})

describe('bounds of chunks', () => {
  const bounded: Readonly<Record<string, readonly [body: string, status: number]>> = {
    'an extension of 17 KB (CVE-2024-22019)': [`2;${'a'.repeat(17_000)}\r\n{}\r\n0\r\n\r\n`, 413],
    'an extension of 17 KB behind a good chunk': [`2\r\n{}\r\n1;a="${'a'.repeat(17_000)}"\r\n \r\n0\r\n\r\n`, 413],
    'extensions on the last chunk': [`2\r\n{,\r\n0;${'a'.repeat(17_000)}\r\n\r\n`, 413],
  }
  for (const [attack, [body, status]] of Object.entries(bounded)) {
    test(attack, async () => {
      const { answers: given } = await exchange(server.port, `${chunkedHead(`Authorization: ${bearer}`)}\r\n${body}`)
      assert.equal(given.length, 1)
      assertProblem(given[0] as Answer, { status, code: 'payload_too_large' })
    })
  }
})

test('an extension of 1 KB on each of 100 chunks: skipped, and the body is what is left', async () => {
  const body = `1;${'a'.repeat(1000)}\r\n \r\n`.repeat(100)
  const { answers: given } = await exchange(server.port, `${chunkedHead(`Authorization: ${bearer}`)}\r\n${body}0\r\n\r\n`)
  assertProblem(given[0] as Answer, { status: 400, code: 'bad_request' })
})

describe('bytes beyond ASCII in fields', () => {
  test('in a value are no fault, and break no log line', async () => {
    const head = Buffer.from(
      'GET /v1/films/1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nUser-Agent: caf\u00e9 \u0085\u009b31m \u00ff\r\n\r\n',
      'latin1',
    )
    const { answers: given } = await exchange(server.port, head)
    assert.equal(given[0]?.status, 200)
    const record = await server.logged((line) => line['request_id'] === given[0]?.field('x-request-id') && line.msg === 'request')
    assert.equal(record['user_agent'], 'caf\u00e9 \u0085\u009b31m \u00ff')
  })
  test('in a name are refused', async () => {
    const { answers: given } = await exchange(
      server.port,
      Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\nX-\u00ff: a\r\n\r\n', 'latin1'),
    )
    assertProblem(given[0] as Answer, { status: 400, code: 'bad_request' })
  })
  test('in Host are no host of ours', async () => {
    const { answers: given } = await exchange(
      server.port,
      Buffer.from('GET / HTTP/1.1\r\nHost: localhost\u00ff\r\nConnection: close\r\n\r\n', 'latin1'),
    )
    assertProblem(given[0] as Answer, { status: 421, code: 'misdirected_request' })
  })
})

test('fields that come twice where one is meant: the answer is one, and safe', async () => {
  for (const name of [
    'If-None-Match',
    'If-Match',
    'Range',
    'Expect',
    'Cookie',
    'Accept',
    'Origin',
    'X-Request-Id',
    'Content-Encoding',
    'User-Agent',
  ]) {
    const { answers: given } = await exchange(server.port, requestBytes({ fields: { [name]: ['100-continue', 'b'] } }))
    assert.equal(given.length, 1, name)
    assertSafe(given[0] as Answer)
    assert.ok([200, 400, 406, 412, 415, 417].includes(given[0]?.status ?? 0), `${name}: ${given[0]?.status}`)
  }
})

test('an idle connection says how long it is kept', async () => {
  const { answers: given } = await exchange(server.port, requestBytes({ fields: { Connection: 'keep-alive' } }), { answers: 1 })
  assert.equal(given[0]?.field('keep-alive'), 'timeout=72')
})

test('the process lives, one film was added, and the log is quiet', async () => {
  assert.ok(await isAlive(server))
  assert.equal(countFilms(server), filmsBefore + 1)
  assertQuietLog(server)
})
