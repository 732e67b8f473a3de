import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import fc from 'fast-check'

import { loggedPath, publicParameters } from './path.ts'

const shown = new Set(['like', 'dislike'])
const secret = 'hunter2'

describe('what of a target stands in the log', () => {
  test('a path as it came, a public value as it came, every other value redacted together with its name', () => {
    const expected: Readonly<Record<string, string>> = {
      '/': '/',
      '/v1/films/7': '/v1/films/7',
      '/?': '/?[redacted]',
      '/?like=12': '/?like=12',
      '/?like=12&token=hunter2&dislike=3': '/?like=12&[redacted]&dislike=3',
      '/?hunter2': '/?[redacted]',
      '/?a=b=c&&=': '/?[redacted]&[redacted]&[redacted]',
    }
    for (const [target, logged] of Object.entries(expected)) assert.equal(loggedPath(target, shown), logged)
    assert.equal(loggedPath('/?like=12'), '/?[redacted]', 'nothing is public on a route that says nothing')
  })

  test('no spelling of a name makes its value public', () => {
    const names = [
      'LIKE',
      'l%69ke',
      'like[]',
      'like%00',
      ' like',
      'like ',
      '+like',
      ';like',
      'like;x',
      'like%3D',
      '?like',
      '__proto__',
      'constructor',
    ]
    for (const name of names) assert.doesNotMatch(loggedPath(`/?${name}=${secret}`, shown), /hunter2/, name)
  })

  test('no secret in a query value is ever shown, wherever it stands', () => {
    const part = fc.oneof(fc.constantFrom('&', '=', ';', '?', '%', '%3D', '/', '+', secret), fc.string({ maxLength: 5 }))
    const query = fc.array(part, { maxLength: 12 }).map((parts) => parts.join(''))
    fc.assert(
      fc.property(query, (text) => {
        fc.pre(!/(?:^|&)(?:dis)?like=/.test(text))
        assert.doesNotMatch(loggedPath(`/films?${text}`, shown), /hunter2/)
      }),
    )
  })

  test('a public value is no place for a long text, and many parameters are no way to fill the disk', () => {
    assert.ok(loggedPath(`/?like=${'9'.repeat(4000)}`, shown).length <= 102)
    assert.ok(loggedPath(`/?${'a=b&'.repeat(1000)}`, shown).length < 300)
  })

  test('a fragment is taken for a query by the router, so it is redacted like one', () => {
    for (const target of [`/#token=${secret}`, `/films#${secret}`, `/#a?like=1&b=${secret}`]) {
      assert.doesNotMatch(loggedPath(target, shown), /hunter2/, target)
    }
  })

  test('the password of an absolute-form target is not shown', () => {
    for (const target of [`http://user:${secret}@localhost/films`, `HTTPS://${secret}@localhost`]) {
      assert.doesNotMatch(loggedPath(target, shown), /hunter2/, target)
    }
  })
})

test('public are the parameters that the schema marks, no others', () => {
  const schema = { properties: { like: { 'x-public': true }, token: {}, q: { 'x-public': 'true' }, page: { 'x-public': false } } }
  assert.deepEqual(publicParameters(schema), new Set(['like']))
  for (const none of [undefined, {}, { properties: {} }, true]) assert.equal(publicParameters(none).size, 0)
})
