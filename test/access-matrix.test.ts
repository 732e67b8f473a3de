import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { METHODS } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'

import Fastify from 'fastify'

import { createApiKeyRepository, createKeyLookup } from '../src/api/accounts/api-keys.ts'
import { createFilmRepository } from '../src/api/films/repository.ts'
import { createVoteRepository } from '../src/api/votes/repository.ts'
import { buildApp, buildOpsApp } from '../src/app.ts'
import { loadConfig } from '../src/config.ts'
import type { Permission } from '../src/core/access.ts'
import { systemClock as clock } from '../src/core/clock.ts'
import { createApiKey, formatApiKey, hashSecret } from '../src/credentials/api-key.ts'
import { createVoterIds } from '../src/credentials/voter-id.ts'
import { openDatabase } from '../src/db/open.ts'
import { authorization, createLog, createMemoryStore } from '../src/layers/index.ts'
import { createProtections } from '../src/serve/protections.ts'
import { type Answer, ask, assertProblem, assertSafe } from './support/attack.ts'

/** What each caller gets: nobody in particular, the starter key (films:write), a key without any permission. */
type Row = readonly [anonymous: number, starter: number, powerless: number]

/** Every route there is. A route that is not here fails, so nobody opens one by accident. */
const expected: Record<string, Row> = {
  'GET /': [200, 200, 200],
  'HEAD /': [200, 200, 200],
  'POST /add_film': [401, 201, 403],
  'HEAD /add_film': [200, 200, 200],
  'GET /v1/films/:id': [200, 200, 200],
  'HEAD /v1/films/:id': [200, 200, 200],
  'GET /index.html': [200, 200, 200],
  'HEAD /index.html': [200, 200, 200],
  'GET /openapi.json': [200, 200, 200],
  'HEAD /openapi.json': [200, 200, 200],
  'GET /problems/:code': [200, 200, 200],
  'HEAD /problems/:code': [200, 200, 200],
  'GET /.well-known/security.txt': [200, 200, 200],
  'HEAD /.well-known/security.txt': [200, 200, 200],
  'GET /v1/limits': [401, 403, 403],
  'HEAD /v1/limits': [401, 403, 403],
  'GET /v1/limits/:identity': [401, 403, 403],
  'HEAD /v1/limits/:identity': [401, 403, 403],
  'DELETE /v1/limits/:identity': [401, 403, 403],
}

const expectedOps: Readonly<Record<string, number>> = { 'GET /livez': 200, 'HEAD /livez': 200, 'GET /readyz': 200, 'HEAD /readyz': 200 }

const folder = mkdtempSync(join(tmpdir(), 'filmgate-access-'))
writeFileSync(join(folder, 'security.txt'), 'Contact: mailto:security@example.org\nExpires: 2999-12-31T23:59:59Z\n')
const plenty = '100000000 per day'
const lines: string[] = []
const sink = { write: (line: string) => void lines.push(line), flush: () => undefined }

const database = await openDatabase({ url: 'sqlite', dataDir: folder })
const keys = createApiKeyRepository(database, clock.epochMs)
const films = createFilmRepository(database, clock)
const log = createLog({ sink, clock, level: 'trace', format: 'json' })
const env = {
  FILMGATE_DATA_DIR: folder,
  FILMGATE_LIMITS_TOTAL: plenty,
  FILMGATE_LIMITS_DEFAULT: plenty,
  FILMGATE_LIMITS_AUTHENTICATED: plenty,
}
const loaded = loadConfig({ env, cwd: folder, checkLimits: () => undefined })
const routes = { 'GET /': { only: plenty }, 'POST /add_film': { only: plenty } }
const config = { ...loaded, limits: { ...loaded.limits, routes } }

const app = await buildApp({
  config,
  clock,
  limiterStore: createMemoryStore({ clock, maxTrackedClients: 1000 }),
  protections: createProtections(config),
  originOf: () => 'default',
  log,
  observe: log.event,
  films,
  votes: createVoteRepository(database, clock.epochMs),
  voterId: createVoterIds(Buffer.alloc(32)),
  lookupKey: createKeyLookup(keys),
  onUntrustedProxy: () => undefined,
})
const ops = await buildOpsApp({ config, clock, log, observe: log.event, database, databaseDir: folder, warnings: () => [] })
after(async () => {
  await app.server.close()
  await ops.close()
  await database.close()
  rmSync(folder, { recursive: true })
})

const listen = async (server: typeof ops): Promise<{ readonly port: number }> => {
  await server.listen({ host: '127.0.0.1', port: 0 })
  return { port: (server.server.address() as AddressInfo).port }
}
const [api, health] = [await listen(app.server), await listen(ops)]

const createKey = async (subject: string, permissions: readonly Permission[]): Promise<string> => {
  const key = createApiKey()
  await keys.replaceAll({ id: key.id, subject, name: subject, secretHash: hashSecret(key.secret), permissions: new Set(permissions) })
  return `Bearer ${formatApiKey(key)}`
}

// The page's files: each build names them after their content, so their rows are made by their folder.
for (const { url } of app.routes)
  if (url.startsWith('/assets/')) for (const method of ['GET', 'HEAD']) expected[`${method} ${url}`] = [200, 200, 200]

const callers = [null, await createKey('starter', ['films:write']), await createKey('nobody', [])]
await films.add({ name: 'Frozen' })

const urls = [...new Set(Object.keys(expected).map((route) => route.split(' ')[1] ?? ''))]
const methods = METHODS.filter((method) => method !== 'CONNECT')

const targetOf = (url: string): string => url.replace(':id', '1').replace(':code', 'not_found').replace(':identity', '192.0.2.1')

const call = (method: string, url: string, credential: string | null): Promise<Answer> => {
  const request = { method, target: targetOf(url), fields: { Authorization: credential } }
  if (method !== 'POST') return ask(api, request)
  return ask(api, { ...request, fields: { ...request.fields, 'Content-Type': 'application/json' }, body: '{"name":"Moana"}' })
}

const allowOf = (url: string): string =>
  [
    ...Object.keys(expected)
      .filter((route) => route.endsWith(` ${url}`))
      .map((route) => route.split(' ')[0] ?? ''),
    'OPTIONS',
  ]
    .toSorted()
    .join(', ')

const countStored = async () => (await database.reader.selectFrom('film').select('id').execute()).length

test('every route has a row, every row a route', () => {
  // A further method on one of these URLs fails below, where 405 is expected of it.
  assert.deepEqual([...new Set(app.routes.map(({ url }) => url))].toSorted(), urls.toSorted())
  const known = new Set(app.routes.map(({ method, url }) => `${method} ${url}`))
  for (const route of Object.keys(expected)) assert.ok(known.has(route), route)
})

describe('every route, every caller', () => {
  for (const [route, statuses] of Object.entries(expected)) {
    test(`${route}: ${statuses.join(' ')}`, async () => {
      const [method = '', url = ''] = route.split(' ')
      for (const [i, caller] of callers.entries()) {
        const answer = await call(method, url, caller)
        assert.equal(answer.status, statuses[i], answer.body)
        assertSafe(answer)
        if (answer.status === 401) assert.match(answer.field('www-authenticate') ?? '', /^Bearer /)
        if (caller !== null) assert.match(answer.field('vary') ?? '', /authorization/i)
        if (caller !== null) assert.equal(answer.field('cache-control'), 'no-store', 'where there is a principal nothing is stored')
      }
    })
  }

  test('what is refused changed nothing: three callers, one film more', async () => {
    const before = await countStored()
    for (const caller of callers) await call('POST', '/add_film', caller)
    assert.equal(await countStored(), before + 1)
  })
})

describe('every other method', () => {
  for (const url of urls) {
    const others = methods.filter((method) => method !== 'OPTIONS' && expected[`${method} ${url}`] === undefined)
    test(`on ${url}: 405 with Allow, whoever asks`, async () => {
      assert.ok(others.length > 25)
      for (const method of others) {
        for (const caller of callers) {
          const answer = await call(method, url, caller)
          assertProblem(answer, { status: 405, code: 'method_not_allowed' })
          assert.equal(answer.field('allow'), allowOf(url), `${method} ${url}`)
        }
      }
    })

    test(`OPTIONS ${url}: 204 with Allow, and no CORS field`, async () => {
      for (const caller of callers) {
        const answer = await call('OPTIONS', url, caller)
        assert.deepEqual([answer.status, answer.field('allow'), answer.body], [204, allowOf(url), ''])
        assertSafe(answer)
        assert.ok(!answer.fields.some(([name]) => name.startsWith('access-control-')))
      }
    })
  }

  test('a credential that is not valid is refused on every method, 405 and OPTIONS included', async () => {
    for (const url of urls) {
      for (const method of methods.filter((one) => one !== 'HEAD'))
        assertProblem(await call(method, url, 'Bearer x'), { status: 401, code: 'unauthenticated' })
    }
  })
})

test('elsewhere there is nothing, for anybody, by any method', async () => {
  for (const target of [
    '/v1',
    '/v1/films',
    '/v1/films/1/',
    '/ADD_FILM',
    '/add_film/',
    '//',
    '/index.php',
    '/livez',
    '/readyz',
    '/metrics',
    '/.git/config',
  ]) {
    for (const method of ['GET', 'POST', 'DELETE', 'OPTIONS', 'PROPFIND'])
      assertProblem(await ask(api, { method, target }), { status: 404, code: 'not_found' })
  }
})

describe('the ops listener', () => {
  test('answers its health routes, refuses other methods, and knows nothing of the API', async () => {
    for (const [route, status] of Object.entries(expectedOps)) {
      const [method = '', target = ''] = route.split(' ')
      assert.equal((await ask(health, { method, target })).status, status, route)
    }
    for (const target of ['/livez', '/readyz']) {
      for (const method of methods.filter((one) => !['GET', 'HEAD', 'OPTIONS'].includes(one))) {
        const answer = await ask(health, { method, target })
        assert.deepEqual([answer.status, answer.field('allow')], [405, 'GET, HEAD, OPTIONS'], `${method} ${target}`)
      }
    }
    for (const target of urls) assert.equal((await ask(health, { target: targetOf(target) })).status, 404, target)
  })
})

test('each of these requests left one line, complete and valid', async () => {
  await app.server.close()
  const records = lines.map((line) => JSON.parse(line) as Record<string, unknown>).filter(({ msg }) => msg === 'request')
  assert.ok(records.length > 400)
  for (const record of records)
    for (const name of ['bytes_in', 'bytes_out', 'duration_ms', 'status'])
      assert.equal(typeof record[name], 'number', `${name} of ${JSON.stringify(record)}`)
})

const startWith = async (route?: object) => {
  const bare = Fastify()
  await bare.register(authorization, { observe: () => undefined, clock, publicPermissions: new Set<never>() })
  bare.register(async (scope) => void scope.get('/secret', route === undefined ? {} : { config: route as never }, () => 'secret'))
  await bare.ready()
  await bare.close()
}

describe('a route that does not say who may call it stops the start', () => {
  test('nothing said, something misspelt, a permission that there is not', async () => {
    for (const route of [
      undefined,
      {},
      { access: undefined },
      { access: 'pubic' },
      { access: '' },
      { access: 'films:admin' },
      { access: ['public'] },
      { access: true },
    ]) {
      await assert.rejects(startWith(route), /GET \/secret declares no access/, JSON.stringify(route))
    }
  })

  test('everything that may be said lets it start', async () => {
    for (const access of ['public', 'authenticated', 'films:write', 'ops:read']) await startWith({ access })
  })
})
