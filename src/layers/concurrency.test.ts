import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type ClientHttp2Session, connect, constants, type ServerHttp2Stream } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'

import Fastify, { type FastifyReply, type FastifyRequest } from 'fastify'
import fc from 'fast-check'

import { ask, type Answer } from '../../test/support/attack.ts'
import { openConnection } from '../../test/support/connection.ts'
import { eventually } from '../../test/support/deadline.ts'
import { Problem } from '../core/errors.ts'
import type { SecurityEvent } from '../core/events.ts'
import type { Client } from '../core/request.ts'
import { concurrency, type ConcurrencyOptions } from './concurrency.ts'
import { problems } from './problems.ts'

const name = (request: FastifyRequest): string => String(request.headers['x-client'] ?? 'somebody')

const refusing = (_request: FastifyRequest, _reply: FastifyReply, next: (error: Error) => void): void =>
  next(new Problem('forbidden', { detail: 'No.' }))

/** An application whose /slow is answered when the test says so. Clients name themselves. */
const openApp = async (
  limits: { perClient: number; total: number },
  { clientOf, ...options }: Partial<ConcurrencyOptions> & { clientOf?: (name: string) => Client } = {},
) => {
  const app = Fastify()
  const events: SecurityEvent[] = []
  const refused: string[] = []
  const held = new Map<string, FastifyReply>()
  const beforehand = { hold: undefined as Promise<void> | undefined }
  await app.register(problems, { observe: () => undefined })
  app.addHook('onRequest', async () => beforehand.hold)
  if (clientOf !== undefined) app.addHook('onRequest', async (request) => void (request.client = clientOf(name(request))))
  await app.register(concurrency, {
    limits: () => limits,
    observe: (event) => void events.push(event),
    ...(clientOf === undefined ? { identityOf: name } : {}),
    onRefused: (request) => void refused.push(request.url),
    ...options,
  })
  app.get('/slow/:id', (request, reply) => void held.set((request.params as { id: string }).id, reply))
  app.get('/quick', () => 'quick')
  app.get('/bug', () => {
    throw new TypeError('bug')
  })
  app.get('/refused', { preHandler: refusing }, () => 'never')
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo

  const quick = (client = 'somebody', target = '/quick'): Promise<Answer> => ask({ port }, { target, fields: { 'X-Client': client } })
  const hold = async (id: string, client = 'somebody') => {
    const connection = await openConnection(port)
    connection.send(`GET /slow/${id} HTTP/1.1\r\nHost: x\r\nX-Client: ${client}\r\n\r\n`)
    await eventually(5000, `${id} is in flight`, () => held.has(id))
    return connection
  }
  const answer = (id: string): void => {
    void held.get(id)?.send('slow')
    held.delete(id)
  }
  /** Exactly so many may be in flight: none of the slots is lost, none is there twice. */
  const assertFree = async (free: number, client = 'somebody'): Promise<void> => {
    await eventually(5000, 'a slot is free', async () => (await quick(client)).status === 200)
    const connections = []
    for (let i = 0; i < free; i++) connections.push(await hold(`probe${i}`, client))
    assert.equal((await quick(client)).status, 429)
    for (let i = 0; i < free; i++) answer(`probe${i}`)
    for (const connection of connections) {
      assert.equal((await connection.answer()).status, 200)
      connection[Symbol.dispose]()
    }
  }
  const close = async (): Promise<void> => {
    app.server.closeAllConnections()
    await app.close()
  }
  return { port, events, refused, held, beforehand, limits, quick, hold, answer, assertFree, [Symbol.asyncDispose]: close }
}

test('one more than a client may have in flight is 429; others are served, and so is the next when one is answered', async () => {
  await using app = await openApp({ perClient: 2, total: 10 })
  const first = await app.hold('a')
  await app.hold('b')
  const refusal = await app.quick()
  assert.equal(refusal.status, 429)
  assert.equal(refusal.field('retry-after'), '1')
  assert.equal(refusal.json()['code'], 'quota_exceeded')
  assert.deepEqual(refusal.json()['violated-policies'], ['concurrency'])
  const [event] = app.events
  assert.deepEqual(event, {
    event: 'excess_rate_limit_exceeded',
    requestId: refusal.json()['request_id'],
    client: null,
    policy: 'concurrency',
    violated: ['concurrency'],
  })
  assert.deepEqual([app.events.length, app.refused], [1, ['/quick']])
  assert.equal((await app.quick('another')).status, 200)
  app.answer('a')
  assert.equal((await first.answer()).status, 200)
  await app.hold('c')
  assert.equal((await app.quick()).status, 429)
})

test('more than all may have in flight is 503, but who is over its own limit hears that', async () => {
  await using app = await openApp({ perClient: 2, total: 3 })
  await app.hold('a', 'x')
  await app.hold('b', 'x')
  await app.hold('c', 'y')
  const [full, own] = [await app.quick('z'), await app.quick('x')]
  assert.deepEqual([full.status, full.json()['code'], full.field('retry-after')], [503, 'temporary_reduced_capacity', '1'])
  assert.equal(own.status, 429)
  assert.deepEqual(
    app.events.map((event) => 'violated' in event && event.violated),
    [['concurrency-total'], ['concurrency']],
  )
  app.answer('c')
  await eventually(5000, 'the slot is free', async () => (await app.quick('z')).status === 200)
})

test('limits are read at each request', async () => {
  await using app = await openApp({ perClient: 1, total: 10 })
  await app.hold('a')
  assert.equal((await app.quick()).status, 429)
  app.limits.perClient = 2
  assert.equal((await app.quick()).status, 200)
  await app.hold('b')
  app.limits.perClient = 1
  app.answer('a')
  assert.equal((await app.quick()).status, 429)
})

test('a slot comes back whatever the answer is: an error, a refusal by a later hook, none at all', async () => {
  await using app = await openApp({ perClient: 3, total: 10 })
  for (let i = 0; i < 10; i++) {
    assert.equal((await app.quick('somebody', '/bug')).status, 500)
    assert.equal((await app.quick('somebody', '/refused')).status, 403)
    const connection = await app.hold(`gone${i}`)
    connection[Symbol.dispose]()
    app.answer(`gone${i}`)
  }
  await app.assertFree(3)
})

test('pipelined requests hold a slot each; all come back when the client goes away', async () => {
  await using app = await openApp({ perClient: 3, total: 10 })
  for (let round = 0; round < 5; round++) {
    app.refused.length = 0
    const connection = await openConnection(app.port)
    const ids = [0, 1, 2, 3, 4].map((i) => `${round}-${i}`)
    connection.send(ids.map((id) => `GET /slow/${id} HTTP/1.1\r\nHost: x\r\n\r\n`).join(''))
    await eventually(5000, 'three are in flight, two refused', () => app.held.size === 3 && app.refused.length === 2)
    connection[Symbol.dispose]()
    await eventually(5000, 'a slot is free', async () => (await app.quick()).status === 200)
    app.held.clear()
  }
  await app.assertFree(3)
})

test('attack: whoever is gone before its slot takes none, and no work is done for it', async () => {
  await using app = await openApp({ perClient: 1, total: 1 })
  const { promise, resolve } = Promise.withResolvers<void>()
  app.beforehand.hold = promise
  for (let i = 0; i < 5; i++) {
    const connection = await openConnection(app.port)
    connection.send(`GET /slow/${i} HTTP/1.1\r\nHost: x\r\n\r\n`)
    connection.socket.end()
    await connection.closed
  }
  resolve()
  await eventually(5000, 'all were let go', () => app.refused.length === 5)
  app.beforehand.hold = undefined
  assert.equal(app.held.size, 0)
  await app.assertFree(1)
})

test('attack: rapid reset over HTTP/2 (CVE-2023-44487) before the slot is taken keeps none for ever', async (t) => {
  const app = Fastify({ http2: true })
  const closed: Promise<unknown>[] = []
  const { promise: reset, resolve: goOn } = Promise.withResolvers<void>()
  const refused: string[] = []
  // As every layer does that asks a store: the client is gone when it goes on.
  app.addHook('onRequest', async ({ raw }) => {
    if (raw.url === '/last') return
    closed.push(once((raw as unknown as { stream: ServerHttp2Stream }).stream, 'close'))
    await reset
  })
  await app.register(concurrency, {
    limits: () => ({ perClient: 1, total: 1 }),
    observe: () => undefined,
    identityOf: () => 'somebody',
    onRefused: ({ url }) => void refused.push(url),
  })
  app.get('/*', () => 'answered')
  const client = connect(await app.listen({ host: '127.0.0.1', port: 0 }))
  t.after(() => {
    client.destroy()
    return app.close()
  })
  const codes = [constants.NGHTTP2_CANCEL, constants.NGHTTP2_NO_ERROR, constants.NGHTTP2_CANCEL]
  for (const [i, code] of codes.entries()) {
    const stream = client.request({ ':path': `/${i}` })
    await eventually(5000, 'it is there', () => closed.length === i + 1)
    stream.on('error', () => undefined).close(code)
  }
  await Promise.all(closed)
  goOn()
  await eventually(5000, 'all were let go', () => refused.length === codes.length)
  assert.equal(await statusOf(client, '/last'), 200)
})

const statusOf = async (client: ClientHttp2Session, path: string): Promise<number | undefined> => {
  const stream = client.request({ ':path': path })
  const [headers] = (await once(stream, 'response')) as [{ ':status'?: number }]
  stream.resume()
  await once(stream, 'close')
  return headers[':status']
}

const happening = fc.record({
  client: fc.constantFrom('x', 'y', 'z'),
  what: fc.constantFrom('hold', 'hold', 'answer', 'go away', 'quick'),
})

test('whatever happens in whatever order, each slot is free again exactly once', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(happening, { minLength: 5, maxLength: 30 }), async (happenings) => {
      await using app = await openApp({ perClient: 2, total: 4 })
      let last = 0
      const open: { readonly id: string; readonly client: string; readonly connection: Disposable }[] = []
      for (const { client, what } of happenings) {
        const own = open.filter((one) => one.client === client)
        const [first] = own
        const isFull = own.length >= 2 || open.length >= 4
        if (what === 'hold' && !isFull) {
          const id = String(last++)
          open.push({ id, client, connection: await app.hold(id, client) })
        } else if (what === 'quick' || what === 'hold') {
          assert.equal((await app.quick(client)).status, own.length >= 2 ? 429 : isFull ? 503 : 200)
        } else if (first !== undefined) {
          open.splice(open.indexOf(first), 1)
          if (what === 'answer') app.answer(first.id)
          first.connection[Symbol.dispose]()
          if (open.length < 4) await eventually(5000, 'the slot is free', async () => (await app.quick(client)).status === 200)
        }
      }
      for (const { connection } of open) connection[Symbol.dispose]()
      for (const client of ['x', 'y', 'z']) await app.assertFree(2, client)
    }),
    { numRuns: 15 },
  )
})

test('attack: thousands of names in turn make nobody in flight forgotten, and free no slot', async () => {
  await using app = await openApp({ perClient: 2, total: 10_000 })
  await app.hold('a', 'victim')
  const many = Array.from({ length: 3000 }, (_, i) => `GET /quick HTTP/1.1\r\nHost: x\r\nX-Client: other-${i}\r\n\r\n`)
  const connection = await openConnection(app.port)
  for (const one of many) {
    connection.send(one)
    assert.equal((await connection.answer()).status, 200)
  }
  await app.hold('b', 'victim')
  assert.equal((await app.quick('victim')).status, 429)
  for (const id of ['a', 'b']) app.answer(id)
  await app.assertFree(2, 'victim')
  await app.assertFree(2, 'other-0')
})

const clientNamed = (text: string): Client => ({
  address: `${text}1`,
  prefix: `${text}/64`,
  network: text.startsWith('2001:db8:') ? '2001:db8::/48' : `${text}/48`,
})

test('attack: a site whose idle clients were forgotten in between still counts all of its clients together', async () => {
  const limits = { perClient: 1, total: 10_000 }
  await using app = await openApp(limits, { clientOf: clientNamed })
  // One client of the site is idle, and known, when the site itself is forgotten and made anew.
  assert.equal((await app.quick('2001:db8:0:1::')).status, 200)
  for (let i = 0; i < 1100; i++) assert.equal((await app.quick(`2001:dead:${i.toString(16)}::`)).status, 200)
  for (let i = 1; i <= 32; i++) await app.hold(`s${i}`, `2001:db8:0:${i.toString(16)}::`)
  assert.equal((await app.quick('2001:db8:0:ff::')).status, 429)
  for (let i = 1; i <= 32; i++) app.answer(`s${i}`)
  await eventually(5000, 'the slots of the site are free', async () => (await app.quick('2001:db8:0:ff::')).status === 200)
})
