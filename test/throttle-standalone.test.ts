import assert from 'node:assert/strict'
import type { AddressInfo } from 'node:net'
import { describe, test } from 'node:test'

import Fastify, { type FastifyInstance } from 'fastify'

import { Problem } from '../src/core/errors.ts'
import * as layers from '../src/layers/index.ts'
import { type Answer, ask } from './support/attack.ts'
import { openConnection } from './support/connection.ts'
import { eventually } from './support/deadline.ts'
import { createManualClock } from './support/manual-clock.ts'
import { nameOf, openThrottled, type Start } from './support/throttled.ts'

const unheard = (): void => undefined
const minuteMs = 60_000
const hourMs = 60 * minuteMs
const fiftySecondsFrom = (startMs: number): number[] => Array.from({ length: 50 }, (_, i) => startMs + 1000 * i)

const namesOf = (starts: readonly Start[]): string[] => starts.map(({ name }) => name)

describe('the numbers of the article', () => {
  test('100 per hour, processed at 10 per minute: 100 are admitted in the hour, begin 6 s apart, and the 101st is refused', async () => {
    const clock = createManualClock()
    const hundredPerHour = [{ scope: 'route GET /work', windows: layers.parseLimits('100 per hour') }]
    const before = (app: FastifyInstance, store: layers.LimiterStore): void => {
      app.addHook('onRequest', async () => {
        const { allowed, retryAfterMs } = await store.consume({ id: 'client' }, hundredPerHour, 1)
        if (!allowed) throw new Problem('quota_exceeded', { detail: 'No more.', retryAfterSeconds: Math.ceil(retryAfterMs / 1000) })
      })
    }
    const [pace] = layers.parseLimits('10 per minute')
    assert.ok(pace)
    const policy = { pace, burst: 1, maxWaitMs: hourMs, maxWaiting: 99 }
    await using scene = await openThrottled({ policy, clock, before })
    const call = async (name: number) => scene.app.inject({ url: '/work', headers: { 'x-name': String(name) } })
    const answers = Array.from({ length: 101 }, (_, i) => call(i))
    // Answered last: the others have been decided.
    const refusal = await answers[100]
    assert.deepEqual([refusal?.statusCode, refusal?.headers['retry-after']], [429, '3600'])
    clock.advance(hourMs - 1)
    assert.deepEqual(
      scene.starts,
      Array.from({ length: 100 }, (_, i) => ({ name: String(i), atMs: 6000 * i })),
    )
    assert.equal((await call(101)).statusCode, 429, 'a millisecond before the hour is over')
    clock.advance(1)
    assert.equal((await call(102)).statusCode, 200)
    for (const answer of answers.slice(0, 100)) assert.equal((await answer).statusCode, 200)
  })

  test('200 per day; 50 per hour; 1 per second, against a client that never stops asking: every second of a day', () => {
    const clock = createManualClock()
    const store = layers.createMemoryStore({ clock, maxTrackedClients: 10 })
    const quotas = [{ scope: 'route GET /', windows: layers.parseLimits('200 per day; 50 per hour; 1 per second') }]
    const admitted: number[] = []
    const refusals: Record<string, number> = {}
    const stepMs = 500
    for (let ms = 0; ms < 25 * hourMs; ms += stepMs) {
      const { allowed, violated } = store.consume({ id: 'client' }, quotas, 1)
      if (allowed) admitted.push(ms)
      for (const { name } of violated) refusals[name] = (refusals[name] ?? 0) + 1
      clock.advance(stepMs)
    }
    // 50 seconds at the start of each of the first four hours, then nothing until the first of them is a day old.
    assert.deepEqual(admitted, [0, hourMs, 2 * hourMs, 3 * hourMs, 24 * hourMs].flatMap(fiftySecondsFrom))
    // Between two admissions 49 times and from the last one on 7101 times an hour or the day is full; in the first hour it fills.
    const [between, rest] = [49, 7200 - 99]
    assert.deepEqual(refusals, { second: 250, hour: rest + 3 * (between + rest) + rest, day: rest + 20 * 7200 + between + rest })
  })
})

const tenPerSecond: layers.ThrottlePolicy = { pace: { limit: 10, windowMs: 1000 }, burst: 1, maxWaitMs: 60_000, maxWaiting: 100 }

test('35 at once at 10 per second, in real time: in order, 100 ms apart, and beyond the longest wait 429', async () => {
  await using scene = await openThrottled({ policy: { ...tenPerSecond, maxWaitMs: 2901 } })
  const connections = await Promise.all(Array.from({ length: 35 }, () => openConnection(scene.port)))
  for (const [i, connection] of connections.entries()) connection.send(`GET /work HTTP/1.1\r\nHost: x\r\nX-Name: ${i}\r\n\r\n`)
  const answers = await Promise.all(connections.map((connection) => connection.answer()))
  const { arrivals, starts } = scene
  const [first] = arrivals
  assert.ok(first)
  const spreadMs = arrivals.at(-1)!.atMs - first.atMs
  const served = answers.filter(({ status }) => status === 200).length
  const late = answers.filter(({ status }) => status === 429)
  assert.equal(served + late.length, 35)
  // Exactly 30, unless this machine took longer than 99 ms to hear of all.
  assert.ok(served >= 30 && served <= 1 + Math.floor((2901 + spreadMs) / 100), `${served} were served`)
  assert.deepEqual(namesOf(starts), namesOf(arrivals).slice(0, served))
  for (const [i, { atMs }] of starts.entries()) {
    const sinceMs: number = atMs - first.atMs
    assert.ok(sinceMs >= 100 * i - 0.01, `the ${i}th began ${sinceMs} ms after the first`)
    assert.ok(sinceMs <= 100 * i + 1000, `the ${i}th began ${sinceMs} ms after the first`)
  }
  for (const { headers, body } of late) {
    const { code, 'violated-policies': violated } = JSON.parse(body) as Record<string, unknown>
    assert.deepEqual([headers['retry-after'], code, violated], ['1', 'quota_exceeded', ['throttle']])
  }
  const [event] = scene.events
  assert.ok(event?.event === 'excess_rate_limit_exceeded')
  assert.deepEqual([event.client, event.policy, event.violated], ['127.0.0.1', 'throttle', ['throttle']])
  assert.deepEqual([scene.events.length, scene.refused.length], [late.length, late.length])
  for (const connection of connections) connection[Symbol.dispose]()
})

test('not more than may wait; who waits as long as Retry-After says is let in', async () => {
  const clock = createManualClock()
  const policy = { pace: { limit: 10, windowMs: minuteMs }, burst: 1, maxWaitMs: hourMs, maxWaiting: 2 }
  await using scene = await openThrottled({ policy, clock })
  for (const name of ['a', 'b', 'c']) await scene.arrive(name)
  clock.advance(500)
  const refusal = await (await scene.arrive('d')).answer()
  assert.deepEqual([refusal.status, refusal.headers['retry-after']], [429, '6'])
  clock.advance(4999)
  assert.equal((await (await scene.arrive('e')).answer()).status, 429)
  clock.advance(1001)
  const served = await scene.arrive('f')
  clock.advance(hourMs)
  assert.equal((await served.answer()).status, 200)
  assert.deepEqual(namesOf(scene.starts), ['a', 'b', 'c', 'f'])
})

test('not more than may wait in all: 503, and nothing is counted', async () => {
  const clock = createManualClock()
  await using scene = await openThrottled({ policy: tenPerSecond, clock, more: { maxWaitingInAll: () => 1 } })
  await scene.arrive('a')
  await scene.arrive('b')
  const refusal = await (await scene.arrive('c')).answer()
  const { code } = JSON.parse(refusal.body) as Record<string, unknown>
  assert.deepEqual([refusal.status, code, refusal.headers['retry-after']], [503, 'temporary_reduced_capacity', '1'])
  assert.deepEqual(scene.refused, ['c'])
  assert.deepEqual(
    scene.events.map((event) => 'violated' in event && event.violated),
    [['throttle-total']],
  )
  clock.advance(100)
  await scene.arrive('d')
  clock.advance(100)
  assert.deepEqual(scene.starts.slice(1), [
    { name: 'b', atMs: 100 },
    { name: 'd', atMs: 200 },
  ])
})

test('those who go away give their place up: the others move up, and the end of the queue is free again', async () => {
  const clock = createManualClock()
  await using scene = await openThrottled({ policy: { ...tenPerSecond, maxWaiting: 4 }, clock })
  await scene.arrive('a')
  const leaving = [await scene.arrive('b'), await scene.arrive('c')]
  await scene.arrive('d')
  await scene.arrive('e')
  assert.equal((await (await scene.arrive('too many')).answer()).status, 429)
  for (const connection of leaving) connection[Symbol.dispose]()
  await eventually(5000, 'both are gone', () => scene.refused.length === 3)
  assert.deepEqual(scene.refused.toSorted(), ['b', 'c', 'too many'])
  await scene.arrive('f')
  clock.advance(1000)
  assert.deepEqual(scene.starts, [
    { name: 'a', atMs: 0 },
    { name: 'd', atMs: 100 },
    { name: 'e', atMs: 200 },
    { name: 'f', atMs: 300 },
  ])
  assert.equal(clock.timers, 0)
})

test('pipelined requests of one connection wait as everybody does, and all go with it', async () => {
  const clock = createManualClock()
  await using scene = await openThrottled({ policy: tenPerSecond, clock })
  const connection = await openConnection(scene.port)
  connection.send(['a', 'b', 'c', 'd'].map((name) => `GET /work HTTP/1.1\r\nHost: x\r\nX-Name: ${name}\r\n\r\n`).join(''))
  await eventually(5000, 'all arrived', () => scene.arrivals.length === 4)
  clock.advance(100)
  assert.deepEqual(namesOf(scene.starts), ['a', 'b'])
  connection[Symbol.dispose]()
  await eventually(5000, 'all are gone', () => scene.refused.length === 2)
  await scene.arrive('e')
  clock.advance(100)
  assert.deepEqual(scene.starts.at(-1), { name: 'e', atMs: 200 })
})

test('HEAD waits with GET, other clients and routes do not; the policy can change and end', async () => {
  const clock = createManualClock()
  await using scene = await openThrottled({ policy: tenPerSecond, clock, more: { isExempt: (request) => nameOf(request) === 'exempt' } })
  await scene.arrive('a')
  const head = await openConnection(scene.port)
  head.send('HEAD /work HTTP/1.1\r\nHost: x\r\nX-Name: head\r\n\r\n')
  await eventually(5000, 'HEAD arrived', () => scene.arrivals.length === 2)
  assert.equal((await ask(scene, { target: '/work', from: '127.0.0.2' })).status, 200)
  assert.equal((await ask(scene, { target: '/free' })).status, 200)
  assert.equal((await ask(scene, { target: '/work', fields: { 'X-Name': 'exempt' } })).status, 200)
  assert.deepEqual(namesOf(scene.starts), ['a', '', 'exempt'])
  scene.live.policy = { ...tenPerSecond, maxWaiting: 1 }
  assert.equal((await ask(scene, { target: '/work' })).status, 429)
  scene.live.policy = undefined
  assert.equal((await ask(scene, { target: '/work' })).status, 200)
  clock.advance(100)
  assert.equal(scene.starts.at(-1)?.name, 'head')
  head[Symbol.dispose]()
})

test('a stop lets nobody wait: all are refused at once, and told to come back', async () => {
  const clock = createManualClock()
  const scene = await openThrottled({ policy: tenPerSecond, clock })
  await scene.arrive('a')
  const waiting = [await scene.arrive('b'), await scene.arrive('c')]
  const closed = scene.app.close()
  for (const connection of waiting) {
    const { status, headers } = await connection.answer()
    assert.deepEqual([status, headers['retry-after']], [503, '1'])
  }
  await closed
  assert.deepEqual([namesOf(scene.starts), clock.timers], [['a'], 0])
  await scene[Symbol.asyncDispose]()
})

test('a store that fails: 503, not a request without a limit', async () => {
  await using scene = await openThrottled({
    policy: tenPerSecond,
    more: { store: { consume: async () => Promise.reject(new Error('down')), refund: unheard } },
  })
  const answer = await ask(scene, { target: '/work' })
  assert.deepEqual([answer.status, answer.json()['code'], answer.field('retry-after')], [503, 'store_unavailable', '1'])
  assert.deepEqual([scene.starts.length, scene.refused.length], [0, 1])
})

test('concurrency beside a throttle: who waits for its turn holds no slot', async () => {
  const app = Fastify()
  const clock = createManualClock()
  const answers: (() => void)[] = []
  await app.register(layers.problems, { observe: unheard })
  await app.register(layers.clientAddress, { addresses: layers.createClientAddresses({ trustedProxies: [] }) })
  const store = layers.createMemoryStore({ clock, maxTrackedClients: 10 })
  const policy = { ...tenPerSecond, burst: 2 }
  await app.register(layers.throttle, { store, clock, timers: clock, observe: unheard, policyOf: () => policy, maxWaitingInAll: () => 10 })
  await app.register(layers.concurrency, { limits: () => ({ perClient: 2, total: 10 }), observe: unheard })
  app.get('/work', (_request, reply) => void answers.push(() => void reply.send('done')))
  app.addHook('onClose', () => app.server.closeAllConnections())
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const calls: Promise<Answer>[] = []
  for (let i = 0; i < 3; i++) calls.push(ask({ port }, { target: '/work' }))
  await eventually(5000, 'two work', () => answers.length === 2 && clock.timers === 1)
  clock.advance(100)
  for (const answer of answers) answer()
  const statuses = (await Promise.all(calls)).map(({ status }) => status)
  assert.deepEqual(
    statuses.toSorted((a, b) => a - b),
    [200, 200, 429],
  )
  await app.close()
})
