import assert from 'node:assert/strict'
import type { AddressInfo } from 'node:net'
import { describe, test } from 'node:test'

import Fastify, { type FastifyInstance } from 'fastify'

import type { SecurityEvent } from '../../src/core/events.ts'
import { Problem } from '../../src/core/errors.ts'
import * as layers from '../../src/layers/index.ts'
import { type Answer, type Ask, ask } from '../support/attack.ts'

const app = 'https://app.example'
const config = { access: 'public' } as const

interface Options extends Partial<layers.CorsRules> {
  readonly isOwn?: layers.PreflightOptions['isOwn']
}

/** Somebody else's application: this layer alone. */
const someoneElses = async (routes: (server: FastifyInstance) => unknown, { isOwn, ...rules }: Options = {}) => {
  const events: SecurityEvent[] = []
  const policies = new layers.CorsPolicies({ origins: [app], allowHeaders: ['X-Mine'], exposeHeaders: ['X-Told'], ...rules })
  const server = Fastify()
  const known = layers.collectRoutes(server)
  await server.register(layers.corsFields, { policies })
  await server.register(layers.corsPreflights, {
    policies,
    observe: (event) => void events.push(event),
    ...(isOwn === undefined ? {} : { isOwn }),
  })
  await routes(server)
  layers.addMethodAnswers(server, known)
  await server.listen({ host: '127.0.0.1', port: 0 })
  const { port } = server.server.address() as AddressInfo
  return { port, events, policies, [Symbol.asyncDispose]: () => server.close() }
}

const told = (answer: Answer): readonly (string | undefined)[] => [answer.field('access-control-allow-origin'), answer.field('vary')]
const announce = (method: string, more: Ask['fields'] = {}): Ask => ({
  method: 'OPTIONS',
  fields: { Origin: app, 'Access-Control-Request-Method': method, ...more },
})

describe('in an application of somebody else', () => {
  test('good answers, errors of every kind, and what is not there: a page may read them all', async () => {
    await using server = await someoneElses((it) => {
      it.get('/good', { config }, () => ({ good: true }))
      it.get('/bug', { config }, () => {
        throw new TypeError('secret')
      })
      it.get('/busy', { config }, () => {
        throw new Problem('temporary_reduced_capacity', { detail: 'Later.' })
      })
      it.get('/broken-stream', { config }, (_request, reply) =>
        reply.send(new ReadableStream({ start: (stream) => stream.error(new Error('broken')) })),
      )
    })
    for (const [target, status] of [
      ['/good', 200],
      ['/bug', 500],
      ['/busy', 503],
      ['/broken-stream', 500],
      ['/nothing', 404],
    ] as const) {
      const answer = await ask(server, { target, fields: { Origin: app } })
      assert.deepEqual(
        [answer.status, ...told(answer), answer.field('access-control-expose-headers')],
        [status, app, 'Origin', 'X-Told'],
        target,
      )
      assert.deepEqual(told(await ask(server, { target })), [undefined, 'Origin'], target)
    }
  })

  test('Vary of a route is kept, however it was written', async () => {
    const written: Readonly<Record<string, readonly [vary: string | readonly string[], expected: string]>> = {
      other: ['Accept-Encoding', 'Origin, Accept-Encoding'],
      several: ['Accept, accept-language', 'Origin, Accept, accept-language'],
      fields: [['Accept', 'Cookie'], 'Origin, Accept, Cookie'],
      same: ['origin', 'Origin'],
      among: ['Accept,ORIGIN', 'Origin, Accept'],
      star: ['*', '*'],
      empty: ['', 'Origin'],
      commas: [',, Accept ,', 'Origin, Accept'],
    }
    await using server = await someoneElses((it) => {
      for (const [name, [vary]] of Object.entries(written))
        it.get(`/${name}`, { config }, (_request, reply) => reply.header('vary', vary).send({}))
    })
    for (const [name, [, expected]] of Object.entries(written))
      assert.equal((await ask(server, { target: `/${name}` })).field('vary'), expected, name)
  })

  test('routes with a prefix, parameters, several methods, and an OPTIONS of their own', async () => {
    await using server = await someoneElses(
      async (it) => {
        await it.register(
          (inner, _options, done) => {
            inner.get('/films/:id', { config }, () => ({}))
            inner.route({ method: ['PUT', 'DELETE'], url: '/films/:id', config, handler: () => ({}) })
            done()
          },
          { prefix: '/v9' },
        )
        it.options('/own', { config }, () => ({ own: true }))
        it.get('/own', { config }, () => ({}))
        it.get('/files/*', { config }, () => ({}))
      },
      { routes: { 'DELETE /v9/films/:id': { origins: [] }, 'OPTIONS /own': { origins: ['*'] } } },
    )
    const one = { ...announce('PUT'), target: '/v9/films/7' }
    assert.equal((await ask(server, one)).field('access-control-allow-methods'), 'GET, HEAD, OPTIONS, PUT')
    assert.equal((await ask(server, { ...announce('DELETE'), target: '/v9/films/7' })).status, 403)
    assert.equal((await ask(server, { ...announce('PUT'), target: '/films/7' })).status, 404)
    assert.equal((await ask(server, { ...announce('GET'), target: '/files/a/b' })).status, 204)
    assert.equal((await ask(server, { ...announce('OPTIONS'), target: '/own' })).status, 204, 'preflights never reach it')
    const own = await ask(server, { method: 'OPTIONS', target: '/own', fields: { Origin: 'https://evil.test' } })
    assert.deepEqual([own.json(), ...told(own)], [{ own: true }, '*', undefined])
  })

  test('one that answers no OPTIONS does not start: all its preflights would fail', async () => {
    const server = Fastify()
    const policies = new layers.CorsPolicies({ origins: [app] })
    await server.register(layers.corsFields, { policies })
    await server.register(layers.corsPreflights, { policies, observe: () => undefined })
    server.get('/films/:id', () => ({}))
    await assert.rejects(async () => server.ready(), /\/films\/:id has no route for OPTIONS/)
    await server.close()
  })

  test('preflights without the layer that chooses fields do not start', async () => {
    const server = Fastify()
    const policies = new layers.CorsPolicies({ origins: [app] })
    await assert.rejects(async () => server.register(layers.corsPreflights, { policies, observe: () => undefined }).ready(), /cors-fields/)
    await server.close()
  })

  test('without more said its own origin is what Host names', async () => {
    await using server = await someoneElses((it) => it.get('/', { config }, () => ({})))
    await using knowing = await someoneElses((it) => it.get('/', { config }, () => ({})), {
      isOwn: (origin) => origin === 'https://front.example',
    })
    for (const [at, origin, count] of [
      [server, 'http://localhost', 0],
      [server, 'https://localhost', 0],
      [server, 'http://localhost:1', 1],
      [server, 'https://front.example', 2],
      [knowing, 'https://front.example', 0],
      [knowing, 'http://localhost', 1],
    ] as const) {
      await ask(at, { target: '/', fields: { Origin: origin } })
      assert.equal(at.events.length, count, origin)
    }
    assert.deepEqual(server.events[0], {
      event: 'malicious_cors',
      requestId: 'req-3',
      client: null,
      origin: 'http://localhost:1',
      preflight: false,
    })
  })

  test('fields that may be set are compared without case; with none configured none is allowed', async () => {
    await using server = await someoneElses((it) => it.get('/', { config }, () => ({})))
    const answer = await ask(server, { ...announce('GET', { 'Access-Control-Request-Headers': 'x-mine' }), target: '/' })
    assert.deepEqual(
      [answer.status, answer.field('access-control-allow-headers'), answer.field('access-control-max-age')],
      [204, 'x-mine', '600'],
    )
    await using strict = await someoneElses((it) => it.get('/', { config }, () => ({})), { allowHeaders: [], exposeHeaders: [] })
    assert.equal((await ask(strict, { ...announce('GET'), target: '/' })).field('access-control-allow-headers'), undefined)
    assert.equal((await ask(strict, { ...announce('GET', { 'Access-Control-Request-Headers': 'x-mine' }), target: '/' })).status, 403)
    assert.equal((await ask(strict, { target: '/', fields: { Origin: app } })).field('access-control-expose-headers'), undefined)
  })

  test('rules that mean nothing change nothing', () => {
    const policies = new layers.CorsPolicies({ origins: [app] })
    for (const rules of [
      { origins: ['null'] },
      { origins: [app], allowHeaders: ['*'] },
      { origins: [app], exposeHeaders: ['a b'] },
      { origins: [app], exposeHeaders: ['a\r\nSet-Cookie: x'] },
      { origins: [app], routes: { 'GET /': { origins: ['*', app] } } },
    ]) {
      assert.throws(() => policies.replace(rules), TypeError)
      assert.throws(() => new layers.CorsPolicies(rules), TypeError)
    }
    assert.ok(policies.policyFor('/', 'GET').match.isNamed(app))
  })

  test('"*" has no credentials even where they are asked for', async () => {
    await using server = await someoneElses((it) => it.get('/', { config }, () => ({})), { origins: ['*'], credentials: true })
    for (const request of [
      { target: '/', fields: { Origin: app } },
      { ...announce('GET'), target: '/' },
    ]) {
      const answer = await ask(server, request)
      assert.deepEqual([answer.field('access-control-allow-origin'), answer.field('access-control-allow-credentials')], ['*', undefined])
    }
  })
})
