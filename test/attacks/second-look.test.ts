/** Ways around that a second look at the protections found; each one worked once. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'

import { sendRaw } from '../support/raw.ts'
import { raisedLimits, runToEnd, startServer } from '../support/server.ts'

const publicOrigin = 'https://films.example.com'
const server = await startServer({
  toml: raisedLimits,
  env: { FILMGATE_SERVER_PUBLIC_URL: publicOrigin, FILMGATE_SERVER_MAX_CONNECTIONS_PER_CLIENT: '40', FILMGATE_VOTES_ANONYMOUS: 'true' },
})
after(() => server[Symbol.asyncDispose]())

const everythingLogged = async (): Promise<string> => {
  const { headers } = await fetch(`${server.url}/v1/films/1`)
  const id = headers.get('x-request-id')
  await server.logged((record) => record['request_id'] === id)
  return JSON.stringify(server.log())
}

describe('secrets in the log', () => {
  test('a key cut off by the length limit of a pointer, or with an encoded underscore', async () => {
    const key = server.key()
    const secret = key.slice(16, 59)
    for (const target of [`/v1/films/1?${'a'.repeat(36)}${key}=1`, `/x/${key.replaceAll('_', '%5F')}`, `/x/${key.slice(0, -1)}`]) {
      await sendRaw(server.port, `GET ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`)
    }
    assert.ok(!(await everythingLogged()).includes(secret))
  })

  test('the name of an unknown parameter', async () => {
    const answer = await fetch(`${server.url}/?hunter2secret=1`)
    assert.equal(answer.status, 400)
    assert.ok(!(await everythingLogged()).includes('hunter2secret'))
  })

  test('a JSON Web Token as agent', async () => {
    const token = `eyJhbGciOiJFUzI1NiJ9.${'x'.repeat(40)}.${'y'.repeat(40)}`
    await fetch(`${server.url}/v1/films/1`, { headers: { 'user-agent': token } })
    assert.ok(!(await everythingLogged()).includes('x'.repeat(40)))
  })
})

const recorded = async (headers: Record<string, string>): Promise<boolean> => {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  const { body } = await sendRaw(server.port, `GET /?like=1 HTTP/1.1\r\n${lines.join('')}Connection: close\r\n\r\n`)
  return (JSON.parse(body) as { vote: { recorded: boolean } }).vote.recorded
}

describe('whose page asks for a vote', () => {
  test('the public address counts as ours, also behind a proxy that keeps its own Host', async () => {
    for (const Host of [`127.0.0.1:${server.port}`, 'films.example.com', 'films.example.com:443']) {
      assert.equal(await recorded({ Host, Origin: publicOrigin }), true, Host)
    }
  })

  test('the public name over plain HTTP does not', async () => {
    assert.equal(await recorded({ Host: 'films.example.com', Origin: 'http://films.example.com' }), false)
  })

  test('a prefetch does not vote, however it spells itself', async () => {
    for (const purpose of ['prefetch', 'Prefetch', 'PREFETCH;x'])
      assert.equal(await recorded({ Host: 'localhost', Purpose: purpose }), false)
  })
})

test('a body of 3 MB on a GET is refused, and its size is told', async () => {
  const head = `GET /v1/films/1 HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 3000000\r\n\r\n`
  const answer = await sendRaw(server.port, head)
  assert.equal(answer.status, 413)
  const record = await server.logged((line) => line.msg === 'request' && line['request_id'] === answer.headers['x-request-id'])
  assert.equal(record['bytes_in'], 3_000_000)
})

test('what never became a request tells of its quota too', async () => {
  const answer = await sendRaw(server.port, 'garbage\r\n\r\n')
  assert.equal(answer.status, 400)
  assert.match(answer.headers['ratelimit'] ?? '', /^"total-day";r=\d+;t=\d+$/)
})

test('too many connections of one client are told, once a second at most', async () => {
  const sockets = Array.from({ length: 60 }, () => connect({ port: server.port, host: '127.0.0.1' }).on('error', () => undefined))
  const event = await server.logged((record) => record['policy'] === 'connections')
  assert.deepEqual(event['violated'], ['max_connections_per_client'])
  for (const socket of sockets) socket.destroy()
})

test('a connection on which nothing comes is closed without a word', async () => {
  await using quick = await startServer({ env: { FILMGATE_SERVER_HEADER_TIMEOUT_MS: '300', FILMGATE_SERVER_REQUEST_TIMEOUT_MS: '300' } })
  const answer = await sendRaw(quick.port, '')
  assert.equal(answer.text, '')
  assert.equal(await quick.kill('SIGTERM'), 0)
  assert.deepEqual(
    quick.log().map((record) => record['event']),
    ['sys_startup', 'sys_shutdown'],
  )
})

test('a limit for a route that has none is a mistake, with its line', async () => {
  const routes = ['GET /add_film', 'PUT /', 'HEAD /', 'DELETE /v1/films/:id', 'GET /nowhere']
  const toml = `[limits.routes]\n${routes.map((name) => `"${name}" = "1 per hour"`).join('\n')}\n`
  const { code, stderr } = await runToEnd({ toml })
  assert.equal(code, 2)
  for (const [i, name] of routes.entries())
    assert.match(stderr, new RegExp(`filmgate\\.toml:${i + 2}: limits\\.routes\\."${name}" names no limited route`))
})

test("a folder with somebody else's files is not closed to them", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'filmgate-shared-'))
  try {
    writeFileSync(join(dataDir, 'notes.txt'), 'mine')
    const before = statSync(dataDir).mode
    const { code, stderr } = await runToEnd({ dataDir })
    assert.equal(code, 2)
    assert.match(stderr, /data\.dir names a folder with other files in it/)
    assert.equal(statSync(dataDir).mode, before)
  } finally {
    rmSync(dataDir, { recursive: true })
  }
})
