import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import http2 from 'node:http2'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { connect as connectTls } from 'node:tls'

import { FailedHandshakes } from '../../src/layers/transport/failed-handshakes.ts'
import { secureContextOptions } from '../../src/layers/transport/tls-context.ts'
import { assertQuietLog } from '../support/attack.ts'
import { eventually } from '../support/deadline.ts'
import { askHttp1, shakeHands } from '../support/secure-client.ts'
import { type LogRecord, startServer, type TestServer } from '../support/server.ts'
import { createTestAuthority } from '../support/tls-material.ts'

/** What a client says first: it can be said again by anybody, without any key. */
const captureHello = async (): Promise<Buffer> => {
  const listening = createServer().listen(0, '127.0.0.1')
  await once(listening, 'listening')
  const { port } = listening.address() as AddressInfo
  const client = connectTls({ host: '127.0.0.1', port, servername: 'localhost', ALPNProtocols: ['h2', 'http/1.1'] })
  client.on('error', () => undefined)
  const [socket] = (await once(listening, 'connection')) as [Socket]
  const [bytes] = (await once(socket, 'data')) as [Buffer]
  client.destroy()
  socket.destroy()
  listening.close()
  return bytes
}

const hello = await captureHello()

/** Sends the hello and leaves when the server answers it; whether it did. */
const replay = (port: number, from: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', localAddress: from })
    let isAnswered = false
    socket.on('error', () => undefined)
    socket.once('data', () => {
      isAnswered = true
      socket.destroy()
    })
    socket.once('close', () => resolve(isAnswered))
    socket.write(hello)
  })

const atOnce = 16

/** Goes on until so many were closed unanswered. */
const flood = async (port: number, from: string, wanted: number) => {
  const startedMs = performance.now()
  const count = { answered: 0, cut: 0 }
  const attack = async (): Promise<void> => {
    while (count.cut < wanted) {
      assert.ok(performance.now() - startedMs < 60_000, `never cut: ${count.answered} answered`)
      count[(await replay(port, from)) ? 'answered' : 'cut']++
    }
  }
  await Promise.all(Array.from({ length: atOnce }, attack))
  return { ...count, seconds: (performance.now() - startedMs) / 1000 }
}

const isTold = (record: LogRecord): boolean => record['policy'] === 'connections'

/** A handshake that the server, too, sees completed: over TLS 1.3 it still waits for the last message when the client is through. */
const completed = async (options: Parameters<typeof shakeHands>[0]) => {
  const socket = await shakeHands(options)
  await new Promise((resolve) => socket.write('GET', resolve))
  return socket
}

/** The loopback address that a client comes from. */
const from = (localAddress: string) => ({ localAddress })

describe('one captured ClientHello, sent again and again', () => {
  let server: TestServer
  let ca = ''
  before(async () => {
    server = await startServer({ env: { FILMGATE_TLS_MODE: 'dev' } })
    ca = readFileSync(`${server.dataDir}/dev-ca.pem`, 'utf8')
  })
  after(() => server[Symbol.asyncDispose]())

  test('is answered 256 times, and 20 times more each second; the rest is closed before any handshake, and others are served', async () => {
    const startedMs = performance.now()
    const attack = flood(server.port, '127.0.0.9', 2000)
    await eventually(60_000, 'it is told', () => server.log().some(isTold))
    for (let i = 0; i < 20; i++) assert.equal((await askHttp1({ port: server.port, ca })).status, 200)
    const { answered, cut, seconds } = await attack
    const told = await server.logged(isTold)

    assert.ok(answered >= 256, `${answered} answered`)
    assert.ok(answered <= 256 + atOnce + 20 * seconds, `${answered} answered in ${seconds} s`)
    assert.ok(cut >= 2000)
    assert.deepEqual(
      [told['event'], told['client'], told['violated']],
      ['excess_rate_limit_exceeded', '127.0.0.9', ['max_failed_handshakes']],
    )
    // The first at once, each further one a second behind.
    const events = server.log().filter(isTold).length
    assert.ok(events <= 1 + (performance.now() - startedMs) / 1000, `${events} events`)
  })

  test('who sent it is served again when the failures are forgotten', async () => {
    await eventually(30_000, 'a handshake', async () => {
      const socket = await shakeHands({ port: server.port, ca, servername: 'localhost', ...from('127.0.0.9') }).catch(() => undefined)
      socket?.destroy()
      return socket !== undefined
    })
  })

  test('nothing of this made the server stumble', () => assertQuietLog(server))
})

/** A server with TLS of ours and nothing behind it, that takes three failures and forgets none while a test runs. */
const openStrict = async (isTrusted: boolean) => {
  const authority = await createTestAuthority()
  const server = http2.createSecureServer({ ...secureContextOptions(await authority.issue()), allowHTTP1: true, handshakeTimeout: 60_000 })
  server.on('secureConnection', (socket) => socket.on('error', () => undefined))
  server.on('tlsClientError', (_error, socket) => void socket.destroy())
  const seen = { accepted: 0, open: 0, completed: 0, refused: 0 }
  server.on('connection', (socket: Socket) => {
    seen.accepted++
    seen.open++
    socket.once('close', () => seen.open--)
  })
  server.on('secureConnection', () => seen.completed++)
  const failed = new FailedHandshakes({
    monotonicMs: () => performance.now(),
    clientPrefixOf: (socket) => socket.remoteAddress ?? 'unknown',
    isTrusted: () => isTrusted,
    onTooMany: () => seen.refused++,
    bounds: { burst: 3, perSecond: 0.001, mostClients: 100 },
  })
  failed.attach(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  /** A connection counts when the server, too, knows that it is over. */
  const settled = (accepted: number) => eventually(20_000, 'all are closed', () => seen.accepted === accepted && seen.open === 0)
  const closed = () => new Promise((resolve) => server.close(resolve))
  return { port, ca: authority.ca, seen, settled, [Symbol.asyncDispose]: closed as () => Promise<void> }
}

describe('who completes handshakes', () => {
  test('is never counted, whatever was agreed and however it leaves', async () => {
    await using server = await openStrict(false)
    const options = { port: server.port, ca: server.ca, servername: 'localhost' }
    for (let round = 0; round < 10; round++)
      for (const [i, maxVersion] of (['TLSv1.2', 'TLSv1.3'] as const).entries())
        for (const ALPNProtocols of [['h2'], ['http/1.1'], []]) {
          const socket = await completed({ ...options, maxVersion, ALPNProtocols })
          if ((round + i) % 2 === 0) socket.destroy()
          else socket.end()
          socket.resume()
        }
    await server.settled(60)
    assert.deepEqual([server.seen.completed, server.seen.refused], [60, 0])
  })

  test('is refused behind three that it did not complete, like everybody from there, and from nowhere else', async () => {
    await using server = await openStrict(false)
    const options = { port: server.port, ca: server.ca, servername: 'localhost' }
    const stranger = (await createTestAuthority()).ca
    // A replay, a certificate that the client does not believe, and nothing at all.
    assert.equal(await replay(server.port, '127.0.0.1'), true)
    await assert.rejects(shakeHands({ ...options, ca: stranger }))
    connect(server.port, '127.0.0.1')
      .on('error', () => undefined)
      .end()
    await server.settled(3)
    assert.equal(server.seen.refused, 0)
    assert.equal(await replay(server.port, '127.0.0.1'), false)
    await assert.rejects(shakeHands(options))
    const other = await completed({ ...options, ...from('127.0.0.2') })
    other.destroy()
    await server.settled(6)
    assert.deepEqual([server.seen.completed, server.seen.refused], [1, 2])
  })

  test('a trusted proxy may fail as often as it likes: it stands for many', async () => {
    await using server = await openStrict(true)
    for (let i = 0; i < 20; i++) assert.equal(await replay(server.port, '127.0.0.1'), true)
    await server.settled(20)
    assert.equal(server.seen.refused, 0)
  })
})
