import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { type Answer, ask, assertSafe } from '../support/attack.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { type Case, cases, configurations, type Origins, type ServerName, titleOf } from './cases.ts'
import { needsPreflight, passesCorsCheck, passesPreflight, type PageRequest, unsafeHeaders } from './fetch-standard.ts'

const origins: Origins = {
  app: 'https://app.example',
  sub: 'https://a.b.films.example:8443',
  partner: 'http://localhost:5173',
  apex: 'https://films.example:8443',
  port: 'https://app.example:8443',
  scheme: 'http://a.films.example:8443',
  address: 'http://127.0.0.1:5173',
  other: 'https://evil.example',
  null: 'null',
  own: 'http://localhost',
}

const servers = new Map<ServerName, TestServer>()
before(async () => {
  const started = Object.entries(configurations(origins, 'https://*.films.example:8443')).map(async ([name, toml]) =>
    servers.set(name as ServerName, await startServer({ toml, env: { FILMGATE_PAGE_ENABLED: 'false' } })),
  )
  await Promise.all(started)
})
after(async () => {
  for (const server of servers.values()) await server[Symbol.asyncDispose]()
})

const exposed = 'RateLimit-Policy, RateLimit, Retry-After, Location, ETag, Link, X-Request-Id, WWW-Authenticate'
const allowHeaders = 'authorization, content-type, if-match, if-none-match, idempotency-key'
const preflightVary = 'Access-Control-Request-Method, Access-Control-Request-Headers'

const corsFields = (answer: Answer): object => Object.fromEntries(answer.fields.filter(([name]) => name.startsWith('access-control-')))

const grantOf = (kind: Case['kind'], origin: string): object => ({
  ...(kind === 'open' ? { 'access-control-allow-origin': '*' } : {}),
  ...(kind === 'named' || kind === 'credentials' ? { 'access-control-allow-origin': origin } : {}),
  ...(kind === 'credentials' ? { 'access-control-allow-credentials': 'true' } : {}),
})

const expectedFields = (kind: Case['kind'], origin: string): object =>
  kind === 'bare' || kind === 'none' ? {} : { ...grantOf(kind, origin), 'access-control-expose-headers': exposed }

const varyNames = (answer: Answer): readonly string[] => (answer.field('vary') ?? '').split(', ').filter((name) => name !== '')

/** Of the route that a preflight is for: what its answer is made of although nothing is sent behind it. */
const policyKind = ({ server, target, page, method }: Case): 'open' | 'named' | 'credentials' | 'none' => {
  if (server === 'open' || server === 'closed') return server === 'open' ? 'open' : 'none'
  if (target.startsWith('/v1/films/') && method === 'GET') return 'open'
  if (target === '/openapi.json') return 'none'
  assert.notEqual(page, 'own')
  return server
}

const askPreflight = async (server: TestServer, request: PageRequest, target: string): Promise<Answer> => {
  const names = unsafeHeaders(request)
  const fields = {
    Origin: request.origin,
    'Access-Control-Request-Method': request.method,
    ...(names.length === 0 ? {} : { 'Access-Control-Request-Headers': names.join(',') }),
  }
  return ask(server, { method: 'OPTIONS', target, fields })
}

const assertPreflight = (answer: Answer, one: Case, origin: string): void => {
  assertSafe(answer)
  const kind = policyKind(one)
  const vary = one.server === 'closed' ? '' : `${kind === 'named' || kind === 'credentials' ? 'Origin, ' : ''}${preflightVary}`
  assert.equal(answer.field('vary') ?? '', vary)
  if (typeof one.preflight === 'number') {
    assert.equal(answer.status, one.preflight, answer.body)
    assert.deepEqual(corsFields(answer), {})
    return
  }
  assert.deepEqual([answer.status, answer.body], [204, ''])
  assert.deepEqual(corsFields(answer), {
    ...grantOf(kind, origin),
    'access-control-allow-methods': one.preflight,
    'access-control-allow-headers': allowHeaders,
    'access-control-max-age': '600',
  })
}

/** As a browser would go about it. Returns whether the page may read the answer. */
const run = async (one: Case): Promise<boolean> => {
  const { page, method, target, headers, credentials, kind, preflight, status } = one
  const origin = origins[page]
  const request: PageRequest = { origin, method, headers, credentials }
  const server = servers.get(one.server)
  assert.ok(server)
  const isForeign = page !== 'own'
  assert.equal(preflight !== undefined, isForeign && needsPreflight(request), 'when a browser sends a preflight')
  if (preflight !== undefined) {
    const answer = await askPreflight(server, request, target)
    assertPreflight(answer, one, origin)
    const passes = passesPreflight(answer, request)
    assert.equal(passes, kind !== 'unsent')
    if (!passes) return false
  }
  // A page's own server hears of its origin only where the method may change something.
  const isTold = isForeign || !['GET', 'HEAD'].includes(method)
  const answer = await ask(server, { method, target, fields: { ...headers, ...(isTold ? { Origin: origin } : {}) } })
  assert.equal(answer.status, status, answer.body)
  assertSafe(answer)
  assert.deepEqual(corsFields(answer), isForeign || kind === 'open' ? expectedFields(kind, origin) : {})
  assert.equal(varyNames(answer).includes('Origin'), ['named', 'credentials', 'bare'].includes(kind), answer.field('vary') ?? '')
  if ('authorization' in headers) assert.ok(varyNames(answer).includes('Authorization'), answer.field('vary') ?? '')
  return !isForeign || passesCorsCheck(answer, request)
}

describe('[ASVS 3.4.2] the Fetch standard, case by case', () => {
  test('there are enough cases', () => {
    assert.ok(cases.length >= 60)
    assert.equal(new Set(cases.map(titleOf)).size, cases.length)
  })
  for (const one of cases) test(titleOf(one), async () => assert.equal(await run(one), one.isReadable))
})
