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
import { setImmediate as turn } from 'node:timers/promises'

import {
  data,
  errorCodes,
  flags,
  frame,
  type FrameClient,
  frameTypes,
  headers,
  hello,
  openFrames,
  preface,
  request,
  settings,
  settingsAck,
  windowUpdate,
  word,
} from '../../../test/support/http2-frames.ts'
import { createTestAuthority } from '../../../test/support/tls-material.ts'
import { secureServerOptions } from './secure-server.ts'
import { waitsForTcp } from './slow-readers.ts'
import { Http2Sessions, type Http2SessionsOptions } from './http2-sessions.ts'

const never = 3_600_000
const authority = await createTestAuthority()
const { cert, key } = await authority.issue()

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
  const openRaw = (): Promise<FrameClient> => openFrames(port, { ca: authority.ca })
  const passes = (ms: number): void => {
    nowMs += ms
    sessions.look()
  }
  return { server, open, openRaw, passes, [Symbol.dispose]: () => stop(server) }
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

/** Until everything sent before has been dealt with, and what came of it has arrived. */
const echo = async (client: FrameClient, i: number): Promise<void> => {
  const payload = Buffer.concat([word(1), word(i)])
  client.send(frame(frameTypes.ping, flags.none, 0, payload))
  await client.next((one) => one.type === frameTypes.ping && one.flags === flags.ack && one.payload.equals(payload))
}

const taken = ({ frames }: FrameClient, id: number): number =>
  frames.filter((one) => one.type === frameTypes.data && one.id === id).reduce((sum, { payload }) => sum + payload.length, 0)

const resetCode = ({ frames }: FrameClient, id: number): number | undefined =>
  frames.find((one) => one.type === frameTypes.reset && one.id === id)?.payload.readUInt32BE()

describe('an answer in one large piece, of which nothing is seen until all of it is out', () => {
  const answerBytes = 200_000
  const begin = async (bytes = answerBytes) => {
    const scene = await start({ requestTimeoutMs: 1000 }, (_request, response) => void response.end(Buffer.alloc(bytes)))
    const client = await scene.openRaw()
    // No window but what is given.
    const closed = settings([
      [1, 0],
      [4, 0],
    ])
    client.send(preface, closed, settingsAck, headers(1, request()))
    await client.next(({ type, id }) => type === frameTypes.headers && id === 1)
    return { ...scene, client }
  }
  /** Takes so much each 250 ms until it is cut, at most so long; resolves with the time that it had. */
  const take = async ({ client, passes }: Awaited<ReturnType<typeof begin>>, perLook: number, mostMs: number): Promise<number> => {
    let ms = 0
    for (; ms < mostMs && resetCode(client, 1) === undefined; ms += 250) {
      const before = taken(client, 1)
      if (perLook > 0) {
        client.send(windowUpdate(1, perLook))
        await client.next(() => taken(client, 1) === before + perLook)
      }
      passes(250)
      await echo(client, ms)
    }
    return ms
  }

  test('1.2 KB/s: whoever takes it so slowly for twenty times the deadline is given all of it', async () => {
    using scene = await begin()
    assert.equal(await take(scene, 300, 20_000), 20_000)
    scene.client.send(windowUpdate(0, answerBytes), windowUpdate(1, answerBytes))
    await scene.client.next((one) => one.type === frameTypes.data && one.id === 1 && one.flags === flags.endStream)
    assert.equal(taken(scene.client, 1), answerBytes)
  })
  test('a rest that is shorter than the deadline is made up for by what was taken before and after', async () => {
    using scene = await begin()
    for (let i = 0; i < 10; i++) {
      assert.equal(await take(scene, 2000, 250), 250)
      assert.equal(await take(scene, 0, 500), 500)
    }
    assert.equal(resetCode(scene.client, 1), undefined)
  })
  for (const [perLook, mostMs] of [
    [200, 3500],
    [1, 1500],
    [0, 1500],
  ] as const) {
    test(`${perLook * 4} bytes a second: cut within ${mostMs} ms`, async () => {
      using scene = await begin()
      const ms = await take(scene, perLook, 20_000)
      assert.ok(ms >= 1000 && ms <= mostMs, `${ms} ms`)
      assert.equal(resetCode(scene.client, 1), errorCodes.cancel)
    })
  }
  test('a reader whose TCP takes no more is left to those who look at that', async () => {
    const bytes = 40_000_000
    using scene = await start({ requestTimeoutMs: 1000 }, (_request, response) => void response.end(Buffer.alloc(bytes)))
    const accepted = once(scene.server, 'secureConnection') as Promise<[object]>
    const client = await scene.openRaw()
    const [socket] = await accepted
    client.socket.pause()
    client.send(preface, settings([[4, 0x7f_ff_ff_ff]]), settingsAck, windowUpdate(0, 0x7f_00_00_00), headers(1, request()))
    while (!waitsForTcp(socket)) await turn()
    for (let i = 0; i < 40; i++) scene.passes(250)
    client.socket.resume()
    await client.next(
      (one) => one.id === 1 && (one.type === frameTypes.reset || (one.type === frameTypes.data && one.flags === flags.endStream)),
    )
    assert.equal(taken(client, 1), bytes)
  })
  test('a window of zero behind other answers that are taken fast: cut when 1 KiB/s would have been enough', async () => {
    using scene = await begin(4096)
    const { client, passes } = scene
    let ms = 0
    for (let id = 3; resetCode(client, 1) === undefined && ms < 20_000; id += 2, ms += 250) {
      client.send(headers(id, request()), windowUpdate(0, 4096), windowUpdate(id, 4096))
      await client.next(() => taken(client, id) === 4096)
      passes(250)
      await echo(client, ms)
    }
    assert.ok(ms >= 7000 && ms <= 7750, `${ms} ms`)
  })
})

test('bodies that arrive behind the answer that did without them are no flood; what is no body is', async () => {
  const abuses: string[] = []
  using scene = await start({ onAbuse: (_socket, abuse) => void abuses.push(abuse) })
  using client = await scene.openRaw()
  client.send(hello)
  const piece = Buffer.alloc(15_000)
  const giveUp = async (id: number): Promise<void> => {
    client.send(headers(id, request({ method: 'POST' }), flags.endHeaders))
    await client.next((one) => one.type === frameTypes.reset && one.id === id)
    assert.equal(resetCode(client, id), errorCodes.none)
  }
  for (let id = 1; id < 60; id += 2) {
    await giveUp(id)
    client.send(...Array.from({ length: 4 }, () => data(id, piece, flags.none)))
    await echo(client, id)
    scene.passes(250)
  }
  assert.deepEqual(abuses, [])
  await giveUp(61)
  client.send(...Array.from({ length: 16 }, () => frame(0xee, flags.none, 0, piece)))
  assert.equal(await client.ended, errorCodes.calm)
  assert.deepEqual(abuses, ['http2_frame_flood'])
})
