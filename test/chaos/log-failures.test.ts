import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { exchange, requestBytes } from '../support/attack.ts'
import { eventually } from '../support/deadline.ts'
import { startServer, type StartOptions, type TestServer } from '../support/server.ts'
import { scrape } from '../support/metrics-text.ts'
import { mountSmallDisk } from '../support/small-disk.ts'

const folder = mkdtempSync(join(tmpdir(), 'filmgate-log-'))
after(() => rmSync(folder, { recursive: true, force: true }))

/** The server's standard output goes into that file, pipe or device. */
const intoFile =
  (path: string): StartOptions['wrap'] & {} =>
  (command) => ['sh', '-c', 'exec "$@" >> "$0"', path, ...command]

const warnings = async (server: TestServer): Promise<readonly string[]> => {
  const answer = await fetch(`${server.opsUrl}/readyz`)
  const said = (await answer.json()) as { readonly warnings: readonly string[] }
  assert.equal(answer.status, 200, 'a log that fails takes no instance out of service')
  return said.warnings.filter((warning) => warning.startsWith('The log'))
}

/** What the metrics say: whether the log fails, and how many lines are lost. */
const measured = async (server: TestServer): Promise<{ readonly failing: number | undefined; readonly lost: number }> => {
  const text = await scrape(server)
  return { failing: text.value('filmgate_log_failing'), lost: text.value('filmgate_log_dropped_lines_total') ?? 0 }
}

const perConnection = 50

/** As many requests, each of which leaves a line of about 4 KB; returns the ids that the answers name. */
const sendMany = async (server: TestServer, count: number): Promise<string[]> => {
  // What is escaped takes more room in the log than on the wire.
  const one = requestBytes({ target: `/${'"'.repeat(1000)}`, fields: { 'User-Agent': '\u0085'.repeat(250), Connection: 'keep-alive' } })
  const ids: string[] = []
  const connection = async (): Promise<void> => {
    for (let left = count / 4; left > 0; left -= perConnection) {
      const bytes = Buffer.concat(Array.from({ length: perConnection }, () => Buffer.from(one.toString(), 'latin1')))
      const { answers } = await exchange(server.port, bytes, { answers: perConnection, timeoutMs: 30_000 })
      for (const answer of answers) {
        assert.equal(answer.status, 404)
        ids.push(answer.field('x-request-id') ?? '')
      }
    }
  }
  await Promise.all(Array.from({ length: 4 }, connection))
  return ids
}

const residentBytes = (server: TestServer): number =>
  Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${server.process.pid}/status`, 'utf8'))?.[1]) * 1024

/** Lines of requests, and what the log says it lost. */
const readLog = (text: string): { readonly ids: readonly string[]; readonly lost: number } => {
  const records = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
  const told = records.filter(({ msg }) => msg === 'log lines were dropped')
  return {
    ids: records.filter(({ msg }) => msg === 'request').map((record) => String(record['request_id'])),
    lost: told.reduce((sum, { lines }) => sum + Number(lines), 0),
  }
}

interface Reader {
  /** From here on; until then nothing is taken from the pipe. */
  start(): void
  readonly text: () => string
  close(): void
}

/** The end of a named pipe that reads. */
const openReader = (path: string): Reader => {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  let socket: Socket | undefined
  let text = ''
  return {
    start: () => {
      socket = new Socket({ fd, readable: true, writable: false })
      socket.setEncoding('utf8').on('data', (piece: string) => (text += piece))
    },
    text: () => text,
    close: () => (socket === undefined ? closeSync(fd) : void socket.destroy()),
  }
}

test('[ASVS 16.5.2] nobody reads the log: the API goes on in bounded memory, /readyz warns, and later every line is there or counted', async (t) => {
  const path = join(folder, 'unread')
  execFileSync('mkfifo', [path])
  const reader = openReader(path)
  await using server = await startServer({ wrap: intoFile(path) })
  assert.deepEqual(await warnings(server), [])

  const warm = await sendMany(server, 400)
  const before = residentBytes(server)
  // 16 MB wait; the rest is dropped.
  const ids = [...warm, ...(await sendMany(server, 8000))]
  const grown = residentBytes(server) - before
  t.diagnostic(`${Math.round(grown / 1e6)} MB more memory`)
  assert.ok(grown < 150e6, `${grown} bytes more`)
  assert.equal((await warnings(server)).length, 1)
  const during = await measured(server)
  assert.ok(during.failing === 1 && during.lost > 0, JSON.stringify(during))
  assert.equal((await fetch(`${server.url}/v1/films/1`)).status, 200)

  reader.start()
  await eventually(20_000, 'the log tells what it lost', () => reader.text().includes('log lines were dropped'))
  await eventually(5000, 'the warning goes', async () => (await warnings(server)).length === 0)
  const afterwards = await measured(server)
  assert.equal(afterwards.failing, 0)
  const last = await fetch(`${server.url}/v1/films/2`)
  assert.equal(await server.kill('SIGTERM'), 0)
  await eventually(5000, 'the last line is read', () => reader.text().includes('sys_shutdown') && reader.text().endsWith('\n'))
  reader.close()

  const log = readLog(reader.text())
  t.diagnostic(`${ids.length} requests, ${log.ids.length} lines, ${log.lost} told to be lost`)
  assert.ok(log.lost > 0)
  assert.equal(log.lost, afterwards.lost, 'the metric says as much as the log')
  assert.equal(log.ids.at(-1), last.headers.get('x-request-id'), 'what came afterwards is there')
  assert.equal(new Set(log.ids).size, log.ids.length, 'no line is there twice')
  const there = new Set(log.ids)
  // Events beside the requests are lines, too.
  assert.ok(ids.filter((id) => !there.has(id)).length <= log.lost, 'whatever is missing was counted')
})

test('[ASVS 16.5.2] whoever reads the log is gone: the API goes on, and the next reader is told what is missing', async () => {
  const path = join(folder, 'left')
  execFileSync('mkfifo', [path])
  const first = openReader(path)
  await using server = await startServer({ wrap: intoFile(path) })
  first.close()
  const ids = await sendMany(server, 400)
  await eventually(5000, 'the warning is there', async () => (await warnings(server)).length === 1)

  const next = openReader(path)
  next.start()
  await eventually(10_000, 'the warning goes', async () => (await warnings(server)).length === 0)
  const id = (await fetch(`${server.url}/v1/films/1`)).headers.get('x-request-id') ?? ''
  await eventually(10_000, 'lines are written again', () => next.text().includes(id) && next.text().endsWith('\n'))
  next.close()
  const log = readLog(next.text())
  const there = new Set(log.ids)
  assert.ok(ids.filter((one) => !there.has(one)).length <= log.lost)
  assert.ok(log.lost > 0)
})

test('[ASVS 16.5.2] a disk that takes nothing from the start (/dev/full): the API serves, /readyz warns, SIGTERM ends it', async () => {
  await using server = await startServer({ wrap: intoFile('/dev/full') })
  const ids = await sendMany(server, 400)
  assert.equal(ids.length, 400)
  await eventually(5000, 'the warning is there', async () => (await warnings(server)).length === 1)
  assert.equal(await server.kill('SIGTERM'), 0)
})

test('[ASVS 16.5.2] the disk of the log is full: the API goes on, and once there is room no line is missing, doubled or torn', async () => {
  await using disk = await mountSmallDisk(12)
  const path = join(disk.dataDir, 'filmgate.log')
  await using server = await startServer({ wrap: (command) => disk.wrap(intoFile(path)(command)) })
  const ids = await sendMany(server, 400)
  disk.fill()
  ids.push(...(await sendMany(server, 1600)))
  await eventually(5000, 'the warning is there', async () => (await warnings(server)).length === 1)
  assert.deepEqual(await measured(server), { failing: 1, lost: 0 }, 'they wait')
  // Votes are on another disk, and go on.
  assert.equal((await fetch(`${server.url}/?like=1`)).status, 200)
  disk.free()
  await eventually(10_000, 'the warning goes', async () => (await warnings(server)).length === 0)
  ids.push(...(await sendMany(server, 400)))
  assert.equal(await server.kill('SIGTERM'), 0)
  disk.look()
  const log = readLog(readFileSync(path, 'utf8'))
  assert.equal(log.lost, 0)
  const lines = Map.groupBy(log.ids, (id) => id)
  assert.deepEqual(
    ids.filter((id) => lines.get(id)?.length !== 1),
    [],
  )
})
