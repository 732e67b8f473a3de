import assert from 'node:assert/strict'
import { test } from 'node:test'

import { type Random, seededRandom } from '../support/random.ts'
import { startServer, type TestServer } from '../support/server.ts'

const readers = 16
const rounds = 3

/** The ids of whole answers with the time of each, until the server is gone; it is killed when there are so many. */
const readUntilDead = async (server: TestServer, fatal: number): Promise<{ seen: Map<string, number>; killedMs: number }> => {
  const seen = new Map<string, number>()
  let killedMs = Infinity
  const read = async (): Promise<void> => {
    for (;;) {
      const answer = await fetch(`${server.url}/v1/films/1`).catch(() => undefined)
      const whole = await answer?.text().catch(() => undefined)
      if (answer === undefined || whole === undefined) return
      seen.set(answer.headers.get('x-request-id') ?? '', performance.now())
      if (seen.size === fatal) {
        killedMs = performance.now()
        server.process.kill('SIGKILL')
      }
    }
  }
  await Promise.all(Array.from({ length: readers }, read))
  return { seen, killedMs }
}

/**
 * Lines are handed over every 100 ms, and before that when there are 64 KiB of them. The bytes hold on any machine; the time only where its
 * event loop is punctual, so a busy one is given ten times as much.
 */
const maxLostBytes = 64 * 1024
const maxLostMs = 1000

const round = async (random: Random): Promise<{ answers: number; lost: number; oldestMs: number }> => {
  await using server = await startServer()
  const { seen, killedMs } = await readUntilDead(server, 500 + random.below(2500))
  assert.equal(await server.kill('SIGKILL'), null, 'died of the signal, not of itself')
  const lines = server.log().filter(({ msg }) => msg === 'request')
  const there = Map.groupBy(lines, (line) => line['request_id'])
  assert.ok(lines.length > 100)
  for (const found of there.values()) assert.equal(found.length, 1, 'no line is there twice')
  const lost = [...seen].filter(([id]) => !there.has(id))
  const shortest = Math.min(...lines.map((line) => JSON.stringify(line).length))
  assert.ok(lost.length * shortest <= maxLostBytes, `${lost.length} lines of ${shortest} bytes are lost`)
  const oldestMs = Math.max(0, ...lost.map(([, ms]) => killedMs - ms))
  assert.ok(oldestMs <= maxLostMs, `a line is lost that was due ${oldestMs} ms before the end`)
  return { answers: seen.size, lost: lost.length, oldestMs }
}

test(`SIGKILL under load, ${rounds} times: no line is lost but the last 64 KiB, and none that is older than a moment`, async (t) => {
  const random = seededRandom(t)
  for (let i = 0; i < rounds; i++) {
    const { answers, lost, oldestMs } = await round(random)
    t.diagnostic(`${answers} answers, ${lost} of their lines lost, the oldest ${Math.round(oldestMs)} ms before the end`)
  }
})
