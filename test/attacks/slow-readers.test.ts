import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect as connectHttp2 } from 'node:http2'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { connect as connectTls } from 'node:tls'

import Fastify from 'fastify'

import * as layers from '../../src/layers/index.ts'
import { assertQuietLog } from '../support/attack.ts'
import { eventually, within } from '../support/deadline.ts'
import { isAlive } from '../support/restarting.ts'
import { startServer, type TestServer } from '../support/server.ts'

/** Over so long a reader is judged by the program: three times the time for a request. */
const readMs = 3000
const env = {
  FILMGATE_SERVER_HEADER_TIMEOUT_MS: '500',
  FILMGATE_SERVER_REQUEST_TIMEOUT_MS: String(readMs / 3),
  FILMGATE_PAGE_ENABLED: 'false',
}
const servers = { plain: await startServer({ env }), tls: await startServer({ env: { ...env, FILMGATE_TLS_MODE: 'dev' } }) }
after(() => Promise.all(Object.values(servers).map((server) => server[Symbol.asyncDispose]())))

const request = 'GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n'

const rssBytes = (server: TestServer): number =>
  Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${server.process.pid}/status`, 'utf8'))?.[1]) * 1024

const open = {
  plain: async (): Promise<Socket> => {
    const socket = connect({ port: servers.plain.port, host: '127.0.0.1' })
    await once(socket, 'connect')
    return socket
  },
  tls: async (): Promise<Socket> => {
    const ca = readFileSync(join(servers.tls.dataDir, 'dev-ca.pem'))
    const socket = connectTls({ port: servers.tls.port, host: '127.0.0.1', servername: 'localhost', ca, ALPNProtocols: ['http/1.1'] })
    await once(socket, 'secureConnect')
    return socket
  },
}

/** More than the buffers of both systems hold, asked for in one packet, so that it does not matter when the server stops reading. */
const wanted = request.repeat(100)

/** Reads nothing of it; resolves when the server has ended the connection. */
const askAndReadNothing = async (socket: Socket): Promise<void> => {
  socket.pause()
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  socket.on('error', () => undefined)
  socket.write(wanted)
  // Writing is how a client that does not read learns of the end.
  const probing = setInterval(() => socket.write('\r\n'), 100).unref()
  await closed
  clearInterval(probing)
}

for (const transport of ['plain', 'tls'] as const) {
  const server = servers[transport]
  describe(`a reader that takes nothing (slow read), ${transport}`, () => {
    test('is cut once its answers hold our memory; what was pending is logged as aborted', async () => {
      const startedMs = performance.now()
      await within(20_000, 'the end of the connection', askAndReadNothing(await open[transport]()))
      assert.ok(performance.now() - startedMs >= readMs, 'not before its time')
      const aborted = await server.logged((line) => line['verdict'] === 'aborted')
      assert.equal(aborted['route'], '/openapi.json')
      await server.logged((line) => line['policy'] === 'connections' && String(line['violated']) === 'min_read_rate')
      assert.ok(await isAlive(server))
    })

    test('50 of them at once do not grow the process, and all are cut', async (t) => {
      const sockets = await Promise.all(Array.from({ length: 50 }, () => open[transport]()))
      const before = rssBytes(server)
      let most = before
      const sampling = setInterval(() => (most = Math.max(most, rssBytes(server))), 50).unref()
      await within(40_000, 'the end of all connections', Promise.all(sockets.map(askAndReadNothing)))
      clearInterval(sampling)
      t.diagnostic(`RSS +${Math.round((most - before) / 1e6)} MB`)
      assert.ok(most - before < 200e6, `RSS grew by ${Math.round((most - before) / 1e6)} MB`)
      assert.ok(await isAlive(server))
    })
  })

  test(`an idle connection that took its answer stays, ${transport}`, async () => {
    const socket = await open[transport]()
    socket.write('GET /v1/films/1 HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await once(socket, 'data')
    // Until one that came later and takes nothing is cut: by then this one was looked at as often.
    await within(40_000, 'the end of a slow reader', askAndReadNothing(await open[transport]()))
    socket.write('GET /v1/films/2 HTTP/1.1\r\nHost: localhost\r\n\r\n')
    const [bytes] = (await once(socket, 'data')) as [Buffer]
    assert.match(bytes.toString('latin1'), /^HTTP\/1\.1 200/)
    socket.destroy()
  })
}

test('HTTP/2: a session whose connection is not read is cut, though its windows are wide open', async (t) => {
  const ca = readFileSync(join(servers.tls.dataDir, 'dev-ca.pem'))
  // Node's client reads its socket by itself: who does not read is the wire between them.
  const towards = connect({ port: servers.tls.port, host: '127.0.0.1' })
  const wire = createServer((socket) => {
    towards.on('data', (chunk) => void socket.write(chunk))
    socket.on('error', () => undefined).on('data', (chunk) => void towards.write(chunk))
  })
  await once(wire.listen(0, '127.0.0.1'), 'listening')
  const mostBytes = 2 ** 31 - 1
  const settings = { initialWindowSize: mostBytes, enablePush: false }
  const session = connectHttp2(`https://localhost:${(wire.address() as AddressInfo).port}`, { ca, settings })
  t.after(() => {
    session.destroy()
    towards.destroy()
    wire.close()
  })
  session.on('error', () => undefined)
  await once(session, 'remoteSettings')
  session.setLocalWindowSize(mostBytes)
  towards.pause()
  for (let i = 0; i < 80; i++) session.request({ ':path': '/openapi.json', ':authority': 'localhost' }).on('error', () => undefined)
  const before = servers.tls.log().length
  const isCut = (): boolean =>
    servers.tls
      .log()
      .slice(before)
      .some((line) => String(line['violated']) === 'min_read_rate')
  await eventually(20_000, 'the cut', isCut)
  assert.ok(await isAlive(servers.tls))
})

interface Streaming extends AsyncDisposable {
  readonly port: number
  readonly violated: readonly string[]
  /** Answers of `/held`, which begins to be answered then. */
  release(): void
  readonly asked: () => number
}

/** Somebody else's server: the bounds of connections, an answer of 24 MB, and one that waits. */
const openStreaming = async (slowReadMs: number): Promise<Streaming> => {
  const violated: string[] = []
  const sockets = new layers.Sockets({
    refuse: ({ problem }) => layers.rawAnswer(problem, 'id', {}),
    maxConnections: 100,
    maxConnectionsPerClient: 100,
    clientPrefixOf: () => 'all',
    isTrusted: () => false,
    onTooMany: (_socket, bound) => void violated.push(bound),
    slowReadMs,
  })
  const app = Fastify({ clientErrorHandler: sockets.onClientError })
  sockets.attach(app.server, (asked, response) => app.routing(asked, response))
  let asked = 0
  const { promise: held, resolve: release } = Promise.withResolvers<string>()
  app.get('/large', (_request, reply) => reply.send(Buffer.alloc(largeBytes, 'x')))
  app.get('/held', () => {
    asked++
    return held
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  return { port, violated, release: () => release('done'), asked: () => asked, [Symbol.asyncDispose]: () => app.close() }
}

const largeBytes = 24_000_000

test('a reader that takes it in sips gets all of it', async () => {
  await using server = await openStreaming(1000)
  const socket = connect({ port: server.port, host: '127.0.0.1' })
  socket.write('GET /large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
  let bytes = 0
  // 1.5 MB at a time, which is what the buffers of two systems that are one machine need to move at all, with a pause of a third of the second over which it is judged here.
  socket.on('data', (chunk: Buffer) => {
    const before = bytes
    bytes += chunk.length
    if (Math.floor(before / 1.5e6) === Math.floor(bytes / 1.5e6)) return
    socket.pause()
    setTimeout(() => socket.resume(), 300)
  })
  await within(60_000, 'the whole answer', once(socket, 'close'))
  assert.ok(bytes > largeBytes, `${bytes} bytes`)
  assert.deepEqual(server.violated, [])
})

describe('a flood behind a request that is not answered yet', () => {
  const get = 'GET /held HTTP/1.1\r\nHost: localhost\r\n\r\n'

  test('129 wait: they are served, in order', async () => {
    await using server = await openStreaming(1000)
    const socket = connect({ port: server.port, host: '127.0.0.1' })
    let text = ''
    socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk))
    socket.write(get.repeat(128) + get.replace('keep-alive', '').replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'))
    await eventually(5000, 'all are asked', () => server.asked() === 129)
    server.release()
    await once(socket, 'close')
    assert.equal(text.match(/HTTP\/1\.1 200/g)?.length, 129)
    assert.deepEqual(server.violated, [])
  })

  test('2,000 in one packet: the connection is cut, and nothing is kept', async () => {
    await using server = await openStreaming(1000)
    const socket = connect({ port: server.port, host: '127.0.0.1' })
    socket.on('error', () => undefined)
    let text = ''
    socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk))
    socket.write(get.repeat(2000))
    await within(5000, 'the end of the connection', new Promise((resolve) => socket.once('close', resolve)))
    assert.deepEqual([...new Set(server.violated)], ['max_pipelined'])
    assert.equal(text, '')
    server.release()
  })
})

test('the logs are quiet', () => {
  for (const server of Object.values(servers)) assertQuietLog(server)
})
