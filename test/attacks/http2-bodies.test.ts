import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'

import {
  block,
  data,
  errorCodes,
  flags,
  frame,
  frameTypes,
  headers,
  indexed,
  outcome,
  repeated,
  request,
  reset,
  windowUpdate,
} from '../support/http2-frames.ts'
import { startTlsServer } from '../support/http2-server.ts'

const scene = await startTlsServer()
after(() => scene[Symbol.asyncDispose]())
const { server } = scene

const film = '{"name":"Over HTTP/2"}'

describe('field lists that are too large', { concurrency: 4 }, () => {
  test('17 KB in one field: reset, not read', async () => {
    using client = await scene.open()
    const bytes = block(request({}, [['x-a', 'a'.repeat(17_000)]]))
    client.send(
      frame(frameTypes.headers, flags.endStream, 1, bytes.subarray(0, 16_000)),
      frame(frameTypes.continuation, flags.endHeaders, 1, bytes.subarray(16_000)),
    )
    assert.deepEqual(await outcome(client, 1), { resetCode: errorCodes.calm })
  })
  test('130 fields: reset', async () => {
    using client = await scene.open()
    client.send(
      headers(
        1,
        request(
          {},
          Array.from({ length: 130 }, () => ['a', 'b'] as const),
        ),
      ),
    )
    assert.deepEqual(await outcome(client, 1), { resetCode: errorCodes.calm })
  })
  test('an HPACK bomb: 12 KB that unpack to 30 MB', async () => {
    using client = await scene.open()
    const bomb = Buffer.concat([block(request()), indexed('x-a', 'x'.repeat(3000)), repeated(9000)])
    client.send(frame(frameTypes.headers, flags.endStream | flags.endHeaders, 1, bomb))
    assert.deepEqual(await outcome(client, 1), { resetCode: errorCodes.calm })
    client.send(headers(3, request()))
    assert.equal((await outcome(client, 3)).status, 200, 'the compression state is still right')
  })
  test('an HPACK table larger than we allow: the connection ends', async () => {
    using client = await scene.open()
    // 4097: one more than the default.
    client.send(frame(frameTypes.headers, 5, 1, Buffer.concat([Buffer.from([0x3f, 0xe2, 0x1f]), block(request())])))
    assert.equal(await client.ended, errorCodes.compression)
  })
})

describe('bodies', { concurrency: 4 }, () => {
  test('a good one, in frames of one byte', async () => {
    using client = await scene.open()
    client.send(headers(1, scene.post(), flags.endHeaders), ...Array.from(film, (byte) => data(1, byte, flags.none)), data(1, ''))
    const { status, body = '' } = await outcome(client, 1)
    assert.equal(status, 201, body)
    const line = await server.logged((record) => record['status'] === 201 && record['bytes_in'] === film.length)
    assert.equal(line['principal'], 'starter')
  })
  test('longer than it may be, and says so: 413, and the stream ends', async () => {
    using client = await scene.open()
    client.send(headers(1, scene.post([['content-length', '1000000']]), flags.endHeaders))
    assert.equal((await outcome(client, 1)).status, 413)
    await client.next(({ type, id }) => type === frameTypes.reset && id === 1)
  })
  test('longer than it may be, without a word: 413, and the stream ends', async () => {
    using client = await scene.open()
    client.send(headers(1, scene.post(), flags.endHeaders), ...Array.from({ length: 3 }, () => data(1, ' '.repeat(16_000), flags.none)))
    assert.equal((await outcome(client, 1)).status, 413)
    const end = await client.next(({ type, id }) => type === frameTypes.reset && id === 1)
    assert.equal(end.payload.readUInt32BE(), errorCodes.none)
  })
  test('a Content-Length that is too small: no answer, one line, nothing stored', async () => {
    using client = await scene.open()
    const path = '/add_film'
    const before = server.log().filter((record) => record['path'] === path && record['verdict'] === 'aborted').length
    client.send(headers(1, scene.post([['content-length', '3']]), flags.endHeaders), data(1, film))
    // nghttp2 resets the stream where the frame ends the request, and the connection where more could follow.
    await client.ended
    assert.ok(
      client.frames.every(({ id }) => id === 0),
      'no answer',
    )
    await server.logged(() => server.log().filter((record) => record['path'] === path && record['verdict'] === 'aborted').length > before)
  })
  test('an unwanted one is not waited for', async () => {
    using client = await scene.open()
    client.send(headers(1, request({ method: 'POST', path: '/nowhere' }), flags.endHeaders))
    assert.equal((await outcome(client, 1)).status, 404)
    await client.next(({ type, id }) => type === frameTypes.reset && id === 1)
  })
  test('Expect: 100-continue: told to go on where the body is wanted, else not', async () => {
    using client = await scene.open()
    client.send(headers(1, scene.post([['expect', '100-continue']]), flags.endHeaders))
    await client.next(({ type, id }) => type === frameTypes.headers && id === 1)
    client.send(data(1, '{,'))
    // The first block is the 100; the answer is another.
    await client.next(({ type, id, flags: set }) => type === frameTypes.data && id === 1 && (set & flags.endStream) !== 0)
    assert.equal(client.frames.filter(({ type, id }) => type === frameTypes.headers && id === 1).length, 2)
    client.send(
      headers(
        3,
        request({ method: 'POST', path: '/add_film' }, [
          ['content-type', 'application/json'],
          ['expect', '100-continue'],
        ]),
        flags.endHeaders,
      ),
    )
    assert.equal((await outcome(client, 3)).status, 401)
    assert.equal(client.frames.filter(({ type, id }) => type === frameTypes.headers && id === 3).length, 1)
  })
  test('a trailer gives no credentials', async () => {
    using client = await scene.open()
    client.send(
      headers(1, request({ method: 'POST', path: '/add_film' }, [['content-type', 'application/json']]), flags.endHeaders),
      data(1, film, flags.none),
      headers(1, [['authorization', `Bearer ${server.key()}`]]),
    )
    assert.equal((await outcome(client, 1)).status, 401)
  })
  test('a pseudo-field in a trailer: reset', async () => {
    using client = await scene.open()
    client.send(headers(1, scene.post(), flags.endHeaders), data(1, film, flags.none), headers(1, [[':path', '/v1/films/1']]))
    assert.deepEqual(await outcome(client, 1), { resetCode: errorCodes.protocol })
  })
})

describe('an answer to a stream that its client has closed meanwhile: one line, and the process lives', () => {
  const asked = {
    'a vote, which waits for the disk': request({ path: '/?like=7' }),
    'a film that is added': scene.post(),
    'an error': request({ path: '/nowhere' }),
    'the description, in many frames': request({ path: '/openapi.json' }),
  }
  for (const [i, [what, fields]] of Object.entries(asked).entries()) {
    for (const code of [errorCodes.cancel, errorCodes.none]) {
      test(`${what}, reset with ${code}`, async () => {
        const from = `127.0.2.${10 * i + code + 1}`
        using client = await scene.open(from)
        client.send(windowUpdate(0, 2 ** 30))
        const isPost = what === 'a film that is added'
        for (let id = 1; id < 41; id += 2) {
          client.send(headers(id, fields, isPost ? flags.endHeaders : undefined), ...(isPost ? [data(id, film)] : []))
          // In the same packet, and in one that comes while the answer is made.
          if (id % 4 === 1) await new Promise((resolve) => setImmediate(resolve))
          client.send(reset(id, code))
        }
        client.send(headers(41, request()))
        assert.equal((await outcome(client, 41)).status, 200)
        const lines = () => server.log().filter((record) => record.msg === 'request' && record['client'] === from)
        await server.logged(() => lines().length >= 21)
        assert.equal(lines().length, 21)
        for (const line of lines()) assert.ok(line['status'] !== null || line['verdict'] === 'aborted', JSON.stringify(line))
      })
    }
  }
})

test('HEAD, 204 and 304 have no body', async () => {
  using client = await scene.open()
  client.send(headers(1, request({ method: 'HEAD' })), headers(3, request({ method: 'OPTIONS', path: '/' })))
  assert.deepEqual(await outcome(client, 1), { status: 200, body: '' })
  assert.deepEqual(await outcome(client, 3), { status: 204, body: '' })
})

test('nothing of it harmed the server', () => scene.assertUnharmed())
