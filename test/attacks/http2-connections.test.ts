import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as connectTcp, type Socket } from 'node:net'
import { after, describe, test } from 'node:test'
import { connect, type ConnectionOptions } from 'node:tls'

import { data, flags, frameTypes, headers, openFrames, outcome, request } from '../support/http2-frames.ts'
import { startTlsServer } from '../support/http2-server.ts'

const maxConnections = 8
const scene = await startTlsServer({
  toml: `
[limits]
default = "100000000 per day"
authenticated = "100000000 per day"
total = "30 per minute"
[limits.routes]
"POST /add_film" = { only = "100000000 per day" }
[concurrency]
per_client = 5
`,
  env: {
    FILMGATE_SERVER_MAX_CONNECTIONS_PER_CLIENT: String(maxConnections),
    FILMGATE_SERVER_HEADER_TIMEOUT_MS: '500',
    FILMGATE_SERVER_REQUEST_TIMEOUT_MS: '900',
  },
})
after(() => scene[Symbol.asyncDispose]())
const { server } = scene

/** A TLS connection that speaks HTTP/1.1; what came back, when the server has ended it. */
const http1 = async (bytes: string | Buffer, from: string, options: ConnectionOptions = {}): Promise<string> => {
  const socket = connect({
    port: server.port,
    host: '127.0.0.1',
    localAddress: from,
    servername: 'localhost',
    ca: scene.ca,
    ALPNProtocols: ['http/1.1'],
    ...options,
  } as ConnectionOptions)
  let text = ''
  socket.on('error', () => undefined)
  socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk))
  socket.once('secureConnect', () => socket.write(bytes))
  await new Promise((resolve) => socket.once('close', resolve))
  return text
}

const statuses = (text: string): readonly number[] => [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => Number(status))

const linesOf = (client: string) => server.log().filter((record) => record.msg === 'request' && record['client'] === client)

const host = 'Host: localhost\r\n'

describe('limits hold over streams of one session as over connections', () => {
  test('total counts streams, refused and unknown ones too; each is logged once', async () => {
    const from = '127.0.0.41'
    using client = await scene.open(from)
    const ids = Array.from({ length: 40 }, (_, i) => 1 + 2 * i)
    const ends = []
    for (const id of ids) {
      client.send(headers(id, request({ path: id % 4 === 1 ? '/nowhere' : '/v1/films/1' })))
      ends.push(await outcome(client, id))
    }
    assert.equal(ends.filter(({ status }) => status === 429).length, 10)
    assert.ok(ends.slice(30).every(({ status }) => status === 429))
    await server.logged(() => linesOf(from).length >= 40)
    assert.equal(linesOf(from).length, 40)
    using again = await scene.open(from)
    again.send(headers(1, request()))
    assert.equal((await outcome(again, 1)).status, 429, 'another connection of the same client')
  })

  test('concurrency.per_client holds over streams: five bodies that are awaited, the sixth is refused', async () => {
    const from = '127.0.0.42'
    using client = await scene.open(from)
    const ids = [1, 3, 5, 7, 9]
    client.send(...ids.map((id) => headers(id, scene.post([['expect', '100-continue']]), flags.endHeaders)))
    await Promise.all(ids.map((id) => client.next((one) => one.type === frameTypes.headers && one.id === id)))
    using other = await scene.open(from)
    other.send(headers(1, scene.post(), flags.endHeaders))
    const refused = await outcome(other, 1)
    assert.equal(refused.status, 429)
    assert.match(refused.body ?? '', /"violated-policies":\["concurrency"\]/)
    // One that was given up makes room.
    client.send(data(1, '{}'))
    await client.next(({ type, id, flags: set }) => id === 1 && type === frameTypes.data && (set & flags.endStream) !== 0)
    other.send(headers(3, scene.post(), flags.endHeaders), data(3, '{}'))
    assert.equal((await outcome(other, 3)).status, 400)
  })

  test('connections of one client are bounded before the handshake', async () => {
    const from = '127.0.0.43'
    const opened: Socket[] = []
    for (let i = 0; i < maxConnections; i++) {
      const socket = connectTcp({ port: server.port, host: '127.0.0.1', localAddress: from })
      socket.on('error', () => undefined)
      opened.push(socket)
      await once(socket, 'connect')
    }
    await assert.rejects(openFrames(server.port, { ca: scene.ca, from }))
    await scene.assertServes()
    await Promise.all(opened.map((socket) => once(socket.resume().end(), 'close')))
    using client = await scene.open(from)
    client.send(headers(1, request()))
    assert.equal((await outcome(client, 1)).status, 200)
  })
})

describe('what fails before there is a request is no request: no answer in clear, no line, no unit of total', () => {
  const clear: Readonly<Record<string, string | Buffer>> = {
    'HTTP in clear [ASVS 12.2.1]': `GET / HTTP/1.1\r\n${host}\r\n`,
    'HTTP/2 in clear': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    garbage: Buffer.from('GARBAGE\r\n\r\n'),
    'a ClientHello that is cut off': Buffer.from('16030100a5010000a10303', 'hex'),
    'a record of SSL 3': Buffer.from('160300002f0100002b0300', 'hex'),
  }
  for (const [attack, bytes] of Object.entries(clear)) {
    test(attack, async () => {
      const socket = connectTcp({ port: server.port, host: '127.0.0.1', localAddress: '127.0.0.44' })
      let text = ''
      socket.on('error', () => undefined).on('data', (chunk: Buffer) => (text += chunk.toString('latin1')))
      socket.write(bytes)
      await once(socket, 'close')
      assert.doesNotMatch(text, /HTTP/)
    })
  }
  const handshakes: Readonly<Record<string, ConnectionOptions>> = {
    'TLS 1.1': { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' },
    'a protocol that we do not speak': { ALPNProtocols: ['spdy/3'] },
    'a client that does not trust us': { ca: [] },
  }
  for (const [attack, options] of Object.entries(handshakes)) {
    test(attack, async () => assert.equal(await http1(`GET / HTTP/1.1\r\n${host}\r\n`, '127.0.0.44', options), ''))
  }
  test('a reset in the middle of the handshake, 30 times: the process lives', async () => {
    for (let i = 0; i < 30; i++) {
      const socket = connectTcp({ port: server.port, host: '127.0.0.1', localAddress: '127.0.0.44' })
      socket.on('error', () => undefined)
      socket.write(Buffer.from('16030100a5010000a10303', 'hex'), () => socket.resetAndDestroy())
      await once(socket, 'close')
    }
    await scene.assertServes()
  })
  test('a reset in the middle of a request, 30 times: the process lives', async () => {
    for (let i = 0; i < 30; i++) {
      using client = await scene.open('127.0.0.46')
      client.send(headers(1, scene.post(), flags.endHeaders), headers(3, request()))
      // What came and was not read makes it a reset.
      client.socket.destroy()
      await client.ended
    }
    await scene.assertServes()
  })
  test('a connection that is opened ahead and never used is closed without a word', async () => {
    assert.equal(await http1('', '127.0.0.44'), '')
  })
  test('none of it was logged or counted', async () => {
    assert.deepEqual(linesOf('127.0.0.44'), [])
    using client = await scene.open('127.0.0.44')
    for (let id = 1; id < 61; id += 2) {
      client.send(headers(id, request()))
      assert.equal((await outcome(client, id)).status, 200)
    }
  })
})

describe('HTTP/1.1 over TLS keeps what plain HTTP/1.1 has', { concurrency: 4 }, () => {
  const post = `POST /add_film HTTP/1.1\r\n${host}Authorization: Bearer ${server.key()}\r\nContent-Type: application/json\r\n`
  const get = `GET /v1/films/1 HTTP/1.1\r\n${host}`
  const cases: Readonly<Record<string, readonly [bytes: string, statuses: readonly number[]]>> = {
    'a good request': [`${get}Connection: close\r\n\r\n`, [200]],
    garbage: ['GARBAGE\r\n\r\n', [400]],
    'no Host': ['GET / HTTP/1.1\r\nConnection: close\r\n\r\n', [400]],
    'a foreign Host (DNS rebinding)': ['GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n', [421]],
    'fields of 17 KB': [`${get}X-A: ${'a'.repeat(17_000)}\r\n\r\n`, [431]],
    'Content-Length and Transfer-Encoding (request smuggling)': [
      `${post}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      [400],
    ],
    'two Content-Length': [`${post}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`, [400]],
    'a bare LF in a chunk (funky chunks)': [`${post}Transfer-Encoding: chunked\r\n\r\n2\n{}\r\n0\r\n\r\n`, [400]],
    'a folded field': [`${get}X-A: a\r\n b\r\n\r\n`, [400]],
    CONNECT: [`CONNECT evil.example:443 HTTP/1.1\r\n${host}\r\n`, [405]],
    'two requests and garbage: answers keep their order': [`${get}\r\n${get}\r\nGARBAGE\r\n\r\n`, [200, 200, 400]],
    'a head that does not end (Slowloris)': [`${get}X-A: b\r\n`, [408]],
    'a body that never comes': [`${post}Content-Length: 100\r\n\r\n`, [408]],
    'Expect: 100-continue, then nothing': [`${post}Expect: 100-continue\r\nContent-Length: 100\r\n\r\n`, [100, 408]],
    'the preface of HTTP/2': ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', [400]],
  }
  for (const [i, [attack, [bytes, expected]]] of Object.entries(cases).entries()) {
    test(attack, async () => {
      const from = `127.0.1.${i + 1}`
      const text = await http1(bytes, from)
      assert.deepEqual(statuses(text), expected)
      assert.equal(text.match(/x-content-type-options: nosniff/gi)?.length, expected.filter((status) => status !== 100).length)
      const count = expected.filter((status) => status !== 100).length
      await server.logged(() => linesOf(from).length >= count)
      assert.equal(linesOf(from).length, count, 'one line each')
    })
  }
})

test('a client that offers no ALPN is served HTTP/1.1', async () => {
  const text = await http1(`GET /v1/films/1 HTTP/1.1\r\n${host}Connection: close\r\n\r\n`, '127.0.0.45', { ALPNProtocols: [] })
  assert.deepEqual(statuses(text), [200])
})

test('nothing of it harmed the server', () => scene.assertUnharmed())
