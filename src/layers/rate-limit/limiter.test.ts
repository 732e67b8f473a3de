import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import Fastify, { type FastifyRequest } from 'fastify'

import type { SecurityEvent } from '../../core/events.ts'
import type { Problem } from '../../core/errors.ts'
import { problemDocument, problemHeaders } from '../../core/problem-document.ts'
import { createLimiter, refundCharge, writeLimitFields } from './limiter.ts'
import { createMemoryStore } from './memory-store.ts'
import { parseLimits } from './notation.ts'
import type { LimiterStore } from './store.ts'

const quotas = [{ scope: 'test', windows: parseLimits('2 per second; 3 per minute') }]

const chargeOf = (request: { headers: Record<string, unknown> }) => ({
  identity: { id: String(request.headers['x-identity']) },
  quotas,
  cost: Number(request.headers['x-cost'] ?? 1),
})

const setUp = (wrap: (store: LimiterStore) => LimiterStore = (store) => store) => {
  const now = { ms: 0 }
  const clock = { epochMs: () => now.ms, monotonicMs: () => now.ms }
  const store = wrap(createMemoryStore({ clock, maxTrackedClients: 1000 }))
  const events: SecurityEvent[] = []
  const app = Fastify()
  app.addHook('onRequest', createLimiter({ store, observe: (event) => void events.push(event), policy: 'GET /', chargeOf }))
  app.addHook('onSend', writeLimitFields)
  app.setErrorHandler((problem: Problem, request, reply) =>
    reply.code(problem.statusCode).headers(problemHeaders(problem)).send(problemDocument(problem, request.id)),
  )
  app.get('/', () => ({ served: true }))
  const ask = async (identity = 'a') => {
    const { statusCode, headers, json } = await app.inject({ url: '/', headers: { 'x-identity': identity } })
    return { status: statusCode, headers, body: json() as Record<string, unknown> }
  }
  return { now, events, ask }
}

const stores: Readonly<Record<string, (store: LimiterStore) => LimiterStore>> = {
  'a store that answers at once': (store) => store,
  'a store that answers later': (store) => ({
    consume: async (...given) => store.consume(...given),
    refund: async (...given) => store.refund(...given),
    peek: async (...given) => store.peek(...given),
    reset: async (identity) => store.reset(identity),
    close: () => store.close(),
  }),
}

for (const [name, wrap] of Object.entries(stores)) {
  describe(name, () => {
    test('lets the limit through and refuses the next, each identity on its own', async () => {
      const { ask } = setUp(wrap)
      assert.deepEqual([(await ask()).status, (await ask()).status, (await ask()).status], [200, 200, 429])
      assert.equal((await ask('b')).status, 200)
    })

    test('says on every answer what the limits are and what is left', async () => {
      const { ask } = setUp(wrap)
      const answers = [await ask(), await ask(), await ask()]
      for (const { headers } of answers) assert.equal(headers['ratelimit-policy'], '"second";q=2;w=1, "minute";q=3;w=60')
      assert.deepEqual(
        answers.map(({ headers }) => headers['ratelimit']),
        ['"second";r=1;t=1, "minute";r=2;t=60', '"second";r=0;t=1, "minute";r=1;t=60', '"second";r=0;t=1, "minute";r=1;t=60'],
      )
    })

    test('refuses with how long to wait, true to the second, and which limits were met', async () => {
      const { ask, now } = setUp(wrap)
      await ask()
      now.ms = 400
      await ask()
      const { status, headers, body } = await ask()
      assert.deepEqual([status, headers['retry-after'], headers['cache-control']], [429, '1', 'no-store'])
      assert.deepEqual([body['code'], body['violated-policies']], ['quota_exceeded', ['second']])
      assert.match(String(body['detail']), /^This is limited to 2 requests in 1 second\. Try again in 1 second\./)
      now.ms = 1000
      assert.equal((await ask()).status, 200, 'who waits as long as it is told is let in')
      now.ms = 5000
      const minute = await ask()
      assert.deepEqual([minute.status, minute.headers['retry-after'], minute.body['violated-policies']], [429, '55', ['minute']])
      now.ms = 59_999
      assert.deepEqual([(await ask()).headers['retry-after']], ['1'])
      now.ms = 60_000
      assert.equal((await ask()).status, 200)
    })

    test('tells of each refusal once', async () => {
      const { ask, events } = setUp(wrap)
      for (let i = 0; i < 4; i++) await ask()
      const [first, second, ...others] = events.map((event) => ({ ...event, requestId: '' }))
      assert.deepEqual(first, { event: 'excess_rate_limit_exceeded', requestId: '', client: null, policy: 'GET /', violated: ['second'] })
      assert.deepEqual([second, others], [first, []])
    })
  })
}

const failing = () => Promise.reject(new Error('connection lost'))

test('a store that fails refuses: nobody passes uncounted', async () => {
  const app = Fastify()
  const store = { consume: failing, refund: failing, peek: failing, reset: failing, close: () => undefined }
  app.addHook(
    'onRequest',
    createLimiter({ store, observe: () => undefined, policy: 'x', chargeOf: () => ({ identity: { id: 'a' }, quotas, cost: 1 }) }),
  )
  app.get('/', () => ({ served: true }))
  assert.equal((await app.inject('/')).statusCode, 503)
})

test('what a request took is given back once, however many layers say so', () => {
  const store = createMemoryStore({ clock: { monotonicMs: () => 0 }, maxTrackedClients: 10 })
  const charge = { identity: { id: 'a' }, quotas, cost: 1 }
  const [first] = [1, 2].map(
    () => ({ limitCharge: charge, limitDecision: store.consume(charge.identity, quotas, 1) }) as unknown as FastifyRequest,
  )
  for (let time = 0; time < 3; time++) refundCharge(store, first!)
  assert.deepEqual(
    store.peek(charge.identity, quotas).states.map(({ remaining }) => remaining),
    [1, 2],
  )
})
