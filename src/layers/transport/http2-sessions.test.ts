import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type Server, ServerResponse } from 'node:http'
import {
  type ClientHttp2Session,
  connect,
  constants,
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerRequest,
  Http2ServerResponse,
} from 'node:http2'
import type { AddressInfo } from 'node:net'
import { describe, test } from 'node:test'

import { createTestAuthority } from '../../../test/support/tls-material.ts'
import { secureServerOptions } from './secure-server.ts'
import { Http2Sessions, type Http2SessionsOptions } from './http2-sessions.ts'

const never = 3_600_000
const { cert, key } = await (await createTestAuthority()).issue()

const responses = { http1: ServerResponse, http2: Http2ServerResponse }

type Answer = (request: Http2ServerRequest, response: Http2ServerResponse) => void

/** A server with nothing else on it, whose clock stands still until it is moved, and is looked at only then. */
const start = async (limits: Partial<Http2SessionsOptions>, answer: Answer = (_request, response) => void response.end('whole')) => {
  let nowMs = 0
  const sessions = new Http2Sessions({
    headerTimeoutMs: never,
    requestTimeoutMs: never,
    keepAliveMs: never,
    monotonicMs: () => nowMs,
    failBody: () => undefined,
    onAbuse: () => undefined,
    onSession: () => undefined,
    ...limits,
  })
  const server = createSecureServer(
    { ...secureServerOptions({ material: { cert, key }, responses, handshakeTimeout: never, http1: {} }) },
    answer,
  )
  sessions.attach(server as unknown as Server)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  const open = async (): Promise<ClientHttp2Session> => {
    const client = connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false })
    client.on('error', () => undefined)
    await once(client, 'remoteSettings')
    await ping(client)
    return client
  }
  const passes = (ms: number): void => {
    nowMs += ms
    sessions.look()
  }
  return { server, open, passes, [Symbol.dispose]: () => stop(server) }
}

const stop = (server: Http2SecureServer): void => {
  ;(server as unknown as Server).closeAllConnections()
  server.close()
}

const ping = (client: ClientHttp2Session): Promise<void> =>
  new Promise((resolve, reject) => client.ping((error) => (error === null ? resolve() : reject(error))))

const get = (client: ClientHttp2Session): Promise<string> =>
  new Promise((resolve, reject) => {
    let text = ''
    client
      .request({ ':path': '/' })
      .setEncoding('utf8')
      .on('data', (chunk: string) => (text += chunk))
      .on('end', () => resolve(text))
      .on('error', reject)
  })

describe('a session without requests', () => {
  test('is told to go after the keep-alive time, although it sends PING and SETTINGS all the while', async () => {
    using scene = await start({ keepAliveMs: 72_000 })
    const client = await scene.open()
    const gone = once(client, 'goaway')
    for (let i = 0; i < 8; i++) {
      scene.passes(8000)
      await ping(client)
      client.settings({ headerTableSize: 4096 - i })
    }
    assert.equal(client.closed, false, '64 s')
    scene.passes(8000)
    const [code] = (await gone) as [number]
    assert.equal(code, constants.NGHTTP2_NO_ERROR)
  })

  test('that has just had one begins to wait anew', async () => {
    using scene = await start({ keepAliveMs: 72_000 })
    const client = await scene.open()
    scene.passes(71_000)
    assert.equal(await get(client), 'whole')
    scene.passes(1000)
    scene.passes(71_000)
    assert.equal(await get(client), 'whole')
    assert.equal(client.closed, false)
  })
})

test('closeAllConnections, which HTTP/2 servers of Node lack, ends a session with a request in the making', async () => {
  using scene = await start({})
  const client = await scene.open()
  const stream = client.request({ ':method': 'POST', ':path': '/' })
  const closed = once(client, 'close')
  stream.on('error', () => undefined)
  ;(scene.server as unknown as Server).closeAllConnections()
  await closed
})

for (const method of ['GET', 'HEAD', 'POST']) {
  test(`${method}: an answer that takes longer than any deadline of the request is given`, async () => {
    const asked = Promise.withResolvers<Http2ServerResponse>()
    using scene = await start({ requestTimeoutMs: 1000, headerTimeoutMs: 1000 }, (_request, response) => asked.resolve(response))
    const client = await scene.open()
    const stream = client.request({ ':method': method, ':path': '/' }, { endStream: false })
    // A body that is there in whole, and that nobody reads.
    stream.end('body')
    const answer = await asked.promise
    for (let i = 0; i < 20; i++) {
      scene.passes(250)
      await ping(client)
    }
    answer.end('late')
    const [fields] = (await once(stream, 'response')) as [{ readonly ':status': number }]
    assert.equal(fields[':status'], 200)
  })
}

test('an answer whose client keeps up is not cut, however often the same amount waits', async () => {
  const chunk = Buffer.alloc(16_384)
  const asked = Promise.withResolvers<Http2ServerResponse>()
  using scene = await start({ requestTimeoutMs: 1000 }, (_request, response) => asked.resolve(response))
  const client = await scene.open()
  const stream = client.request({ ':path': '/' })
  let taken = 0
  stream.on('data', (bytes: Buffer) => (taken += bytes.length))
  const answer = await asked.promise
  for (let i = 0; i < 12; i++) {
    answer.write(chunk)
    scene.passes(500)
    await ping(client)
  }
  answer.end()
  await once(stream, 'end')
  assert.equal(taken, 12 * chunk.length)
})
