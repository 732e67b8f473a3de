import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'

import { ask, assertQuietLog, query } from '../support/attack.ts'
import { eventually, within } from '../support/deadline.ts'
import { startServer, type TestServer } from '../support/server.ts'

const openFiles = (server: TestServer): number => readdirSync(`/proc/${server.process.pid}/fd`).length

/** Of one processor, since the process began. */
const cpuMs = (server: TestServer): number => {
  const fields = readFileSync(`/proc/${server.process.pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) * 10
}

const readiness = async (server: TestServer) => {
  const answer = await fetch(`${server.opsUrl}/readyz`)
  return { ...((await answer.json()) as { checks: { ok: boolean }[]; warnings: string[] }), status: answer.status }
}

/** A connection of the i-th of many clients, and whether the server still has it. */
const hold = async (server: TestServer, i: number): Promise<Socket> => {
  const socket = connect({ port: server.port, host: '127.0.0.1', localAddress: `127.0.${1 + Math.floor(i / 200)}.${1 + (i % 200)}` })
  socket.on('error', () => undefined)
  await Promise.race([once(socket, 'connect'), once(socket, 'close')])
  return socket
}

const maxFiles = 300

test('file descriptors run out: 600 connections to a process that may open 300 files', async (t) => {
  await using server = await startServer({
    env: { FILMGATE_PAGE_ENABLED: 'false' },
    wrap: (command) => ['prlimit', `--nofile=${maxFiles}:${maxFiles}`, ...command],
  })
  assert.match(server.stderr(), /WARNING: this process may open 300 files, so it holds \d+ connections/)
  const fits = Number(/holds (\d+) connections/.exec(server.stderr())?.[1])
  const quietFiles = openFiles(server)

  const sockets: Socket[] = []
  for (let i = 0; i < 600; i++) sockets.push(await hold(server, i))
  await eventually(10_000, 'the rest is turned away', () => sockets.filter(({ destroyed }) => !destroyed).length <= fits)
  const held = sockets.filter(({ destroyed }) => !destroyed)
  t.diagnostic(`${quietFiles} files when quiet, ${held.length} connections held, ${openFiles(server)} files of ${maxFiles}`)
  assert.equal(held.length, fits)
  assert.ok(openFiles(server) <= maxFiles - 20, 'nothing is left for database, log and health')

  const turnedAway = await server.logged((line) => line['policy'] === 'connections')
  assert.deepEqual(turnedAway['violated'], ['max_connections'])

  // Health is reached on a connection of its own, and says why.
  const { status, checks, warnings } = await readiness(server)
  assert.deepEqual([status, checks.every(({ ok }) => ok)], [200, true])
  assert.match(warnings.join(), /may open 300 files/)

  // Those who are in are served, writes included.
  const [client] = held as [Socket]
  const answered = once(client, 'data') as Promise<[Buffer]>
  client.write('GET /?like=7 HTTP/1.1\r\nHost: localhost\r\n\r\n')
  const [bytes] = await within(10_000, 'an answer', answered)
  assert.match(bytes.toString('latin1'), /^HTTP\/1\.1 200 /)
  assert.deepEqual(query(server, 'select likes from film where id = 7'), [{ likes: 1 }])

  // Accepting in vain again and again is how others spin (EMFILE).
  const before = { cpuMs: cpuMs(server), atMs: performance.now() }
  const late: Socket[] = []
  for (let i = 0; i < 100; i++) late.push(await hold(server, 600 + i))
  await new Promise((resolve) => setTimeout(resolve, 1000))
  const share = (cpuMs(server) - before.cpuMs) / (performance.now() - before.atMs)
  assert.ok(share < 0.5, `${Math.round(share * 100)} % of a processor with nobody asking for anything`)

  for (const socket of [...sockets, ...late]) socket.destroy()
  await eventually(10_000, 'the files are closed', () => openFiles(server) <= quietFiles + 5)
  assert.equal((await ask(server)).status, 200)
  assertQuietLog(server)
})

test('so few files that not even the reserve fits: it starts, serves a few, and lives through a flood', async () => {
  const few = 100
  await using server = await startServer({
    env: { FILMGATE_PAGE_ENABLED: 'false' },
    wrap: (command) => ['prlimit', `--nofile=${few}:${few}`, ...command],
  })
  const sockets: Socket[] = []
  for (let i = 0; i < 200; i++) sockets.push(await hold(server, i))
  assert.equal((await readiness(server)).status, 200)
  for (const socket of sockets) socket.destroy()
  await eventually(10_000, 'somebody is served again', async () => (await ask(server).catch(() => undefined))?.status === 200)
  assertQuietLog(server)
})
