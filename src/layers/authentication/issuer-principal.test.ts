import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { namesAt, principalOf } from './issuer-principal.ts'

test('roles are where the configuration says, and nowhere else', () => {
  const claims = {
    groups: ['a', 'b'],
    role: 'a b',
    scope: 'a b',
    scp: 'a',
    nested: { roles: ['a'], scope: 'a b', deep: { er: ['c'] } },
    'https://films.example.com/roles': ['d'],
    'a.b': ['e'],
    mixed: ['a', 1, null, ['b'], { c: true }],
  }
  const expected: readonly (readonly [string, readonly string[]])[] = [
    ['groups', ['a', 'b']],
    ['role', ['a b']],
    ['scope', ['a', 'b']],
    ['scp', ['a']],
    ['nested.roles', ['a']],
    ['nested.scope', ['a', 'b']],
    ['nested.deep.er', ['c']],
    ['https://films.example.com/roles', ['d']],
    ['a.b', []],
    ['mixed', ['a']],
    ['nested', []],
    ['groups.0', []],
    ['groups.length', []],
    ['role.length', []],
    ['constructor.name', []],
    ['__proto__', []],
    ['', []],
  ]
  for (const [path, names] of expected) assert.deepEqual(namesAt(claims, path), names, path)
})

test('any claims and any path: a list of texts', () => {
  const path = fc.oneof(
    fc.string(),
    fc.array(fc.constantFrom('a', 'b', '', '__proto__', 'constructor', 'scope'), { maxLength: 4 }).map((names) => names.join('.')),
  )
  const claims = fc.oneof(
    fc.dictionary(fc.string(), fc.jsonValue()),
    fc.dictionary(fc.constantFrom('a', 'b', 'scope', '__proto__'), fc.jsonValue()),
  )
  fc.assert(fc.property(claims, path, (value, text) => assert.ok(namesAt(value, text).every((name) => typeof name === 'string'))))
})

const subjectOf = (url: string, sub: string): string => principalOf({ sub, exp: 1 }, { url, roleClaim: '', roles: {} }, 0).subject

test('no issuer and subject are somebody whom another issuer and subject are, and none is an account', () => {
  const pair = fc.tuple(fc.string(), fc.string())
  fc.assert(
    fc.property(pair, pair, ([url, sub], [otherUrl, otherSub]) => {
      const isSame = url === otherUrl && sub === otherSub
      assert.equal(subjectOf(url, sub) === subjectOf(otherUrl, otherSub), isSame)
      // The subject of an account begins with u.
      assert.match(subjectOf(url, sub), /^x[a-z2-7]{24}$/)
    }),
  )
  assert.notEqual(subjectOf('https://a.example', '"x'), subjectOf('https://a.example","', 'x'))
})
