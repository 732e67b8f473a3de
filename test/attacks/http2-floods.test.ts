import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, describe, test } from 'node:test'

import {
  block,
  data,
  errorCodes,
  flags,
  type FrameClient,
  frame,
  frameTypes,
  headers,
  outcome,
  ping,
  request,
  reset,
  settings,
  windowUpdate,
  word,
} from '../support/http2-frames.ts'
import { startTlsServer } from '../support/http2-server.ts'

const scene = await startTlsServer()
after(() => scene[Symbol.asyncDispose]())
const { server } = scene

/** Frames of each kind that are sent at most: far more than any kind is allowed, and bounded. */
const most = 40_000

/** Sends pieces until the server ends the connection; resolves with the code of its GOAWAY and how many pieces went out. */
const flood = async (
  client: FrameClient,
  piece: (i: number) => Buffer,
  perTurn = 100,
): Promise<{ code: number | undefined; sent: number }> => {
  let sent = 0
  for (; sent < most && !client.socket.destroyed; sent += perTurn) {
    const first = sent
    client.send(...Array.from({ length: perTurn }, (_, i) => piece(first + i)))
    await new Promise((resolve) => setImmediate(resolve))
  }
  const code = await client.ended
  return { code, sent }
}

interface Flood {
  readonly opening?: readonly Buffer[]
  readonly piece: (i: number) => Buffer
  readonly perTurn?: number
}

const id = (i: number): number => 1 + 2 * i

/** What costs the connection: each frame is one that the protocol allows, or nearly. */
const floods: Readonly<Record<string, Flood>> = {
  'PING (CVE-2019-9512)': { piece: ping },
  'SETTINGS (CVE-2019-9515)': { piece: () => settings() },
  'SETTINGS with a new table size each time': { piece: (i) => settings([[1, i % 4096]]) },
  'PRIORITY (CVE-2019-9513)': {
    piece: (i) => frame(frameTypes.priority, 0, id(i % 1000), Buffer.concat([word(0), Buffer.from([i % 256])])),
  },
  'WINDOW_UPDATE of one byte': { piece: () => windowUpdate(0, 1) },
  'WINDOW_UPDATE past the largest window': { piece: () => windowUpdate(0, 0x7f_ff_ff_ff), perTurn: 1 },
  'WINDOW_UPDATE of nothing': { piece: () => windowUpdate(0, 0), perTurn: 1 },
  'unknown frames': { piece: () => frame(0xee, 0, 0, Buffer.alloc(8)) },
  'empty DATA (CVE-2019-9518)': { opening: [headers(1, scene.post(), flags.endHeaders)], piece: () => data(1, '', flags.none) },
  'DATA that is padding alone': {
    opening: [headers(1, scene.post(), flags.endHeaders)],
    piece: () => data(1, Buffer.concat([Buffer.from([255]), Buffer.alloc(255)]), flags.padded),
  },
  'CONTINUATION (CVE-2024-27316)': {
    opening: [headers(1, request(), flags.endStream)],
    piece: () => frame(frameTypes.continuation, flags.none, 1, block([['x-a', 'b']])),
    perTurn: 1,
  },
  'empty CONTINUATION': {
    opening: [headers(1, request(), flags.endStream)],
    piece: () => frame(frameTypes.continuation, flags.none, 1),
    perTurn: 1,
  },
  'malformed requests': { piece: (i) => headers(id(i), request({}, [['X-A', 'b']])) },
  'requests of 130 fields': {
    piece: (i) =>
      headers(
        id(i),
        request(
          {},
          Array.from({ length: 130 }, () => ['a', 'b'] as const),
        ),
      ),
    perTurn: 10,
  },
  'requests that depend on themselves': {
    piece: (i) => frame(frameTypes.headers, 0x25, id(i), Buffer.concat([word(id(i)), Buffer.from([1]), block(request({}, [['X', 'y']]))])),
  },
  'RST_STREAM of streams that never were': { piece: (i) => reset(id(i)), perTurn: 1 },
  'rapid reset (CVE-2023-44487)': {
    piece: (i) => Buffer.concat([headers(id(i), request({ path: '/v1/films/11' })), reset(id(i))]),
    perTurn: 10,
  },
  'rapid reset without an error code': {
    piece: (i) => Buffer.concat([headers(id(i), request({ path: '/v1/films/12' })), reset(id(i), errorCodes.none)]),
    perTurn: 10,
  },
  'made you reset: a second HEADERS (CVE-2025-8671)': {
    piece: (i) => Buffer.concat([headers(id(i), scene.post(), flags.endHeaders), headers(id(i), [['a', 'b']], flags.endHeaders)]),
    perTurn: 10,
  },
  'made you reset: a Content-Length that lies': {
    piece: (i) => Buffer.concat([headers(id(i), scene.post([['content-length', '3']]), flags.endHeaders), data(id(i), 'four')]),
    perTurn: 10,
  },
  'made you reset: a window that overflows': {
    piece: (i) => Buffer.concat([headers(id(i), scene.post(), flags.endHeaders), windowUpdate(id(i), 0x7f_ff_ff_ff)]),
    perTurn: 1,
  },
  'streams beyond the hundred that it may have': { piece: (i) => headers(id(i), scene.post(), flags.endHeaders), perTurn: 50 },
}

describe('a flood costs the attacker its connection, and nobody else anything', () => {
  for (const [attack, { opening = [], piece, perTurn = 100 }] of Object.entries(floods)) {
    test(attack, async (t) => {
      using client = await scene.open('127.0.0.66')
      client.send(...opening)
      const [{ code, sent }] = await Promise.all([flood(client, piece, perTurn), scene.assertServes()])
      t.diagnostic(`ended after ${sent} of them, GOAWAY ${code}`)
      // Who is merely slow or idle is told 0.
      assert.notEqual(code, errorCodes.none)
      await scene.assertServes()
    })
  }
})

describe('what is not allowed at all ends the connection at once (RFC 9113 sections 4 to 6)', { concurrency: 8 }, () => {
  const forbidden: Readonly<Record<string, readonly Buffer[]>> = {
    'a request of HTTP/1.1': [Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')],
    'a frame of more than 16 KB': [data(1, Buffer.alloc(16_385))],
    'DATA on a stream that never was': [data(1, 'x')],
    'DATA behind the end of its request': [headers(1, request()), data(1, 'x')],
    'padding longer than its frame': [headers(1, scene.post(), flags.endHeaders), data(1, Buffer.from([9, 1]), flags.padded)],
    'HEADERS on an even stream': [headers(2, request())],
    'HEADERS on stream 0': [headers(0, request())],
    'CONTINUATION behind nothing': [frame(frameTypes.continuation, flags.endHeaders, 1, block(request()))],
    'PING between HEADERS and CONTINUATION': [headers(1, request(), flags.endStream), ping()],
    'CONTINUATION of another stream': [headers(1, request(), flags.endStream), frame(frameTypes.continuation, flags.endHeaders, 3)],
    PUSH_PROMISE: [frame(frameTypes.pushPromise, flags.endHeaders, 1, Buffer.concat([word(2), block(request())]))],
    'SETTINGS of five bytes': [frame(frameTypes.settings, 0, 0, Buffer.alloc(5))],
    'SETTINGS on a stream': [frame(frameTypes.settings, 0, 1)],
    'an acknowledgement of SETTINGS that says something': [frame(frameTypes.settings, flags.ack, 0, Buffer.alloc(6))],
    'SETTINGS of 100 entries': [settings(Array.from({ length: 100 }, () => [3, 100] as const))],
    'a window of more than 2 GB': [settings([[4, 0xff_ff_ff_ff]])],
    'a largest frame of one byte': [settings([[5, 1]])],
    'PING of seven bytes': [frame(frameTypes.ping, 0, 0, Buffer.alloc(7))],
    'PING on a stream': [frame(frameTypes.ping, 0, 1, Buffer.alloc(8))],
    'PRIORITY of four bytes': [frame(frameTypes.priority, 0, 1, Buffer.alloc(4))],
    'RST_STREAM of five bytes': [headers(1, scene.post(), flags.endHeaders), frame(frameTypes.reset, 0, 1, Buffer.alloc(5))],
    'a block that is no HPACK': [frame(frameTypes.headers, 5, 1, Buffer.alloc(6, 0xff))],
    'an index that no table has': [frame(frameTypes.headers, 5, 1, Buffer.from([0xbe]))],
    'GOAWAY on a stream': [frame(frameTypes.goaway, 0, 1, Buffer.alloc(8))],
  }
  for (const [attack, parts] of Object.entries(forbidden)) {
    test(attack, async () => {
      using client = await scene.open()
      client.send(...parts)
      assert.notEqual(await client.ended, errorCodes.none)
    })
  }
  const farewells: Readonly<Record<string, Buffer>> = {
    GOAWAY: frame(frameTypes.goaway, 0, 0, Buffer.alloc(8)),
    'GOAWAY with an error': frame(frameTypes.goaway, 0, 0, Buffer.concat([word(0), word(2)])),
  }
  for (const [what, bytes] of Object.entries(farewells)) {
    test(`${what}: we hang up too`, async () => {
      using client = await scene.open()
      client.send(bytes)
      await client.ended
    })
  }
})

test('rapid reset: each request that was seen is logged once, as aborted, with its client', async () => {
  using client = await scene.open('127.0.0.67')
  const ids = Array.from({ length: 60 }, (_, i) => id(i))
  client.send(...ids.flatMap((one) => [headers(one, scene.post(), flags.endHeaders), reset(one)]))
  client.send(headers(201, request({ path: '/v1/films/13' })))
  assert.equal((await outcome(client, 201)).status, 200, 'so many are nothing special')
  const seen = (): number => server.log().filter((record) => record.msg === 'request' && record['client'] === '127.0.0.67').length
  await server.logged(() => seen() >= 61)
  const lines = server.log().filter((record) => record.msg === 'request' && record['client'] === '127.0.0.67')
  assert.deepEqual(
    Object.fromEntries(
      Object.entries(Object.groupBy(lines, (line) => String(line['verdict']))).map(([verdict, all]) => [verdict, all?.length]),
    ),
    { aborted: 60, ok: 1 },
  )
})

test('thirty uploads of 60 KB that are refused before anybody reads them are no flood', async () => {
  const from = '127.0.0.68'
  using client = await scene.open(from)
  const piece = Buffer.alloc(15_000, ' ')
  for (let i = 0; i < 30; i++) {
    const body = Array.from({ length: 4 }, (_, part) => data(id(i), piece, part === 3 ? flags.endStream : flags.none))
    client.send(headers(id(i), request({ method: 'POST', path: '/add_film' }, [['content-type', 'application/json']]), flags.endHeaders))
    client.send(...body)
    assert.equal((await outcome(client, id(i))).status, 401)
  }
  // The server looks at sessions by the clock; when it asks about these pings, it has looked at all of it.
  const pinging = setInterval(() => client.send(ping()), 50)
  await client.next(({ type, flags: set }) => type === frameTypes.ping && set === 0).finally(() => clearInterval(pinging))
  client.send(headers(id(30), request()))
  assert.equal((await outcome(client, id(30))).status, 200)
  await server.logged((record) => record.msg === 'request' && record['client'] === from && record['status'] === 200)
  assert.deepEqual(
    client.frames.filter(({ type }) => type === frameTypes.goaway),
    [],
  )
  assert.deepEqual(
    server.log().filter((record) => record['client'] === from && record['event'] === 'malicious_extraneous'),
    [],
  )
})

test('floods are told of, once a second of each kind at most', () => {
  const events = server
    .log()
    .filter((record) => record['event'] === 'malicious_extraneous' && String(record['reason']).startsWith('http2_'))
  const kinds = Map.groupBy(events, (record) => String(record['reason']))
  assert.deepEqual([...kinds.keys()].toSorted(), ['http2_frame_flood', 'http2_protocol_error', 'http2_reset_flood'])
  for (const [kind, all] of kinds) {
    const times = all.map((record) => Date.parse(String(record['time'])))
    // Lines carry wall-clock milliseconds, the bound is kept by a clock of finer grain.
    for (const [i, time] of times.slice(1).entries()) assert.ok(time - (times[i] ?? 0) >= 995, kind)
    for (const record of all) assert.match(String(record['client']), /^127\./)
  }
})

test('nothing of it harmed the server', async () => {
  await scene.assertUnharmed()
  const residentMb = Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${server.process.pid}/status`, 'utf8'))?.[1]) / 1024
  assert.ok(residentMb < 400, `${Math.round(residentMb)} MB resident`)
})
