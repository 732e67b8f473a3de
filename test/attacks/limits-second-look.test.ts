import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import Fastify from 'fastify'

import { guessesOf, parseIdentity } from '../../src/api/limits/identities.ts'
import { systemClock } from '../../src/core/clock.ts'
import * as layers from '../../src/layers/index.ts'
import { type Answer, ask, requestBytes } from '../support/attack.ts'
import { runCommand, temporaryFolder } from '../support/command.ts'
import { openConnection } from '../support/connection.ts'
import { eventually } from '../support/deadline.ts'
import { openTestStore } from '../support/limiter-redis.ts'
import { createManualClock } from '../support/manual-clock.ts'
import { asOperator } from '../support/operator.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { raisedLimits, startServer, type TestServer } from '../support/server.ts'
import { describeUnless, servicesMissing } from '../support/services.ts'

const proxied = { FILMGATE_SERVER_TRUSTED_PROXIES: '127.0.0.1/32' }
const oncePerHourEach = '[limits]\ntotal = "1 per hour"\n'

/** 32 of the 65,536 clients of one IPv6 site use up what all of them share. */
const exhaustSite = async (server: TestServer): Promise<void> => {
  for (let i = 0; i < 32; i++) assert.equal((await from(server, `2001:db8:1:${i.toString(16)}::1`)).status, 200)
}

const from = async (server: TestServer, address: string): Promise<Answer> =>
  ask(server, { target: '/v1/films/1', fields: { 'X-Forwarded-For': address } })

const operated = async (server: TestServer, method: string, identity: string): Promise<Answer> =>
  ask(server, { method, target: `/v1/limits/${encodeURIComponent(identity)}`, fields: asOperator(server), from: `127.0.9.${callers++}` })
let callers = 1

/** The neighbours are locked out by one; the operator sees it, and can let them in. */
const assertSiteResets = async (server: TestServer): Promise<void> => {
  await exhaustSite(server)
  const refused = await from(server, '2001:db8:1:ffff::1')
  assert.deepEqual([refused.status, refused.json()['violated-policies']], [429, ['network-hour']])
  const { items } = (await operated(server, 'GET', '2001:db8:1::/48')).json() as { items: readonly Record<string, unknown>[] }
  assert.deepEqual(
    items.map(({ name, remaining, limit }) => [name, remaining, limit]),
    [['network-hour', 0, 32]],
  )
  assert.equal((await operated(server, 'DELETE', '2001:db8:1::/48')).status, 204)
  assert.equal((await from(server, '2001:db8:1:fffe::1')).status, 200)
  assert.equal((await from(server, '2001:db8:1:1::1')).status, 429, 'the client itself has still used its own')
}

test('the counter of an IPv6 site is looked at and reset, that of each client stays', async () => {
  await using server = await startServer({ toml: oncePerHourEach, env: proxied })
  await assertSiteResets(server)
})

describeUnless(servicesMissing('redis'), 'in Redis', () => {
  let redis: RedisServer
  before(async () => {
    redis = await startRedis()
  })
  after(() => redis[Symbol.asyncDispose]())

  test('the counter of an IPv6 site is looked at and reset, that of each client stays', async () => {
    await using server = await startServer({ toml: oncePerHourEach, env: { ...proxied, FILMGATE_LIMITS_STORE: redis.url } })
    await assertSiteResets(server)
  })

  test('of a decision about two quotas one is given back, whichever of them is a rate', async () => {
    await using opened = await openTestStore(redis.url, { prefix: 'parts:' })
    await assertGivesBackApart(opened.store)
  })

  test('while Redis is gone and each instance counts alone, too', async () => {
    await using other = await startRedis()
    await using opened = await openTestStore(other.url, { onFailure: 'local', timeoutMs: 50 })
    await other.stop('SIGKILL')
    await opened.store.consume({ id: 'first' }, parts, 1)
    await assertGivesBackApart(opened.store)
  })
})

const parts: readonly layers.Quota[] = [
  { scope: 'route', windows: layers.parseLimits('3 per day; 5 per day burst 4') },
  { scope: 'failures', windows: layers.parseLimits('2 per day burst 2') },
]

/** Also in a network whose own name the client has, as nobody can have it from outside. */
const assertGivesBackApart = async (store: layers.LimiterStore): Promise<void> => {
  const identity = { id: 'somebody', wider: 'some network' }
  const failures = parts.slice(1)
  const answers: boolean[] = []
  for (let i = 0; i < 6; i++) {
    const decision = await store.consume(identity, parts, 1)
    answers.push(decision.allowed)
    if (decision.allowed) await store.refund(identity, failures, 1, decision)
  }
  assert.deepEqual(answers, [true, true, true, false, false, false], 'the route has counted all three, the failures none')
  const { states } = await store.peek(identity, parts)
  assert.deepEqual(
    states.map(({ remaining }) => remaining),
    [0, 1, 2],
  )
}

test('attack: a good request gives back what it took as a failure, and nothing that the route counts', () =>
  assertGivesBackApart(layers.createMemoryStore({ clock: createManualClock(), maxTrackedClients: 100 })))

const openLogin = async (isDown: () => boolean) => {
  const app = Fastify()
  const store = layers.createMemoryStore({ clock: systemClock, maxTrackedClients: 1000 })
  const limits = new layers.Limits({ anonymous: '100 per hour', total: '100 per hour' })
  const refunds: (readonly string[])[] = []
  const spied: layers.LimiterStore = {
    ...bound(store),
    refund: (identity, quotas, cost, decision) => {
      refunds.push(quotas.map(({ scope }) => scope))
      return store.refund(identity, quotas, cost, decision)
    },
  }
  await app.register(layers.problems, { observe: () => undefined })
  await app.register(layers.clientAddress, { addresses: layers.createClientAddresses({ trustedProxies: [] }) })
  await app.register(layers.totalLimit, { store: spied, limits, observe: () => undefined })
  app.addHook('onRequest', (_request, _reply, next) => next(isDown() ? new Error('the database is gone') : undefined))
  await app.register(layers.routeLimits, { store: spied, limits, observe: () => undefined })
  app.post('/login', { config: { limits: { failures: '2 per day burst 2' } } }, (_request, reply) => reply.code(401).send('no'))
  return { refunds, login: async () => (await app.inject({ method: 'POST', url: '/login' })).statusCode }
}

const bound = (store: layers.LimiterStore): layers.LimiterStore => ({
  consume: (...given) => store.consume(...given),
  refund: (...given) => store.refund(...given),
  peek: (...given) => store.peek(...given),
  reset: (...given) => store.reset(...given),
  close: () => store.close(),
})

test('attack: an answer of 500 before the route was counted gives no failure back', async () => {
  let isDown = false
  const { refunds, login } = await openLogin(() => isDown)
  assert.deepEqual([await login(), await login(), await login()], [401, 401, 429])
  isDown = true
  for (let i = 0; i < 5; i++) assert.equal(await login(), 500)
  isDown = false
  assert.equal(await login(), 429)
  assert.deepEqual(refunds, [])
})

test('observing refuses nobody, also when the store is gone and the choice is to deny', async () => {
  const app = Fastify()
  const limits = new layers.Limits({ anonymous: '1 per hour', total: '1 per hour', mode: 'observe' })
  const store: layers.LimiterStore = {
    ...bound(layers.createMemoryStore({ clock: systemClock, maxTrackedClients: 1000 })),
    consume: () => Promise.reject(new Error('the limiter has lost Redis')),
  }
  await app.register(layers.problems, { observe: () => undefined })
  await app.register(layers.clientAddress, { addresses: layers.createClientAddresses({ trustedProxies: [] }) })
  await app.register(layers.totalLimit, { store, limits, observe: () => undefined })
  await app.register(layers.routeLimits, { store, limits, observe: () => undefined })
  app.get('/', () => 'served')
  assert.equal((await app.inject('/')).statusCode, 200)
  limits.replace({ anonymous: '1 per hour', total: '1 per hour' })
  assert.equal((await app.inject('/')).statusCode, 503)
})

test('attack: of two rates over the same time neither lets through what the other holds back', () => {
  const limits = new layers.Limits({ anonymous: '10 per second burst 100' })
  const { anonymous } = limits.effective({ method: 'GET', url: '/', config: { limits: { add: '20 per second burst 2' } } })
  assert.deepEqual(
    anonymous.flatMap(({ windows }) => windows.map(({ limit, burst }) => [limit, burst])),
    [[10, 2]],
  )
})

describe('the key of the operator', () => {
  for (const url of ['http://films.example.com', 'http://192.0.2.1:3000', 'http://127.0.0.1.example.com', 'http://[2001:db8::1]:3000'])
    test(`is never sent in the clear to ${url}`, async () => {
      using folder = temporaryFolder()
      const env = { FILMGATE_SECRETS_KEY: '0123456789abcdef'.repeat(4) }
      const { code, stderr } = await runCommand(['limits', '192.0.2.7', '--url', url], { cwd: folder.path, env })
      assert.equal(code, 2)
      assert.match(stderr, /https/)
    })
  for (const url of ['http://localhost:1/path', 'http://me:secret@localhost:1', 'http://localhost:1?x', 'ftp://localhost', 'localhost'])
    test(`goes to a host alone, not to ${url}`, async () => {
      using folder = temporaryFolder()
      const env = { FILMGATE_SECRETS_KEY: '0123456789abcdef'.repeat(4) }
      const { code, stderr } = await runCommand(['limits', '192.0.2.7', '--url', url], { cwd: folder.path, env })
      assert.equal(code, 2)
      assert.doesNotMatch(stderr, /secret/)
    })
})

test('the name of a network stands for the network, that of a client for the client', () => {
  assert.deepEqual(parseIdentity('2001:db8:1::/48'), { id: '2001:db8:1::/48', wider: '2001:db8:1::/48' })
  assert.deepEqual(parseIdentity('2001:db8:1:2::9'), { id: '2001:db8:1:2::/64', wider: '2001:db8:1::/48' })
  assert.deepEqual(parseIdentity('2001:db8:1:2::9@ada'), guessesOf('2001:db8:1:2::/64', 'ada'))
  for (const none of [
    '@ada@eve',
    '192.0.2.7@',
    '192.0.2.7@Ada',
    '192.0.2.7@ada@eve',
    'ada@192.0.2.7',
    '192.0.2.7 @ada',
    '192.0.2.7@ada/64',
  ])
    assert.equal(parseIdentity(none), undefined, none)
})

test('attack: the prefixes of one IPv6 site cannot hold every slot of the server', async () => {
  const app = Fastify()
  const held: (() => void)[] = []
  await app.register(layers.problems, { observe: () => undefined })
  await app.register(layers.clientAddress, { addresses: layers.createClientAddresses({ trustedProxies: ['127.0.0.1/32'] }) })
  await app.register(layers.concurrency, { observe: () => undefined, limits: () => ({ perClient: 1, total: 100 }) })
  app.get('/slow', (_request, reply) => void held.push(() => void reply.send('slow')))
  app.get('/quick', () => 'quick')
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const statusOf = async (path: string, address: string): Promise<number> =>
    (await fetch(url + path, { headers: { 'x-forwarded-for': address } })).status
  const slow = Array.from({ length: 32 }, (_, i) => statusOf('/slow', `2001:db8:1:${i.toString(16)}::1`))
  await eventually(5000, 'all are in flight', () => held.length === 32)
  assert.equal(await statusOf('/quick', '2001:db8:1:ffff::1'), 429)
  assert.deepEqual(
    await Promise.all(['2001:db8:2::1', '192.0.2.1', '192.0.2.2'].map((address) => statusOf('/quick', address))),
    [200, 200, 200],
  )
  for (const answer of held) answer()
  assert.deepEqual(new Set(await Promise.all(slow)), new Set([200]))
  for (let i = 0; i < 40; i++) assert.equal(await statusOf('/quick', `2001:db8:1:${i.toString(16)}::1`), 200)
  await app.close()
})

test('attack: nothing that a request does keeps its slot', async () => {
  await using server = await startServer({
    toml: `${raisedLimits}[concurrency]\nper_client = 1\n[throttle.routes]\n"GET /v1/films/:id" = { pace = "1000 per second", max_waiting = 5 }\n`,
  })
  const json = { 'Content-Type': 'application/json', Authorization: `Bearer ${server.key()}` }
  const film = { method: 'POST', target: '/add_film' }
  const requests: readonly Parameters<typeof requestBytes>[0][] = [
    {},
    { method: 'HEAD' },
    { target: '/v1/films/1', fields: { 'If-None-Match': '*' } },
    { target: '/v1/films/nothing' },
    { method: 'HEAD', target: '/' },
    { ...film, fields: json, body: '{' },
    { ...film, fields: { ...json, 'Content-Length': '100' }, body: '{' },
    { ...film, fields: { ...json, 'Transfer-Encoding': 'chunked' }, body: '5\r\n{' },
    { ...film, fields: { ...json, Expect: '100-continue', 'Content-Length': '10' }, body: '' },
    { ...film, fields: { ...json, 'Content-Type': 'text/plain' }, body: 'x' },
    { ...film, fields: { ...json, 'Content-Length': '1000000' }, body: '{' },
    { fields: { Connection: 'Upgrade', Upgrade: 'websocket' } },
    { target: '/openapi.json' },
  ]
  const key = { Authorization: json.Authorization }
  const statuses = async (): Promise<string> => `${(await ask(server)).status} ${(await ask(server, { fields: key })).status}`
  for (const request of requests) {
    const connection = await openConnection(server.port)
    let isAnswered = false
    connection.socket.once('data', () => (isAnswered = true))
    connection.socket.write(requestBytes(request))
    await eventually(5000, 'it is answered, or its body is waited for', async () => isAnswered || (await statuses()) === '200 429')
    connection[Symbol.dispose]()
    await eventually(5000, `the slot is free after ${JSON.stringify(request)}`, async () => (await statuses()) === '200 200')
  }
})
