import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { once } from 'node:events'
import { after, describe, test } from 'node:test'

import {
  block,
  data,
  errorCodes,
  flags,
  type Frame,
  type FrameClient,
  frame,
  frameTypes,
  headers,
  hello,
  openFrames,
  outcome,
  ping,
  preface,
  request,
  reset,
  settings,
  settingsAck,
  windowUpdate,
} from '../support/http2-frames.ts'
import { startTlsServer } from '../support/http2-server.ts'

const headerMs = 500
const requestMs = 900
const scene = await startTlsServer({
  env: { FILMGATE_SERVER_HEADER_TIMEOUT_MS: String(headerMs), FILMGATE_SERVER_REQUEST_TIMEOUT_MS: String(requestMs) },
})
after(() => scene[Symbol.asyncDispose]())
const { server } = scene

/** Deadlines are looked at every 250 ms, and a question comes first where there is no other way to see; the rest is for a busy machine. */
const inTime = (startedMs: number, deadlineMs: number): void => {
  const tookMs = performance.now() - startedMs
  assert.ok(tookMs >= deadlineMs - 50 && tookMs < deadlineMs + 2500, `${Math.round(tookMs)} ms for a deadline of ${deadlineMs} ms`)
}

/** Sends it again and again for as long as it is not disposed of. */
const drip = (client: FrameClient, drop: () => Buffer): Disposable => {
  const dripping = setInterval(() => client.send(drop()), 50)
  return { [Symbol.dispose]: () => clearInterval(dripping) }
}

/** A PING of the server's own, no answer to one of ours. */
const isQuestion = ({ type, flags: set }: Frame): boolean => type === frameTypes.ping && set === 0

describe('a connection on which no request arrives', { concurrency: true }, () => {
  test('a handshake that stalls: the connection ends, nothing is logged', async () => {
    const startedMs = performance.now()
    const socket = connect({ port: server.port, host: '127.0.0.1' })
    socket.on('error', () => undefined).resume()
    // The beginning of a ClientHello.
    socket.write(Buffer.from('16030100a5010000a10303', 'hex'))
    await once(socket, 'close')
    inTime(startedMs, headerMs)
  })
  test('TCP alone, not a byte', async () => {
    const startedMs = performance.now()
    const socket = connect({ port: server.port, host: '127.0.0.1' })
    await once(socket.resume(), 'close')
    inTime(startedMs, headerMs)
  })
  const silences: Readonly<Record<string, readonly Buffer[]>> = {
    'a session that opens and says nothing': [],
    'the preface alone': [preface],
    'half the preface': [preface.subarray(0, 12)],
    'settings, and no answer to ours': [preface, settings()],
    'HEADERS without END_HEADERS': [hello, headers(1, request(), flags.endStream)],
    'half a frame': [hello, headers(1, request()).subarray(0, 20)],
    'a frame that says 16 KB and brings ten bytes': [hello, frame(frameTypes.headers, 5, 1, Buffer.alloc(16_000)).subarray(0, 19)],
  }
  for (const [attack, parts] of Object.entries(silences)) {
    test(`${attack}: the connection ends in time`, async () => {
      const startedMs = performance.now()
      using client = await openFrames(server.port, { ca: scene.ca })
      client.send(...parts, Buffer.alloc(0))
      await client.ended
      inTime(startedMs, headerMs)
    })
  }
  test('CONTINUATION byte by byte (Slowloris): the deadline is for the block, not for the next byte', async () => {
    using client = await scene.open()
    const startedMs = performance.now()
    const bytes = Buffer.concat([
      headers(1, request(), flags.endStream),
      frame(frameTypes.continuation, flags.none, 1, block([['x-a', 'b'.repeat(4000)]])),
    ])
    let at = 0
    using _ = drip(client, () => bytes.subarray(at, ++at))
    await client.ended
    inTime(startedMs, headerMs)
  })
  test('a block that begins behind an answer and drips on', async () => {
    using client = await scene.open()
    client.send(headers(1, request()))
    assert.equal((await outcome(client, 1)).status, 200)
    const startedMs = performance.now()
    const bytes = headers(3, request({}, [['x-a', 'b'.repeat(4000)]]), flags.endStream)
    let at = 0
    using _ = drip(client, () => bytes.subarray(at, ++at))
    await client.ended
    // What follows an answer within a second is not asked about.
    inTime(startedMs, headerMs + 500)
  })
  test('a block that is hidden behind the answer to our question is asked about again', async () => {
    using client = await scene.open()
    const startedMs = performance.now()
    client.send(ping())
    await client.next(isQuestion)
    client.send(frame(frameTypes.ping, flags.ack, 0, client.frames.findLast(isQuestion)?.payload), headers(1, request(), flags.endStream))
    await client.ended
    inTime(startedMs, headerMs)
  })
  test('who answers the question stays', async () => {
    using client = await scene.open()
    let answered = 0
    client.send(ping())
    const question = await client.next(isQuestion)
    client.send(frame(frameTypes.ping, flags.ack, 0, question.payload))
    answered++
    // Longer than the deadline by far; a request then is answered.
    using slow = await scene.open()
    slow.send(headers(1, scene.post(), flags.endHeaders))
    assert.equal((await outcome(slow, 1)).status, 408)
    client.send(headers(1, request()))
    assert.equal((await outcome(client, 1)).status, 200)
    assert.equal(client.frames.filter(isQuestion).length, answered, 'asked no more than once')
  })
})

describe('a request that does not arrive', { concurrency: true }, () => {
  test('a body that never starts: 408 in time, one line, and the stream ends', async () => {
    using client = await scene.open('127.0.0.21')
    const startedMs = performance.now()
    client.send(headers(1, scene.post(), flags.endHeaders))
    const { status, body = '' } = await outcome(client, 1)
    inTime(startedMs, requestMs)
    assert.equal(status, 408, body)
    assert.equal((JSON.parse(body) as { code: string }).code, 'request_timeout')
    await client.next(({ type, id }) => type === frameTypes.reset && id === 1)
    const line = await server.logged((record) => record['client'] === '127.0.0.21')
    assert.deepEqual([line['verdict'], line['status'], line['principal']], ['request_timeout', 408, 'starter'])
    client.send(headers(3, request()))
    assert.equal((await outcome(client, 3)).status, 200, 'the connection goes on')
  })
  const bodies: Readonly<Record<string, () => Buffer>> = {
    'a byte of the body every 50 ms (R.U.D.Y.)': () => data(1, ' ', flags.none),
    'padding every 50 ms': () => data(1, Buffer.concat([Buffer.from([255]), Buffer.alloc(255)]), flags.padded),
  }
  for (const [attack, drop] of Object.entries(bodies)) {
    test(`${attack}: the deadline is for the whole`, async () => {
      using client = await scene.open()
      const startedMs = performance.now()
      client.send(headers(1, scene.post(), flags.endHeaders))
      using _ = drip(client, drop)
      const { status } = await outcome(client, 1)
      inTime(startedMs, requestMs)
      assert.equal(status, 408)
    })
  }
  test('100 bodies that never come on one connection: each is refused in time', async () => {
    using client = await scene.open()
    const startedMs = performance.now()
    const ids = Array.from({ length: 100 }, (_, i) => 1 + 2 * i)
    client.send(...ids.map((id) => headers(id, scene.post(), flags.endHeaders)))
    const ends = await Promise.all(ids.map((id) => outcome(client, id)))
    inTime(startedMs, requestMs)
    assert.deepEqual([...new Set(ends.map(({ status }) => status))], [408])
  })
  test('a client that gives a body up is logged once, as aborted', async () => {
    using client = await scene.open('127.0.0.22')
    client.send(headers(1, scene.post(), flags.endHeaders), data(1, '{"name":', flags.none))
    client.send(reset(1))
    const line = await server.logged((record) => record['client'] === '127.0.0.22')
    assert.deepEqual([line['verdict'], line['status']], ['aborted', null])
  })
})

describe('an answer that is not taken', { concurrency: true }, () => {
  const windows: Readonly<Record<string, readonly Buffer[]>> = {
    'a window of zero': [],
    'a window of one byte': [windowUpdate(1, 1)],
  }
  for (const [attack, behind] of Object.entries(windows)) {
    test(`${attack}: the stream is cut in time, and logged as aborted`, async () => {
      using client = await openFrames(server.port, { ca: scene.ca, from: behind.length === 0 ? '127.0.0.31' : '127.0.0.32' })
      // SETTINGS_INITIAL_WINDOW_SIZE: no answer may be sent until its window is opened.
      client.send(
        preface,
        settings([
          [1, 0],
          [4, 0],
        ]),
        settingsAck,
        headers(1, request()),
        ...behind,
      )
      const startedMs = performance.now()
      const end = await client.next(({ type, id }) => type === frameTypes.reset && id === 1)
      inTime(startedMs, requestMs)
      assert.equal(end.payload.readUInt32BE(), errorCodes.cancel)
      const line = await server.logged((record) => record['client'] === (behind.length === 0 ? '127.0.0.31' : '127.0.0.32'))
      assert.equal(line['verdict'], 'aborted')
    })
  }
  test('a window that opens byte by byte does not hold an answer for ever', async () => {
    using client = await openFrames(server.port, { ca: scene.ca })
    client.send(
      preface,
      settings([
        [1, 0],
        [4, 0],
      ]),
      settingsAck,
      headers(1, request()),
    )
    const startedMs = performance.now()
    using _ = drip(client, () => windowUpdate(1, 1))
    await client.next(({ type, id }) => type === frameTypes.reset && id === 1)
    inTime(startedMs, requestMs)
  })
  test('100 answers that wait: all are cut, and the connection serves again', async () => {
    using client = await openFrames(server.port, { ca: scene.ca })
    const ids = Array.from({ length: 100 }, (_, i) => 1 + 2 * i)
    client.send(
      preface,
      settings([
        [1, 0],
        [4, 0],
      ]),
      settingsAck,
      ...ids.map((id) => headers(id, request())),
    )
    await Promise.all(ids.map((id) => client.next((one) => one.type === frameTypes.reset && one.id === id)))
    client.send(settings([[4, 65_535]]), headers(201, request()))
    assert.equal((await outcome(client, 201)).status, 200)
  })
  test('a large answer that is taken steadily for longer than any deadline is given whole', async () => {
    using client = await openFrames(server.port, { ca: scene.ca })
    client.send(preface, settings([[1, 0]]), settingsAck, headers(1, request({ path: '/openapi.json' })))
    const startedMs = performance.now()
    using _ = drip(client, () => Buffer.concat([windowUpdate(0, 2048), windowUpdate(1, 2048)]))
    const { status, body = '' } = await outcome(client, 1)
    assert.equal(status, 200)
    assert.ok(performance.now() - startedMs > 2 * requestMs, `${body.length} bytes are too few for this`)
    assert.equal(typeof (JSON.parse(body) as { openapi: unknown }).openapi, 'string')
  })
  test('a window that is opened in time takes the answer whole', async () => {
    using client = await openFrames(server.port, { ca: scene.ca })
    client.send(
      preface,
      settings([
        [1, 0],
        [4, 0],
      ]),
      settingsAck,
      headers(1, request()),
    )
    await client.next(({ type, id }) => type === frameTypes.headers && id === 1)
    client.send(windowUpdate(1, 10), windowUpdate(1, 65_000))
    const { status, body = '' } = await outcome(client, 1)
    assert.equal(status, 200)
    assert.equal((JSON.parse(body) as { id: number }).id, 1)
  })
})

test('nothing of it harmed the server', () => scene.assertUnharmed())
