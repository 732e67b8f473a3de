import assert from 'node:assert/strict'
import { test } from 'node:test'

import { type Connection, openConnection, refusedConnection } from '../support/connection.ts'
import { databases } from '../support/databases.ts'
import { createLedger, voterEnv } from '../support/ledger.ts'
import { type LogRecord, startServer, type TestServer } from '../support/server.ts'

const film = JSON.stringify({ name: 'Slow Film', studio: 'Drain', year: 2020 })

const postHead = (server: TestServer, length: number): string =>
  `POST /add_film HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${server.key()}\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`

/** Headers and half of the body are with the server: the answer to 100-continue says so. */
const openHalfPost = async (server: TestServer): Promise<Connection> => {
  const connection = await openConnection(server.port)
  const head = postHead(server, film.length).replace('\r\n\r\n', '\r\nExpect: 100-continue\r\n\r\n')
  connection.send(head)
  assert.equal((await connection.answer()).text.split('\r\n')[0], 'HTTP/1.1 100 Continue')
  connection.send(film.slice(0, 20))
  return connection
}

/** A connection that had an answer and waits for its next request. */
const openIdle = async (server: TestServer): Promise<Connection> => {
  const connection = await openConnection(server.port)
  connection.send('GET /v1/films/1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
  assert.equal((await connection.answer()).status, 200)
  return connection
}

const openMany = (open: (server: TestServer) => Promise<Connection>, server: TestServer): Promise<Connection[]> =>
  Promise.all(Array.from({ length: 5 }, () => open(server)))

const isShutdown = (record: LogRecord): boolean => record['event'] === 'sys_shutdown'

/** Sends the signal and resolves when the server has stopped accepting: it tells so, and it has closed an idle connection. */
const signalAndWait = async (server: TestServer, signal: NodeJS.Signals): Promise<void> => {
  using idle = await openIdle(server)
  server.process.kill(signal)
  await server.logged(isShutdown)
  await idle.closed
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal} with half a request: it is answered, new connections are refused, more signals change nothing, exit 0`, async () => {
    await using server = await startServer()
    using slow = await openHalfPost(server)
    await signalAndWait(server, signal)
    assert.equal(await refusedConnection(server.port), 'ECONNREFUSED')
    for (const again of ['SIGTERM', 'SIGINT', 'SIGTERM'] as const) server.process.kill(again)
    slow.send(film.slice(20))
    const answer = await slow.answer()
    assert.equal(answer.status, 201)
    const stored = JSON.parse(answer.body) as { id: number; name: string }
    assert.equal(stored.name, 'Slow Film')
    await slow.closed
    assert.equal(await server.kill(signal), 0)

    const lines = server.log().filter((record) => record['request_id'] === answer.headers['x-request-id'])
    assert.deepEqual(
      lines.map(({ method, status, verdict }) => ({ method, status, verdict })),
      [{ method: 'POST', status: 201, verdict: 'ok' }],
    )
    assert.deepEqual(
      server
        .log()
        .filter(isShutdown)
        .map(({ reason }) => reason),
      [signal],
      'one shutdown',
    )

    await using again = await startServer({ dataDir: server.dataDir })
    assert.equal(((await (await fetch(`${again.url}/v1/films/${stored.id}`)).json()) as { name: string }).name, 'Slow Film')
  })

  test(`${signal} with 5 idle keep-alive connections: they are closed at once`, async (t) => {
    await using server = await startServer()
    const idle = await openMany(openIdle, server)
    const startedMs = performance.now()
    assert.equal(await server.kill(signal), 0)
    const tookMs = performance.now() - startedMs
    t.diagnostic(`exit after ${Math.round(tookMs)} ms`)
    await Promise.all(idle.map(({ closed }) => closed))
    assert.ok(tookMs < 2000, `took ${tookMs} ms`)
  })
}

test('connections that never sent a byte hold no stop up', async (t) => {
  await using server = await startServer()
  const silent = await openMany(({ port }) => openConnection(port), server)
  const startedMs = performance.now()
  assert.equal(await server.kill('SIGTERM'), 0)
  const tookMs = performance.now() - startedMs
  t.diagnostic(`exit after ${Math.round(tookMs)} ms`)
  await Promise.all(silent.map(({ closed }) => closed))
  assert.ok(tookMs < 2000, `took ${tookMs} ms`)
})

test('a request that arrives on an open connection during the drain is the last one there', async () => {
  await using server = await startServer()
  using slow = await openHalfPost(server)
  await signalAndWait(server, 'SIGTERM')
  // The next request of the pipeline, in the same packet as the rest of the first.
  slow.send(`${film.slice(20)}GET /v1/films/1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`)
  assert.equal((await slow.answer()).status, 201)
  await slow.closed
  assert.equal(await server.kill('SIGTERM'), 0)
})

for (const kind of databases) {
  const name = `SIGTERM under load on ${kind.name}: what was answered is stored, nothing else is, each has one line in the log`
  test(name, { skip: kind.missing }, async (t) => {
    await using place = await kind.place()
    const ledger = createLedger()
    await using server = await startServer({ dataDir: place.dataDir, env: { ...place.env, ...voterEnv } })
    const seen: string[] = []
    const write = async (writer: number): Promise<void> => {
      for (let i = 0; ; i++) {
        const { fate, headers } =
          i % 7 === 0 ? await ledger.addFilm(server) : await ledger.vote(server, `10.3.0.${writer}`, 1 + (i % 9), i % 2 === 0 ? 1 : -1)
        assert.notEqual(fate, 'refused')
        if (fate === 'unknown') return
        seen.push(headers.get('x-request-id') ?? '')
        if (seen.length === 1500) server.process.kill('SIGTERM')
      }
    }
    await Promise.all(Array.from({ length: 32 }, (_, writer) => write(writer)))
    assert.equal(await server.kill('SIGTERM'), 0)
    ledger.assumeUnknownRefused()
    await ledger.verify(place)
    const lines = Map.groupBy(server.log(), (record) => record['request_id'])
    assert.deepEqual(
      seen.filter((id) => lines.get(id)?.length !== 1),
      [],
    )
    t.diagnostic(`${seen.length} answers, ${ledger.count('unknown')} connections found the server gone`)
  })
}

test('a flood of cheap requests at SIGTERM: no line of the log is lost, doubled or torn', async () => {
  await using server = await startServer()
  const seen: string[] = []
  const read = async (): Promise<void> => {
    for (;;) {
      const answer = await fetch(server.url).catch(() => undefined)
      if (answer === undefined) return
      const whole = await answer.text().then(
        () => true,
        () => false,
      )
      if (!whole) return
      seen.push(answer.headers.get('x-request-id') ?? '')
      if (seen.length === 4000) server.process.kill('SIGTERM')
    }
  }
  await Promise.all(Array.from({ length: 64 }, read))
  // Torn lines make the log unreadable as JSON, which fails the test by itself.
  assert.equal(await server.kill('SIGTERM'), 0)
  const lines = Map.groupBy(server.log(), (record) => record['request_id'])
  assert.deepEqual(
    seen.filter((id) => lines.get(id)?.length !== 1),
    [],
  )
})

const stop = async (server: TestServer, report: (text: string) => void): Promise<number> => {
  const startedMs = performance.now()
  assert.equal(await server.kill('SIGTERM'), 0)
  const tookMs = performance.now() - startedMs
  report(`exit after ${Math.round(tookMs)} ms`)
  return tookMs
}

test('what hangs is cut after 10 s', { concurrency: true }, async (t) => {
  const env = { FILMGATE_SERVER_REQUEST_TIMEOUT_MS: '60000', FILMGATE_SERVER_HEADER_TIMEOUT_MS: '60000' }
  const publicOne = t.test('a request that never ends: exit 0, and a line in the log', async (sub) => {
    await using server = await startServer({ env })
    using hanging = await openHalfPost(server)
    const tookMs = await stop(server, (text) => sub.diagnostic(text))
    await hanging.closed
    assert.ok(tookMs > 9500 && tookMs < 12_000, `took ${tookMs} ms`)
    const lines = server.log().filter(({ route }) => route === '/add_film')
    assert.deepEqual(
      lines.map(({ verdict }) => verdict),
      ['aborted'],
    )
  })
  const both = t.test('one on the ops listener too: both within the same 10 s', async (sub) => {
    await using server = await startServer({ env })
    using hanging = await openHalfPost(server)
    using probe = await openConnection(Number(new URL(server.opsUrl).port))
    probe.send('GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n')
    const tookMs = await stop(server, (text) => sub.diagnostic(text))
    await Promise.all([hanging.closed, probe.closed])
    assert.ok(tookMs < 12_000, `took ${tookMs} ms`)
  })
  await Promise.all([publicOne, both])
})
