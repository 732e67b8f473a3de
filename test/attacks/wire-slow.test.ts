import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { after, describe, test } from 'node:test'

import { type Answer, ask, assertLogged, assertProblem, assertQuietLog, assertSafe, countFilms, exchange } from '../support/attack.ts'
import { createRestartingServer, isAlive } from '../support/restarting.ts'

const maxConnections = 24
const servers = createRestartingServer({
  env: {
    FILMGATE_SERVER_HEADER_TIMEOUT_MS: '500',
    FILMGATE_SERVER_REQUEST_TIMEOUT_MS: '900',
    FILMGATE_SERVER_MAX_CONNECTIONS_PER_CLIENT: String(maxConnections),
  },
})
after(() => servers[Symbol.asyncDispose]())
const first = await servers.current()
const filmsBefore = countFilms(first)

const host = 'Host: localhost\r\n'
const post = `POST /add_film HTTP/1.1\r\n${host}Content-Type: application/json\r\n`
const postWithKey = `${post}Authorization: Bearer ${first.key()}\r\n`

/** Node looks at its deadlines every 250 ms; the rest is for a busy machine. */
const inTime = (startedMs: number, deadlineMs: number): void => {
  const tookMs = performance.now() - startedMs
  assert.ok(tookMs >= deadlineMs - 50 && tookMs < deadlineMs + 2000, `${Math.round(tookMs)} ms for a deadline of ${deadlineMs} ms`)
}

describe('a request that does not arrive', { concurrency: true }, () => {
  const unfinished: Readonly<Record<string, readonly [bytes: string, deadlineMs: number]>> = {
    'the first letter alone': ['G', 500],
    'a head without its end (Slowloris)': [`GET / HTTP/1.1\r\n${host}X-A: b\r\n`, 500],
    'half a field': [`GET / HTTP/1.1\r\n${host}X-A`, 500],
    'a body that stops': [`${postWithKey}Content-Length: 100\r\n\r\n{"name":`, 900],
    'a body that never starts': [`${postWithKey}Content-Length: 100\r\n\r\n`, 900],
    'a chunked body that stops': [`${postWithKey}Transfer-Encoding: chunked\r\n\r\n5\r\n{"nam`, 900],
    'a chunked body without its end': [`${postWithKey}Transfer-Encoding: chunked\r\n\r\nc\r\n{"name":"x"}\r\n`, 900],
  }
  for (const [attack, [bytes, deadlineMs]] of Object.entries(unfinished)) {
    test(`${attack}: 408 in time, then the end of the connection`, async () => {
      const server = await servers.current()
      const startedMs = performance.now()
      const { answers, rest } = await exchange(server.port, bytes)
      inTime(startedMs, deadlineMs)
      assert.deepEqual([answers.length, rest], [1, ''])
      assertProblem(answers[0] as Answer, { status: 408, code: 'request_timeout' })
      assert.equal(answers[0]?.field('connection'), 'close')
      const record = await assertLogged(server, answers[0], 'request_timeout')
      if (deadlineMs === 900) assert.deepEqual([record['method'], record['route'], record['principal']], ['POST', '/add_film', 'starter'])
    })
  }

  test('nothing at all: the connection ends', async () => {
    const server = await servers.current()
    const { answers } = await exchange(server.port, '', {})
    for (const answer of answers) assertProblem(answer, { status: 408, code: 'request_timeout' })
  })

  const drips: Readonly<Record<string, readonly [head: string, drop: string, deadlineMs: number]>> = {
    'a field every 100 ms (Slowloris)': [`GET / HTTP/1.1\r\n${host}`, 'X-A: b\r\n', 500],
    'a byte of the body every 100 ms (R.U.D.Y.)': [`${postWithKey}Content-Length: 16000\r\n\r\n`, ' ', 900],
    'a chunk every 100 ms': [`${postWithKey}Transfer-Encoding: chunked\r\n\r\n`, '1\r\n \r\n', 900],
  }
  for (const [attack, [head, drop, deadlineMs]] of Object.entries(drips)) {
    test(`${attack}: the deadline is for the whole, not for the next byte`, async () => {
      const server = await servers.current()
      const startedMs = performance.now()
      const socket = connect({ port: server.port, host: '127.0.0.1' })
      socket.on('error', () => undefined)
      socket.write(head)
      const dripping = setInterval(() => socket.write(drop), 100)
      let text = ''
      socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk))
      await once(socket, 'close')
      clearInterval(dripping)
      inTime(startedMs, deadlineMs)
      assert.equal(text.match(/HTTP\/1\.1 \d{3}/g)?.join(), 'HTTP/1.1 408')
    })
  }

  const refused: Readonly<Record<string, readonly [head: string, status: number]>> = {
    'an unknown route': [`POST /nowhere HTTP/1.1\r\n${host}`, 404],
    'no credentials': [post, 401],
    'a foreign host': ['POST / HTTP/1.1\r\nHost: evil.example\r\n', 421],
    'a good GET with a body': [`GET /v1/films/1 HTTP/1.1\r\n${host}Content-Type: application/json\r\n`, 200],
  }
  for (const [where, [head, status]] of Object.entries(refused)) {
    test(`a body that never comes behind an answer (${where}): no second answer, the connection ends`, async () => {
      const server = await servers.current()
      const { answers, rest } = await exchange(server.port, `${head}Content-Length: 100\r\n\r\n`)
      assert.deepEqual([answers.map((answer) => answer.status), rest], [[status], ''])
      assertSafe(answers[0] as Answer)
    })
  }

  test('Expect: 100-continue and then nothing: 100, then 408', async () => {
    const server = await servers.current()
    const { answers } = await exchange(server.port, `${postWithKey}Expect: 100-continue\r\nContent-Length: 100\r\n\r\n`)
    assert.deepEqual(
      answers.map((answer) => answer.status),
      [100, 408],
    )
    assertProblem(answers[1] as Answer, { status: 408, code: 'request_timeout' })
  })
})

test('more connections than one client may have: the next one ends at once, and another client is served', async () => {
  const server = await servers.current()
  const opened: Socket[] = []
  for (let i = 0; i < maxConnections; i++) {
    const socket = connect({ port: server.port, host: '127.0.0.1', localAddress: '127.0.0.77' })
    socket.on('error', () => undefined)
    opened.push(socket)
    await once(socket, 'connect')
  }
  const surplus = await exchange(server.port, `GET / HTTP/1.1\r\n${host}Connection: close\r\n\r\n`, { from: '127.0.0.77', timeoutMs: 400 })
  assert.deepEqual(surplus, { answers: [], rest: '' })
  assert.equal((await ask(server, { from: '127.0.0.78' })).status, 200)
  await Promise.all(opened.map((socket) => once(socket.end(), 'close')))
  assert.equal((await ask(server, { from: '127.0.0.77' })).status, 200)
})

test('nothing was stored, the process lives, and the log is quiet', async () => {
  const server = await servers.current()
  assert.ok(await isAlive(server), 'the server ended')
  assert.equal(countFilms(server), filmsBefore)
  assertQuietLog(server)
})
