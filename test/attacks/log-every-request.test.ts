import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { after, describe, test } from 'node:test'

import { exchange } from '../support/attack.ts'
import { data, flags, headers, outcome, request, reset } from '../support/http2-frames.ts'
import { startTlsServer } from '../support/http2-server.ts'
import { raisedLimits, startServer, type TestServer } from '../support/server.ts'

const env = {
  FILMGATE_SERVER_HEADER_TIMEOUT_MS: '1000',
  FILMGATE_SERVER_REQUEST_TIMEOUT_MS: '1500',
}
const server = await startServer({ env, toml: `${raisedLimits}"GET /v1/films/:id" = { only = "2 per hour" }\n` })
after(() => server[Symbol.asyncDispose]())

type Line = readonly [method: string | null, status: number | null, verdict: string]

interface Kind {
  readonly bytes: string | Buffer
  /** In the order of the answers. */
  readonly lines: readonly Line[]
  /** What the client does when everything is sent; default it reads until the server ends the connection. */
  readonly ending?: 'end' | 'reset' | 'reset when heard'
}

const host = 'Host: localhost\r\n'
const close = 'Connection: close\r\n'
const json = 'Content-Type: application/json\r\n'
const keyed = `POST /add_film HTTP/1.1\r\n${host}${close}${json}Authorization: Bearer ${server.key()}\r\n`
const get = (target: string, more = close): string => `GET ${target} HTTP/1.1\r\n${host}${more}\r\n`
const body = (text: string): string => `Content-Length: ${text.length}\r\n\r\n${text}`

const kinds: Readonly<Record<string, Kind>> = {
  'a good request': { bytes: get('/v1/films/1'), lines: [['GET', 200, 'ok']] },
  HEAD: { bytes: `HEAD /v1/films/1 HTTP/1.1\r\n${host}${close}\r\n`, lines: [['HEAD', 200, 'ok']] },
  'HTTP/1.0': { bytes: 'GET /v1/films/1 HTTP/1.0\r\nHost: localhost\r\n\r\n', lines: [['GET', 200, 'ok']] },
  'three in one packet': {
    bytes: get('/v1/films/1', '') + get('/nowhere', '') + get('/v1/films/2'),
    lines: [
      ['GET', 200, 'ok'],
      ['GET', 404, 'not_found'],
      ['GET', 200, 'ok'],
    ],
  },
  'a good one and garbage': {
    bytes: `${get('/v1/films/1', '')}GARBAGE\r\n\r\n`,
    lines: [
      ['GET', 200, 'ok'],
      [null, 400, 'bad_request'],
    ],
  },
  'a limit': {
    bytes: get('/v1/films/1', '') + get('/v1/films/2', '') + get('/v1/films/3'),
    lines: [
      ['GET', 200, 'ok'],
      ['GET', 200, 'ok'],
      ['GET', 429, 'quota_exceeded'],
    ],
  },
  'no credentials': { bytes: `POST /add_film HTTP/1.1\r\n${host}${close}${json}${body('{}')}`, lines: [['POST', 401, 'unauthenticated']] },
  'a method that is not there': { bytes: `DELETE / HTTP/1.1\r\n${host}${close}\r\n`, lines: [['DELETE', 405, 'method_not_allowed']] },
  'OPTIONS of everything': { bytes: `OPTIONS * HTTP/1.1\r\n${host}${close}\r\n`, lines: [['OPTIONS', 204, 'ok']] },
  'a target that cannot be decoded': { bytes: get('/%'), lines: [['GET', 400, 'bad_request']] },
  'a target of 5 KB': { bytes: get(`/${'a'.repeat(5120)}`), lines: [['GET', 414, 'uri_too_long']] },
  'a blank in the target': { bytes: get('/a b'), lines: [[null, 400, 'bad_request']] },
  'a foreign host': { bytes: `GET / HTTP/1.1\r\nHost: evil.example\r\n${close}\r\n`, lines: [['GET', 421, 'misdirected_request']] },
  'fields of 40 KB': { bytes: get('/', `X-A: ${'a'.repeat(40_000)}\r\n`), lines: [[null, 431, 'headers_too_large']] },
  'Content-Length and Transfer-Encoding': {
    bytes: `${keyed}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    lines: [[null, 400, 'bad_request']],
  },
  'a chunk that is none': { bytes: `${keyed}Transfer-Encoding: chunked\r\n\r\nZZ\r\n`, lines: [['POST', 400, 'bad_request']] },
  'broken JSON': { bytes: keyed + body('{,'), lines: [['POST', 400, 'bad_request']] },
  'what the schema refuses': { bytes: keyed + body('{"name":7}'), lines: [['POST', 400, 'validation_failed']] },
  'a body that is too long': { bytes: keyed + body(' '.repeat(100_000)), lines: [['POST', 413, 'payload_too_large']] },
  'another media type': {
    bytes: (keyed + body('x=1')).replace('application/json', 'text/plain'),
    lines: [['POST', 415, 'unsupported_media_type']],
  },
  CONNECT: {
    bytes: 'CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n',
    lines: [['CONNECT', 405, 'method_not_allowed']],
  },
  'an upgrade': { bytes: get('/v1/films/1', 'Connection: Upgrade, close\r\nUpgrade: websocket\r\n'), lines: [['GET', 200, 'ok']] },
  'an expectation that is not met': { bytes: `${keyed}Expect: foo\r\n${body('{}')}`, lines: [['POST', 417, 'expectation_failed']] },
  'Expect: 100-continue': { bytes: `${keyed}Expect: 100-continue\r\n${body('{,')}`, lines: [['POST', 400, 'bad_request']] },
  'an HTTP/2 preface': { bytes: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', lines: [[null, 400, 'bad_request']] },
  'a TLS hello': { bytes: Buffer.from('16030100a5010000a10303', 'hex'), lines: [[null, 400, 'bad_request']] },
  'a head that never ends': { bytes: `GET / HTTP/1.1\r\n${host}X-A`, lines: [[null, 408, 'request_timeout']] },
  'a body that never ends': { bytes: `${keyed}Content-Length: 100\r\n\r\n{`, lines: [['POST', 408, 'request_timeout']] },
  'a client that goes in the middle of its body': {
    bytes: `${keyed}Content-Length: 100\r\n\r\n{`,
    ending: 'reset when heard',
    lines: [['POST', null, 'aborted']],
  },
  'a client that ends its side in the middle of its body': {
    bytes: `${keyed}Content-Length: 100\r\n\r\n{`,
    ending: 'end',
    lines: [['POST', 400, 'bad_request']],
  },
  'a client that ends its side in the middle of its head': {
    bytes: `GET / HTTP/1.1\r\n${host}`,
    ending: 'end',
    lines: [[null, 400, 'bad_request']],
  },
  'a connection without a byte': { bytes: '', ending: 'end', lines: [] },
}

/** Each kind comes from an address of its own: the one thing that every line has, whatever was refused how early. */
const addressOf = (index: number): string => `127.0.9.${index + 1}`

const send = async ({ bytes, ending }: Kind, from: string): Promise<void> => {
  if (ending === undefined) return void (await exchange(server.port, bytes, { from, timeoutMs: 20_000 }))
  const socket = connect({ port: server.port, host: '127.0.0.1', localAddress: from })
  socket.on('error', () => undefined)
  const closed = once(socket.resume(), 'close')
  await once(socket, 'connect')
  if (ending === 'end') socket.end(bytes)
  else {
    // 100 says that the head is with the server.
    socket.write(bytes.toString().replace('\r\n\r\n', '\r\nExpect: 100-continue\r\n\r\n'))
    socket.once('data', () => socket.resetAndDestroy())
  }
  await closed
}

const linesOf = (of: TestServer, client: string): Line[] =>
  of
    .log()
    .filter((record) => record.msg === 'request' && record['client'] === client)
    // How far the answer had come when its client went is a matter of microseconds.
    .map(({ method, status, verdict }) => [method, verdict === 'aborted' ? null : status, verdict] as Line)

describe('[ASVS 16.3.4] every request leaves exactly one line, whatever becomes of it', () => {
  test('over HTTP/1.1, ended by SIGTERM', async (t) => {
    await Promise.all(Object.values(kinds).map((kind, index) => send(kind, addressOf(index))))
    assert.equal(await server.kill('SIGTERM'), 0)
    for (const [index, [name, { lines }]] of Object.entries(kinds).entries()) {
      await t.test(name, () => assert.deepEqual(linesOf(server, addressOf(index)), lines))
    }
  })
})

const secure = await startTlsServer({ env })
after(() => secure[Symbol.asyncDispose]())

interface Streams {
  readonly frames: readonly Buffer[]
  /** Streams whose end is waited for; default none, the connection is closed at once. */
  readonly heard?: readonly number[]
  readonly lines: readonly Line[]
}

/** Streams end in any order. */
const sorted = (lines: readonly Line[]): string[] => lines.map(String).toSorted()

const one = request({ path: '/v1/films/1' })

const streams: Readonly<Record<string, Streams>> = {
  'a good request': { frames: [headers(1, one)], heard: [1], lines: [['GET', 200, 'ok']] },
  'three on one connection, two of them refused': {
    frames: [headers(1, one), headers(3, request({ path: '/nowhere' })), headers(5, request({ authority: 'evil.example' }))],
    heard: [1, 3, 5],
    lines: [
      ['GET', 200, 'ok'],
      ['GET', 404, 'not_found'],
      ['GET', 421, 'misdirected_request'],
    ],
  },
  'a reset in the same packet': {
    frames: [Buffer.concat([headers(1, one), reset(1)]), headers(3, one)],
    heard: [3],
    lines: [
      ['GET', null, 'aborted'],
      ['GET', 200, 'ok'],
    ],
  },
  'a body that is too long': {
    frames: [
      headers(1, secure.post(), flags.endHeaders),
      ...Array.from({ length: 4 }, () => data(1, ' '.repeat(16_000), 0)),
      data(1, ' '.repeat(16_000)),
    ],
    heard: [1],
    lines: [['POST', 413, 'payload_too_large']],
  },
  'a body that never ends': {
    frames: [headers(1, secure.post(), flags.endHeaders), data(1, '{', 0)],
    heard: [1],
    lines: [['POST', 408, 'request_timeout']],
  },
  'a client that goes in the middle of its body': {
    frames: [headers(3, one), headers(5, secure.post(), flags.endHeaders), data(5, '{', 0)],
    heard: [3],
    lines: [
      ['GET', 200, 'ok'],
      ['POST', null, 'aborted'],
    ],
  },
  CONNECT: {
    frames: [
      headers(1, [
        [':method', 'CONNECT'],
        [':authority', 'evil.example:443'],
      ]),
    ],
    heard: [1],
    lines: [['CONNECT', 405, 'method_not_allowed']],
  },
}

test('[ASVS 16.3.4] every stream of HTTP/2 leaves exactly one line', async (t) => {
  const all = Object.entries(streams)
  await Promise.all(
    all.map(async ([, { frames, heard = [] }], index) => {
      using client = await secure.open(addressOf(index))
      client.send(...frames)
      for (const id of heard) await outcome(client, id)
    }),
  )
  // Those that went away are noticed after their connection is.
  await secure.server.logged(() => all.every(([, { lines }], index) => linesOf(secure.server, addressOf(index)).length >= lines.length))
  assert.equal(await secure.server.kill('SIGTERM'), 0)
  for (const [index, [name, { lines }]] of all.entries()) {
    await t.test(name, () => assert.deepEqual(sorted(linesOf(secure.server, addressOf(index))), sorted(lines)))
  }
})
