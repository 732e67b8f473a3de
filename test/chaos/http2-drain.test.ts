import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import { connect as connectTls } from 'node:tls'

import { data, errorCodes, flags, type FrameClient, frameTypes, headers, outcome, request } from '../support/http2-frames.ts'
import { startTlsServer, type TlsServer } from '../support/http2-server.ts'

const film = '{"name":"Slow Film"}'

/** The head of a request is with the server: the answer to 100-continue says so. */
const openHalfPost = async (scene: TlsServer): Promise<FrameClient> => {
  const client = await scene.open()
  client.send(headers(1, scene.post([['expect', '100-continue']]), flags.endHeaders))
  await client.next(({ type, id }) => type === frameTypes.headers && id === 1)
  return client
}

const openIdle = async (scene: TlsServer): Promise<FrameClient> => {
  const client = await scene.open()
  client.send(headers(1, request()))
  assert.equal((await outcome(client, 1)).status, 200)
  return client
}

/** Sends SIGTERM, and resolves with how long the process took to end well. */
const stop = async ({ server }: TlsServer): Promise<number> => {
  const startedMs = performance.now()
  assert.equal(await server.kill('SIGTERM'), 0)
  return performance.now() - startedMs
}

const isGoaway = ({ type }: { type: number }): boolean => type === frameTypes.goaway

test('SIGTERM with half a request on a stream: GOAWAY, it is answered, new streams are not, exit 0', async () => {
  await using scene = await startTlsServer()
  const { server } = scene
  using slow = await openHalfPost(scene)
  server.process.kill('SIGTERM')
  const goaway = await slow.next(isGoaway)
  assert.equal(goaway.payload.readUInt32BE(4), errorCodes.none)
  slow.send(headers(3, request({ path: '/v1/films/7' })))
  slow.send(data(1, film))
  await slow.next(({ type, id, flags: set }) => type === frameTypes.data && id === 1 && (set & flags.endStream) !== 0)
  await slow.ended
  assert.ok(!slow.frames.some(({ type, id }) => id === 3 && type === frameTypes.headers), 'no answer on a new stream')
  assert.equal(await server.kill('SIGTERM'), 0)
  const lines = server.log().filter(({ msg }) => msg === 'request')
  assert.deepEqual(
    lines.map(({ method, status, verdict }) => ({ method, status, verdict })),
    [{ method: 'POST', status: 201, verdict: 'ok' }],
  )
})

test('SIGTERM with 5 idle sessions whose clients do not hang up: they are told, and cut', async (t) => {
  await using scene = await startTlsServer()
  const idle = await Promise.all(Array.from({ length: 5 }, () => openIdle(scene)))
  for (const { socket } of idle) socket.allowHalfOpen = true
  const tookMs = await stop(scene)
  t.diagnostic(`exit after ${Math.round(tookMs)} ms`)
  for (const { socket } of idle) socket.destroy()
  assert.deepEqual(
    await Promise.all(idle.map(({ ended }) => ended)),
    Array.from({ length: 5 }, () => errorCodes.none),
  )
  assert.ok(tookMs < 5000, `took ${tookMs} ms`)
})

test('what hangs over TLS is cut after 10 s: a stream, a request of HTTP/1.1, a handshake', async (t) => {
  await using scene = await startTlsServer({
    env: { FILMGATE_SERVER_REQUEST_TIMEOUT_MS: '60000', FILMGATE_SERVER_HEADER_TIMEOUT_MS: '60000' },
  })
  const { server } = scene
  using hanging = await openHalfPost(scene)
  const http1 = connectTls({ port: server.port, host: '127.0.0.1', servername: 'localhost', ca: scene.ca, ALPNProtocols: ['http/1.1'] })
  await once(
    http1.on('error', () => undefined),
    'secureConnect',
  )
  http1.write('GET / HTTP/1.1\r\nHost: localhost\r\n')
  const handshake = connect({ port: server.port, host: '127.0.0.1' })
  await once(
    handshake.on('error', () => undefined),
    'connect',
  )
  handshake.write(Buffer.from('16030100a5010000a10303', 'hex'))
  const ends = [http1, handshake].map((socket) => once(socket.resume(), 'close'))
  const tookMs = await stop(scene)
  t.diagnostic(`exit after ${Math.round(tookMs)} ms`)
  await Promise.all([...ends, hanging.ended])
  assert.ok(tookMs > 9500 && tookMs < 13_000, `took ${tookMs} ms`)
  assert.deepEqual(
    server
      .log()
      .filter(({ route }) => route === '/add_film')
      .map(({ verdict }) => verdict),
    ['aborted'],
  )
})
