import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { Problem } from '../../core/errors.ts'
import { CorsPolicies } from './policies.ts'
import { judgePreflight } from './preflight.ts'

const app = 'https://app.example'
const origin = fc.constantFrom(app, 'https://a.films.example', 'https://evil.test', 'null', '*', '', 'https://films.example')
const lists = fc.constantFrom<readonly string[]>([], ['*'], [app], [app, 'https://*.films.example'])

const createPolicies = (origins: readonly string[], get: readonly string[], credentials: boolean): CorsPolicies => {
  const policies = new CorsPolicies({
    origins,
    credentials,
    allowHeaders: ['Authorization', 'Content-Type'],
    routes: { 'GET /a': { origins: get } },
  })
  for (const method of ['GET', 'HEAD', 'PUT']) policies.addRoute(method, '/a')
  return policies
}

test('whatever is asked: allowed are origins of the list, methods of the URL, fields of the list, and never cookies for everybody', () => {
  const headers = fc.option(fc.string({ unit: fc.constantFrom(...'authorizn,content-typeAC *;\t'.split('')), maxLength: 40 }), {
    nil: undefined,
  })
  const method = fc.constantFrom('GET', 'HEAD', 'PUT', 'OPTIONS', 'DELETE', 'get', '*', '__proto__')
  fc.assert(
    fc.property(lists, lists, fc.boolean(), origin, method, headers, (origins, get, credentials, from, announced, names) => {
      const policies = createPolicies(origins, get, credentials)
      const verdict = judgePreflight(policies, { url: '/a', origin: from, method: announced, headers: names })
      if (verdict instanceof Problem) return
      const list = announced === 'GET' || announced === 'HEAD' ? get : origins
      const granted = verdict['access-control-allow-origin']
      assert.equal(granted, list.includes('*') ? '*' : from)
      assert.ok(list.includes('*') || list.includes(from) || (from === 'https://a.films.example' && list.length === 2))
      assert.equal(verdict['access-control-allow-credentials'], credentials && granted !== '*' ? 'true' : undefined)
      assert.ok(verdict['access-control-allow-methods']?.split(', ').includes(announced))
      assert.equal(verdict['access-control-allow-headers'], 'authorization, content-type')
      for (const name of (names ?? '').split(',')) assert.match(name.trim(), /^(authorization|content-type|)$/i)
    }),
    { numRuns: 3000 },
  )
})

test('a list of header fields costs its length at most, and ends at the first that is unknown (Hono 93fc250d)', () => {
  const policies = createPolicies([app], [app], false)
  const ask = (headers: string): unknown => judgePreflight(policies, { url: '/a', origin: app, method: 'PUT', headers })
  const started = performance.now()
  for (let i = 0; i < 200; i++)
    for (const hostile of [
      ','.repeat(4096),
      `${' '.repeat(4000)}x`,
      'content-type,'.repeat(315),
      `${'authorization ,'.repeat(270)}x`,
      ' ,'.repeat(1_000_000),
      'x'.repeat(1_000_000),
    ])
      ask(hostile)
  assert.ok(performance.now() - started < 5000)
  assert.ok(!(ask('content-type,'.repeat(315)) instanceof Problem), 'a name that is there is there, however often')
  assert.ok(ask('content-type,'.repeat(316)) instanceof Problem, 'beyond the bound nothing is read')
})

test('unknown URLs and methods are refused before anybody looks who asks', () => {
  const policies = createPolicies(['*'], ['*'], false)
  const codeOf = (url: string | undefined, method: string): string => {
    const verdict = judgePreflight(policies, { url, origin: app, method, headers: undefined })
    return verdict instanceof Problem ? verdict.code : 'allowed'
  }
  assert.deepEqual(
    [codeOf(undefined, 'GET'), codeOf('/b', 'GET'), codeOf('*', 'GET'), codeOf('/a', 'DELETE'), codeOf('/a', 'GET')],
    ['not_found', 'not_found', 'not_found', 'method_not_allowed', 'allowed'],
  )
})
