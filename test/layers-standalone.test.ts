import assert from 'node:assert/strict'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'

import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'

import type { SecurityEvent } from '../src/core/events.ts'
import * as layers from '../src/layers/index.ts'
import { ask, requestBytes } from './support/attack.ts'
import { sendRaw } from './support/raw.ts'

/** Somebody else's application: one of our layers (or two that belong together), a route, a real connection. */
const someoneElses = async (protect: (app: FastifyInstance) => Promise<unknown>, options: FastifyServerOptions = {}) => {
  const app = Fastify(options)
  await protect(app)
  const config = { access: 'public' } as const
  const body = { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] }
  app.get('/hello', { config }, (request) => ({ client: request.client, subject: request.principal?.subject ?? null }))
  app.post('/hello', { config, schema: { body } }, (request) => request.body)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  return { app, port, [Symbol.asyncDispose]: () => app.close() }
}

const clock = { epochMs: () => 0, monotonicMs: () => 0 }
const store = () => layers.createMemoryStore({ clock, maxTrackedClients: 100 })
const unheard = (): void => undefined
const noProxies = layers.createClientAddresses({ trustedProxies: [] })
const hello = { target: '/hello' }

test('security headers', async () => {
  await using server = await someoneElses(async (app) => app.register(layers.securityHeaders, { tls: true }))
  for (const target of ['/hello', '/nothing']) {
    const answer = await ask(server, { target })
    const expected = layers.securityHeaderFields({ tls: true })
    for (const [name, value] of Object.entries(expected)) assert.equal(answer.field(name), value, name)
    assert.match(answer.field('strict-transport-security') ?? '', /max-age/)
  }
})

test('problems: errors of every kind become problem documents, and events where input was wrong', async () => {
  const events: SecurityEvent[] = []
  await using server = await someoneElses(async (app) => {
    await app.register(layers.problems, { observe: (event) => void events.push(event) })
    app.get('/bug', () => {
      throw new TypeError('secret detail')
    })
  })
  const codes: unknown[] = []
  for (const request of [
    { target: '/nothing' },
    { target: '/bug' },
    { ...hello, method: 'POST', fields: { 'Content-Type': 'application/json' }, body: '{}' },
  ]) {
    const answer = await ask(server, request)
    assert.match(answer.field('content-type') ?? '', /^application\/problem\+json/)
    assert.doesNotMatch(answer.body, /secret detail/)
    codes.push(answer.json()['code'])
  }
  assert.deepEqual(codes, ['not_found', 'internal', 'validation_failed'])
  assert.deepEqual(
    events.map(({ event }) => event),
    ['input_validation_fail'],
  )
})

test('client address', async () => {
  const addresses = layers.createClientAddresses({ trustedProxies: ['127.0.0.0/8'] })
  await using server = await someoneElses(async (app) => app.register(layers.clientAddress, { addresses }))
  const answer = await ask(server, { ...hello, fields: { 'X-Forwarded-For': '2001:db8::1' } })
  const { address, prefix } = answer.json()['client'] as Record<string, unknown>
  assert.deepEqual([address, prefix], ['2001:db8::1', '2001:db8::/64'])
})

test('rate limit over everything', async () => {
  await using server = await someoneElses(async (app) => {
    await app.register(layers.clientAddress, { addresses: noProxies })
    const limits = new layers.Limits({ anonymous: '1 per minute', total: '2 per minute' })
    await app.register(layers.totalLimit, { store: store(), observe: unheard, limits })
    await app.register(layers.problems, { observe: unheard })
  })
  const answers = [await ask(server, hello), await ask(server, { target: '/nothing' }), await ask(server, hello)]
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 404, 429],
  )
  for (const answer of answers) assert.equal(answer.field('ratelimit-policy'), '"total-minute";q=2;w=60')
  assert.equal(answers[2]?.field('retry-after'), '60')
  assert.equal((await ask(server, { ...hello, from: '127.0.0.2' })).status, 200)
})

const routeRules = { anonymous: '2 per minute', authenticated: '1 per minute' }

/** GET and HEAD share a quota. */
const spendTwo = async (server: { readonly port: number }) => [
  await ask(server, hello),
  await ask(server, { ...hello, method: 'HEAD' }),
  await ask(server, hello),
]

test('rate limit of routes', async () => {
  await using server = await someoneElses(async (app) => {
    await app.register(layers.problems, { observe: unheard })
    await app.register(layers.clientAddress, { addresses: noProxies })
    app.addHook('onRequest', async (request) => void (request.principal = null))
    await app.register(layers.routeLimits, { store: store(), observe: unheard, limits: new layers.Limits(routeRules) })
    app.get('/free', { config: { access: 'public', limits: 'none' } }, () => 'free')
  })
  const answers = await spendTwo(server)
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 200, 429],
  )
  for (let i = 0; i < 5; i++) assert.equal((await ask(server, { target: '/free' })).status, 200)
  assert.deepEqual(
    answers.map((answer) => answer.field('ratelimit')),
    ['"minute";r=1;t=60', '"minute";r=0;t=60', '"minute";r=0;t=60'],
  )
  for (const answer of answers) assert.equal(answer.field('ratelimit-policy'), '"minute";q=2;w=60')
})

test('rate limit of routes, in an application that knows no principals: everybody is anonymous', async () => {
  await using server = await someoneElses(async (app) => {
    await app.register(layers.problems, { observe: unheard })
    await app.register(layers.clientAddress, { addresses: noProxies })
    await app.register(layers.routeLimits, { store: store(), observe: unheard, limits: new layers.Limits(routeRules) })
  })
  assert.deepEqual(
    (await spendTwo(server)).map(({ status }) => status),
    [200, 200, 429],
  )
})

test('authorization with an authentication of their own', async () => {
  await using server = await someoneElses(async (app) => {
    await app.register(layers.problems, { observe: unheard })
    app.addHook('onRequest', async (request) => {
      const permissions = new Set(request.headers['x-can'] === undefined ? [] : (['films:write'] as const))
      request.principal = request.headers['x-user'] === undefined ? null : { subject: 'bob', credential: 'x', permissions }
    })
    await app.register(layers.authorization, { observe: unheard, clock: layers.systemClock, publicPermissions: new Set<never>() })
    app.get('/write', { config: { access: 'films:write' } }, () => 'written')
    app.get('/known', { config: { access: 'authenticated' } }, () => 'known')
  })
  const statuses = async (fields: Record<string, string>) => [
    (await ask(server, { target: '/known', fields })).status,
    (await ask(server, { target: '/write', fields })).status,
  ]
  assert.deepEqual(await statuses({}), [401, 401])
  assert.deepEqual(await statuses({ 'X-User': 'bob' }), [200, 403])
  assert.deepEqual(await statuses({ 'X-User': 'bob', 'X-Can': 'write' }), [200, 200])
})

test('validation: strict JSON and nothing else, before schemas that coerce nothing', async () => {
  await using server = await someoneElses(
    async (app) => {
      await app.register(layers.problems, { observe: unheard })
      await app.register(layers.validation)
    },
    { ajv: layers.ajvOptions },
  )
  const post = (body: string, type = 'application/json') =>
    ask(server, { ...hello, method: 'POST', fields: { 'Content-Type': type }, body })
  assert.deepEqual((await post('{"n":1}')).json(), { n: 1 })
  const refused: readonly (readonly [string, string?])[] = [
    ['{"n":"1"}'],
    ['{"n":1,"n":2}'],
    ['{"n":1,"__proto__":{}}'],
    ['n=1', 'application/x-www-form-urlencoded'],
    ['{"n":1}', 'text/plain'],
  ]
  const statuses: number[] = []
  for (const [body, type] of refused) statuses.push((await post(body, type)).status)
  assert.deepEqual(statuses, [400, 400, 400, 415, 415])
  assert.equal((await ask(server, { ...hello, fields: { Accept: 'text/html' } })).status, 406)
})

const outcome = () => ({ client: null, principal: null, verdict: 'ok', error: null, bytesIn: 0 })

test('access log: one record for each request, with an id that the answer carries', async () => {
  const records: layers.AccessRecord[] = []
  const server = await someoneElses(
    async (app) =>
      app.register(layers.accessLog, {
        clock,
        write: (record) => void records.push(record),
        isTrusted: () => false,
        outcome,
      }),
    { genReqId: layers.createRequestIds(() => false) },
  )
  const answer = await ask(server, { target: '/hello?token=hunter2', fields: { 'X-Request-Id': 'chosen-by-a-client' } })
  assert.match(answer.field('x-request-id') ?? '', /^[0-9a-f]{24}$/)
  await ask(server, { target: '/nothing' })
  await server[Symbol.asyncDispose]()
  const shown = records.map(({ method, route, path, status, verdict }) => [method, route, path, status, verdict])
  assert.deepEqual(shown, [
    ['GET', '/hello', '/hello?[redacted]', 200, 'ok'],
    ['GET', null, '/nothing', 404, 'ok'],
  ])
})

test('methods: 405 with Allow and OPTIONS for every route', async () => {
  await using server = await someoneElses(async (app) => {
    layers.teachAllMethods(app)
    const routes = layers.collectRoutes(app)
    await app.register(layers.problems, { observe: unheard })
    app.get('/only-get', () => 'x')
    layers.addMethodAnswers(app, routes)
  })
  const answers = [
    await ask(server, { method: 'DELETE', target: '/only-get' }),
    await ask(server, { method: 'OPTIONS', target: '/only-get' }),
  ]
  assert.deepEqual(
    answers.map((answer) => [answer.status, answer.field('allow')]),
    [
      [405, 'GET, HEAD, OPTIONS'],
      [204, 'GET, HEAD, OPTIONS'],
    ],
  )
})

test('message checks: the Host of a stranger is refused', async () => {
  const check = layers.createMessageChecks(layers.createHostCheck({ hosts: [] }))
  await using server = await someoneElses(
    async (app) => {
      await app.register(layers.problems, { observe: unheard })
      await app.register(layers.messageChecks, { observe: unheard, check })
    },
    layers.transportOptions({ bodyLimitBytes: 1000, headerTimeoutMs: 1000, requestTimeoutMs: 1000 }),
  )
  const statuses: number[] = []
  for (const Host of ['localhost', 'evil.example', null]) statuses.push((await ask(server, { ...hello, fields: { Host } })).status)
  assert.deepEqual(statuses, [200, 421, 400])
})

test('transport: what never becomes a request is answered too', async () => {
  const refused: layers.Unparsed[] = []
  const sockets = new layers.Sockets({
    refuse: (unparsed) => {
      refused.push(unparsed)
      return layers.rawAnswer(unparsed.problem, 'id', {})
    },
    maxConnections: 10,
    maxConnectionsPerClient: 5,
    clientPrefixOf: () => 'all',
    isTrusted: () => false,
    onTooMany: () => undefined,
  })
  await using server = await someoneElses(
    async (app) => {
      sockets.attach(app.server, (request, response) => app.routing(request, response))
      await app.register(layers.transport, { sockets, bodyLimitBytes: 1000 })
    },
    { clientErrorHandler: sockets.onClientError },
  )
  assert.equal((await ask(server, hello)).status, 200)
  const { status, headers } = await sendRaw(server.port, 'GET / HTTP/1.1\r\nbroken\r\n\r\n')
  assert.deepEqual([status, headers['content-type']], [400, 'application/problem+json'])
  assert.equal((await sendRaw(server.port, requestBytes({ method: 'CONNECT', target: 'a.example:443' }))).status, 405)
  assert.deepEqual(
    refused.map(({ problem }) => problem.code),
    ['bad_request', 'method_not_allowed'],
  )
})

test('log: lines of JSON to wherever they want', () => {
  const lines: string[] = []
  const log = layers.createLog({ sink: { write: (line) => void lines.push(line), flush: unheard }, clock, level: 'info', format: 'json' })
  log.note('info', 'ready')
  assert.deepEqual(
    lines.map((line) => JSON.parse(line) as unknown),
    [{ time: '1970-01-01T00:00:00.000Z', level: 'info', msg: 'ready' }],
  )
})
