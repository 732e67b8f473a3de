import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'

import {
  type Answer,
  assertLogged,
  assertProblem,
  assertQuietLog,
  assertSafe,
  countFilms,
  exchange,
  query,
  requestBytes,
} from '../support/attack.ts'
import { createRestartingServer, isAlive } from '../support/restarting.ts'

const servers = createRestartingServer()
after(() => servers[Symbol.asyncDispose]())
const first = await servers.current()
const filmsBefore = countFilms(first)

const get = 'GET /v1/films/1 HTTP/1.1\r\nHost: localhost\r\n'
const post = `POST /add_film HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${first.key()}\r\nContent-Type: application/json\r\n`
const smuggled = 'GET /?like=20 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'

/** One answer and the end of the connection, whatever else was sent behind; logged once. */
const refusedOnce = async (bytes: string | Buffer, status = 400, code = 'bad_request'): Promise<Answer> => {
  const server = await servers.current()
  const { answers, rest } = await exchange(server.port, bytes)
  assert.ok(await isAlive(server), 'the server ended')
  assert.equal(rest, '')
  assert.deepEqual(
    answers.map((answer) => answer.status),
    [status],
  )
  const answer = answers[0] as Answer
  assertProblem(answer, { status, code })
  assert.equal(answer.field('connection'), 'close')
  await assertLogged(server, answer, code)
  return answer
}

const suite = (name: string, shapes: Readonly<Record<string, string | Buffer>>): void => {
  describe(name, () => {
    for (const [attack, bytes] of Object.entries(shapes)) test(attack, () => refusedOnce(bytes).then(() => undefined))
  })
}

suite('what is not HTTP/1.1', {
  'a TLS hello': Buffer.from('16030100a5010000a10303', 'hex'),
  'an HTTP/2 preface': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'an SSH banner': 'SSH-2.0-OpenSSH_9.2\r\n',
  'a SOCKS 5 greeting': Buffer.from([5, 1, 0]),
  'a Redis command': '*1\r\n$4\r\nPING\r\n',
  'an SMTP greeting': 'EHLO evil.example\r\n',
  'a proxy protocol line': `PROXY TCP4 203.0.113.9 127.0.0.1 1 2\r\n${get}\r\n`,
  'a binary proxy protocol header': Buffer.concat([Buffer.from('0d0a0d0a000d0a515549540a20110000', 'hex'), Buffer.from(`${get}\r\n`)]),
  'NUL bytes': Buffer.alloc(64),
  'garbage of 1 MB': Buffer.alloc(1_000_000, 'x'),
  'an unknown method': 'FOO / HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'a method in lower case': 'get / HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'a method in mixed case': 'Get / HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'a method with a space in front': ' GET / HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'no method': '/ HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'HTTP/0.9': 'GET /\r\n\r\n',
  'HTTP/0.9 with a version': 'GET / HTTP/0.9\r\n\r\n',
  'HTTP/1.2': 'GET / HTTP/1.2\r\nHost: localhost\r\n\r\n',
  'HTTP/2.0': 'GET / HTTP/2.0\r\nHost: localhost\r\n\r\n',
  'HTTP/9.9': 'GET / HTTP/9.9\r\nHost: localhost\r\n\r\n',
  'a version in lower case': 'GET / http/1.1\r\nHost: localhost\r\n\r\n',
  'a version with a word behind': 'GET / HTTP/1.1 x\r\nHost: localhost\r\n\r\n',
  'a tab in the request line': 'GET\t/\tHTTP/1.1\r\nHost: localhost\r\n\r\n',
  'a blank in the target': 'GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'a control character in the target': 'GET /\u0001 HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'a NUL in the target': 'GET /\0 HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'a target without a slash': 'GET add_film HTTP/1.1\r\nHost: localhost\r\n\r\n',
})

suite('line ends and fields', {
  'bare LF everywhere': 'GET / HTTP/1.1\nHost: localhost\n\n',
  'bare LF behind the request line': 'GET / HTTP/1.1\nHost: localhost\r\n\r\n',
  'bare LF behind a field': `${get}X-A: b\nX-C: d\r\n\r\n`,
  'a bare CR in a value (CVE-2023-30589)': `${get}X-A: b\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  'a bare CR as line end': 'GET / HTTP/1.1\rHost: localhost\r\r',
  'a NUL in a value': `${get}X-A: b\0c\r\n\r\n`,
  'a control character in a value': `${get}X-A: b\u0007c\r\n\r\n`,
  'obs-fold': `${get}X-A: b\r\n c\r\n\r\n`,
  'obs-fold of a tab': `${get}X-A: b\r\n\tc\r\n\r\n`,
  'obs-fold in the first field': 'GET / HTTP/1.1\r\n Host: localhost\r\n\r\n',
  'a field without a colon': `${get}X-A\r\n\r\n`,
  'a field without a name': `${get}: b\r\n\r\n`,
  'a blank before the colon': `${get}X-A : b\r\n\r\n`,
  'a blank in the name': `${get}X A: b\r\n\r\n`,
  'a control character in the name': `${get}X\u0001A: b\r\n\r\n`,
  'a name beyond ASCII': `${get}X-\u00c4: b\r\n\r\n`,
})

/** Each hides a vote for film 20 where a proxy in front would see a body; at the end film 20 has none. */
suite('request smuggling', {
  'Content-Length and Transfer-Encoding': `${post}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
  'Transfer-Encoding and Content-Length': `${post}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n${smuggled}`,
  'two Content-Lengths': `${post}Content-Length: 0\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
  'the same Content-Length twice': `${post}Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}${smuggled}`,
  'a list as Content-Length': `${post}Content-Length: 2, 2\r\n\r\n{}${smuggled}`,
  'a plus in Content-Length': `${post}Content-Length: +2\r\n\r\n{}${smuggled}`,
  'a negative Content-Length': `${post}Content-Length: -1\r\n\r\n${smuggled}`,
  'a hexadecimal Content-Length': `${post}Content-Length: 0x2\r\n\r\n{}${smuggled}`,
  'a blank in Content-Length': `${post}Content-Length: 1 2\r\n\r\n{}${smuggled}`,
  'an empty Content-Length': `${post}Content-Length: \r\n\r\n${smuggled}`,
  'a Content-Length beyond 64 bits': `${post}Content-Length: 18446744073709551618\r\n\r\n{}${smuggled}`,
  'a blank before the colon of Content-Length': `${post}Content-Length : 2\r\n\r\n{}${smuggled}`,
  'Transfer-Encoding: gzip': `${post}Transfer-Encoding: gzip\r\n\r\n${smuggled}`,
  'Transfer-Encoding: identity': `${post}Transfer-Encoding: identity\r\n\r\n${smuggled}`,
  'Transfer-Encoding: xchunked': `${post}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${smuggled}`,
  'Transfer-Encoding: chunked, identity': `${post}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${smuggled}`,
  'Transfer-Encoding: chunked;a=b': `${post}Transfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n${smuggled}`,
  'Transfer-Encoding: "chunked"': `${post}Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n${smuggled}`,
  'two Transfer-Encodings, the last not chunked': `${post}Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n${smuggled}`,
  'a blank before the colon of Transfer-Encoding': `${post}Transfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n${smuggled}`,
  'a vertical tab before chunked': `${post}Transfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n${smuggled}`,
  'Transfer-Encoding folded': `${post}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n${smuggled}`,
  'Transfer-Encoding behind a bare LF': `${post}X-A: b\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
  'GET with both lengths': `${get}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
  'HTTP/1.0 with Transfer-Encoding and Content-Length': `POST /add_film HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n${smuggled}`,
})

/** The body breaks behind the head: the request is refused through its hooks, and the connection ends. */
suite('chunks that are none', {
  'a size that is no number': `${post}Transfer-Encoding: chunked\r\n\r\nZZ\r\n{}\r\n0\r\n\r\n${smuggled}`,
  'an empty size': `${post}Transfer-Encoding: chunked\r\n\r\n\r\n{}\r\n0\r\n\r\n${smuggled}`,
  'a size with 0x': `${post}Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n${smuggled}`,
  'a negative size': `${post}Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n${smuggled}`,
  'a size with a blank behind': `${post}Transfer-Encoding: chunked\r\n\r\n2 \r\n{}\r\n0\r\n\r\n${smuggled}`,
  'a size beyond 64 bits': `${post}Transfer-Encoding: chunked\r\n\r\n10000000000000002\r\n{}\r\n0\r\n\r\n${smuggled}`,
  'a size that is too small': `${post}Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n${smuggled}`,
  'bare LF behind the size': `${post}Transfer-Encoding: chunked\r\n\r\n2\n{}\r\n0\r\n\r\n${smuggled}`,
  'bare LF behind the data': `${post}Transfer-Encoding: chunked\r\n\r\n2\r\n{}\n0\r\n\r\n${smuggled}`,
  'bare LF in an extension (funky chunks)': `${post}Transfer-Encoding: chunked\r\n\r\n2;\n{}\r\n0\r\n\r\n${smuggled}`,
  'a good chunk, then a broken one': `${post}Transfer-Encoding: chunked\r\n\r\n8\r\n{"name":\r\nZZ\r\n"x"}\r\n0\r\n\r\n${smuggled}`,
  'a trailer without a colon': `${post}Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX-A\r\n\r\n${smuggled}`,
})

describe('bodies that are longer than they should be', () => {
  const longer: Readonly<Record<string, string>> = {
    'chunk extensions without end (CVE-2024-22019)': `2;${'a'.repeat(40_000)}\r\n{}\r\n0\r\n\r\n`,
    'a trailer of 40 KB': `2\r\n{}\r\n0\r\nX-A: ${'a'.repeat(40_000)}\r\n\r\n`,
  }
  for (const [attack, body] of Object.entries(longer)) {
    test(attack, async () => {
      const server = await servers.current()
      const { answers } = await exchange(server.port, `${post}Transfer-Encoding: chunked\r\n\r\n${body}`)
      assert.ok(await isAlive(server), 'the server ended')
      assert.equal(answers.length, 1)
      assert.ok([400, 413, 431].includes(answers[0]?.status ?? 0), `${answers[0]?.status}`)
      assertSafe(answers[0] as Answer)
    })
  }
  test('a trailer gives no credentials', async () => {
    const head =
      'POST /add_film HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nTrailer: Authorization\r\n\r\n'
    const { answers } = await exchange(
      (await servers.current()).port,
      `${head}c\r\n{"name":"x"}\r\n0\r\nAuthorization: Bearer ${first.key()}\r\n\r\n`,
    )
    assert.deepEqual(
      answers.map((answer) => answer.status),
      [401],
    )
  })
  test('a request in the body of another is a body', async () => {
    const { answers } = await exchange((await servers.current()).port, requestBytes({ method: 'POST', target: '/nowhere', body: smuggled }))
    assert.deepEqual(
      answers.map((answer) => answer.status),
      [404],
    )
  })
  test('a request in the body of a GET is a body', async () => {
    const { answers } = await exchange(
      (await servers.current()).port,
      requestBytes({ fields: { 'Content-Type': 'application/json' }, body: smuggled }),
    )
    assert.equal(answers.length, 1)
  })
})

test('none of it was stored, no smuggled vote was counted', async () => {
  const server = await servers.current()
  assert.equal(countFilms(server), filmsBefore)
  assert.deepEqual(query(server, 'select * from vote'), [])
  assert.deepEqual(query(server, 'select likes from film where id = 20'), [{ likes: 0 }])
})

test('the log is quiet: one line each, no error', async () => assertQuietLog(await servers.current()))
