import assert from 'node:assert/strict'
import { METHODS } from 'node:http'
import { after, describe, test } from 'node:test'

import { allPermissions } from '../src/core/access.ts'
import { openAccessApp } from './support/access-app.ts'
import { type Answer, ask, assertProblem, assertSafe } from './support/attack.ts'

/**
 * Every route there is, by hand, and what each caller meets at its door: in, 401 or 403. A route that is not here fails, so nobody opens one by
 * accident. A caller is let in when the answer is that the request is not valid, for its query has a parameter that no route has: that is looked
 * at behind every guard, and changes nothing.
 */
const callerNames = [
  'nobody in particular',
  'a viewer',
  'an editor',
  'a moderator',
  'an admin',
  'an admin who logged in an hour ago',
  "an admin's key with every permission",
  'the starter key',
] as const

type Door = 'in' | 401 | 403
type Row = readonly [Door, Door, Door, Door, Door, Door, Door, Door]

const everybody: Row = ['in', 'in', 'in', 'in', 'in', 'in', 'in', 'in']
const known: Row = [401, 'in', 'in', 'in', 'in', 'in', 'in', 'in']
const inSession: Row = [401, 'in', 'in', 'in', 'in', 'in', 403, 403]
const inFreshSession: Row = [401, 'in', 'in', 'in', 'in', 401, 403, 403]
const editors: Row = [401, 403, 'in', 'in', 'in', 'in', 'in', 'in']
const moderators: Row = [401, 403, 403, 'in', 'in', 'in', 'in', 403]
const admins: Row = [401, 403, 403, 403, 'in', 'in', 'in', 403]
const freshAdmins: Row = [401, 403, 403, 403, 'in', 401, 401, 403]

const withHead = (url: string, row: Row): Record<string, Row> => ({ [`GET ${url}`]: row, [`HEAD ${url}`]: row })

const expected: Record<string, Row> = {
  ...withHead('/', everybody),
  'POST /add_film': editors,
  'HEAD /add_film': everybody,
  ...withHead('/v1/films/:id', everybody),
  ...withHead('/index.html', everybody),
  ...withHead('/openapi.json', everybody),
  ...withHead('/docs', everybody),
  'POST /csp-report': everybody,
  ...withHead('/problems/:code', everybody),
  ...withHead('/.well-known/security.txt', everybody),
  ...withHead('/robots.txt', everybody),
  ...withHead('/.well-known/jwks.json', everybody),
  'POST /v1/auth/claim': everybody,
  'POST /v1/auth/register': everybody,
  'POST /v1/auth/login': everybody,
  'POST /v1/auth/mfa': everybody,
  'POST /v1/auth/passkey/options': everybody,
  'POST /v1/auth/passkey/verify': everybody,
  'POST /v1/auth/refresh': everybody,
  'POST /v1/auth/logout': everybody,
  ...withHead('/v1/auth/sessions', inSession),
  'DELETE /v1/auth/sessions': inSession,
  'DELETE /v1/auth/sessions/:id': inSession,
  ...withHead('/v1/me', inSession),
  'PATCH /v1/me': inSession,
  'DELETE /v1/me': inFreshSession,
  'PUT /v1/me/password': inFreshSession,
  ...withHead('/v1/me/totp', inSession),
  'POST /v1/me/totp': inFreshSession,
  'PUT /v1/me/totp': inFreshSession,
  'DELETE /v1/me/totp': inFreshSession,
  'POST /v1/me/totp/recovery-codes': inFreshSession,
  ...withHead('/v1/me/passkeys', inSession),
  'POST /v1/me/passkeys/options': inFreshSession,
  'POST /v1/me/passkeys': inFreshSession,
  'DELETE /v1/me/passkeys/:id': inFreshSession,
  ...withHead('/v1/keys', inSession),
  'POST /v1/keys': inFreshSession,
  ...withHead('/v1/keys/:id', known),
  'DELETE /v1/keys/:id': known,
  ...withHead('/v1/users', admins),
  'POST /v1/users': freshAdmins,
  ...withHead('/v1/users/:id', admins),
  'PATCH /v1/users/:id': freshAdmins,
  'DELETE /v1/users/:id': freshAdmins,
  ...withHead('/v1/audit', moderators),
  ...withHead('/v1/limits', moderators),
  ...withHead('/v1/limits/:identity', moderators),
  'DELETE /v1/limits/:identity': admins,
  ...withHead('/v1/security/events', moderators),
  ...withHead('/v1/security/decisions', moderators),
  'POST /v1/security/decisions': admins,
  ...withHead('/v1/security/decisions/:id', moderators),
  'DELETE /v1/security/decisions/:id': admins,
  ...withHead('/v1/security/rules', moderators),
  ...withHead('/v1/security/explain/:about', moderators),
  ...withHead('/v1/decisions', moderators),
  ...withHead('/v1/decisions/stream', moderators),
}

const opsTargets = ['/livez', '/readyz', '/metrics']
const expectedOps = Object.fromEntries(opsTargets.flatMap((target) => [[`GET ${target}`, 200] as const, [`HEAD ${target}`, 200] as const]))

const { app, api, health, lines, database, addMember, addKey, close } = await openAccessApp()
after(close)

// The page's files: each build names them after their content, so their rows are made by their folder.
for (const { url } of app.routes) if (url.startsWith('/assets/')) Object.assign(expected, withHead(url, everybody))

const admin = await addMember('ada', 'admin')
const callers = [
  null,
  (await addMember('vera', 'viewer')).bearer,
  (await addMember('ed', 'editor')).bearer,
  (await addMember('mo', 'moderator')).bearer,
  admin.bearer,
  (await addMember('late', 'admin', { agoMs: 3_600_000 })).bearer,
  (await addKey(admin.id, allPermissions)).bearer,
  (await addKey('starter', ['films:write'])).bearer,
] as const

const urls = [...new Set(Object.keys(expected).map((route) => route.split(' ')[1] ?? ''))]
const methods = METHODS.filter((method) => method !== 'CONNECT')
/** Where it is not application/json. */
const bodyTypes: Readonly<Record<string, string>> = { '/csp-report': 'application/reports+json' }
const withBody: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH'])

/** Well-formed; of a film there is, and of nothing else. */
const ids = [
  ['/v1/films/', '1'],
  ['/v1/keys/', 'nobodyhasit1'],
  ['/v1/users/', 'unobodyhasthisidatall'],
  ['/v1/auth/sessions/', 'nobodyhasthisid-atall0'],
  ['/v1/me/passkeys/', 'nobodyhasthisid-atall0'],
  ['/v1/security/decisions/', 'nobodyhasthisid0'],
] as const

const targetOf = (url: string): string =>
  url
    .replace(/:id$/, ids.find(([folder]) => url.startsWith(folder))?.[1] ?? '')
    .replace(':code', 'not_found')
    .replace(':identity', '192.0.2.1')
    .replace(':about', '192.0.2.1')

const call = (method: string, target: string, credential: string | null): Promise<Answer> => {
  const request = { method, target, fields: { Authorization: credential } }
  if (!withBody.has(method)) return ask(api, request)
  return ask(api, {
    ...request,
    fields: { ...request.fields, 'Content-Type': bodyTypes[target.split('?')[0] ?? ''] ?? 'application/json' },
    body: '{}',
  })
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

const everything = async () => ({
  films: await database.reader.selectFrom('film').selectAll().orderBy('id').execute(),
  accounts: await database.reader.selectFrom('account').selectAll().orderBy('id').execute(),
  sessions: await database.reader.selectFrom('session').selectAll().orderBy('id').execute(),
  keys: await database.reader.selectFrom('api_key').select(['id', 'scopes', 'revoked_at']).orderBy('id').execute(),
  audit: await database.reader.selectFrom('audit').selectAll().orderBy('seq').execute(),
})

test('every route has a row, every row a route', () => {
  const there = app.routes.map(({ method, url }) => `${method} ${url}`)
  assert.deepEqual(there.toSorted(), Object.keys(expected).toSorted())
})

describe('[ASVS 8.2.1] every route, every caller', () => {
  for (const [route, row] of Object.entries(expected)) {
    test(`${route}: ${row.join(' ')}`, async () => {
      const [method = '', url = ''] = route.split(' ')
      for (const [i, caller] of callers.entries()) {
        const [answer, door] = [await call(method, `${targetOf(url)}?no_route_has_this=1`, caller), row[i]]
        const who = `${callerNames[i]}: ${answer.body}`
        assert.equal(answer.status, door === 'in' ? 400 : door, who)
        assertSafe(answer)
        if (door === 401)
          assert.match(answer.field('www-authenticate') ?? '', caller === null ? /^Bearer realm="filmgate"$/ : /max_age="300"/)
        if (door === 'in' && method !== 'HEAD') assert.match(answer.body, /"code":"validation_failed"/, who)
        if (caller !== null) assert.match(answer.field('vary') ?? '', /authorization/i)
        if (caller !== null) assert.equal(answer.field('cache-control'), 'no-store', 'where there is a principal nothing is stored')
      }
    })
  }

  test('none of it changed anything', async () => {
    const before = await everything()
    for (const route of Object.keys(expected)) {
      const [method = '', url = ''] = route.split(' ')
      for (const [i, caller] of callers.entries()) {
        if (expected[route]?.[i] !== 'in') await call(method, targetOf(url), caller)
      }
    }
    assert.deepEqual(await everything(), before)
  })

  test('whoever may read is answered', async () => {
    for (const [route, row] of Object.entries(expected)) {
      const [method = '', url = ''] = route.split(' ')
      if (method !== 'GET' || row[4] !== 'in') continue
      const answer = await call(method, targetOf(url), admin.bearer)
      assert.equal(answer.status, /^\/v1\/(keys|users|security\/decisions)\/:id$/.test(url) ? 404 : 200, `${route}: ${answer.body}`)
    }
  })
})

describe('every other method', () => {
  for (const url of urls) {
    const others = methods.filter((method) => method !== 'OPTIONS' && expected[`${method} ${url}`] === undefined)
    test(`on ${url}: 405 with Allow, whoever asks`, async () => {
      assert.ok(others.length > 25)
      for (const method of others) {
        for (const caller of callers) {
          const answer = await call(method, targetOf(url), caller)
          // An answer to HEAD has no body.
          if (method === 'HEAD') assert.equal(answer.status, 405)
          else assertProblem(answer, { status: 405, code: 'method_not_allowed' })
          assert.equal(answer.field('allow'), allowOf(url), `${method} ${url}`)
        }
      }
    })

    test(`OPTIONS ${url}: 204 with Allow, and no CORS field`, async () => {
      for (const caller of callers) {
        const answer = await call('OPTIONS', targetOf(url), caller)
        assert.deepEqual([answer.status, answer.field('allow'), answer.body], [204, allowOf(url), ''])
        assertSafe(answer)
        assert.ok(!answer.fields.some(([name]) => name.startsWith('access-control-')))
      }
    })
  }

  test('a credential that is not valid is refused on every method, 405 and OPTIONS included', async () => {
    for (const url of urls) {
      for (const method of methods.filter((one) => one !== 'HEAD'))
        assertProblem(await call(method, targetOf(url), 'Bearer x'), { status: 401, code: 'unauthenticated' })
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
    for (const target of opsTargets) {
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
