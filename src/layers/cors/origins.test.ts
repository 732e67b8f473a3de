import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import fc from 'fast-check'

import { allowedOrigins, hostileOrigins } from '../../../test/cors/hostile.ts'
import { createOriginMatch } from './origins.ts'

const { isNamed } = createOriginMatch(allowedOrigins)

describe('origins', () => {
  test('those of the list, and every name below a wildcard', () => {
    for (const origin of [
      'https://app.example',
      'http://localhost:5173',
      'https://a.films.example',
      'https://a.b.c.films.example',
      'https://a-1.films.example',
      'https://xn--bcher-kva.films.example',
      'https://a.films.example:8443',
      'https://127.films.example',
      'https://films.films.example',
      `https://${'a'.repeat(63)}.films.example`,
    ])
      assert.ok(isNamed(origin), origin)
  })

  test('addresses, other ports, names of other letters', () => {
    const list = ['http://127.0.0.1:8080', 'http://[::1]:3000', 'https://xn--bcher-kva.example', 'http://localhost']
    const match = createOriginMatch(list)
    for (const origin of list) assert.ok(match.isNamed(origin), origin)
    for (const origin of [
      'http://127.1:8080',
      'http://[0:0:0:0:0:0:0:1]:3000',
      'https://b\u00fccher.example',
      'http://localhost:80',
      'http://[::1]',
    ])
      assert.ok(!match.isNamed(origin), origin)
  })

  for (const [attack, origin] of Object.entries(hostileOrigins))
    test(`[ASVS 3.4.2] nobody: ${attack}`, () => assert.ok(!isNamed(origin), origin))

  test('"*" names nobody, and an empty list is nobody', () => {
    assert.deepEqual(
      [createOriginMatch(['*']).isAny, createOriginMatch(['*']).isNamed('*'), createOriginMatch(['*']).isNamed('https://a.example')],
      [true, false, false],
    )
    assert.deepEqual([createOriginMatch([]).isEmpty, createOriginMatch([]).isNamed('')], [true, false])
  })

  const senseless = [
    'null',
    '',
    'https://',
    'app.example',
    'https://app.example/',
    'https://APP.example',
    'https://app.example:443',
    'http://a@b',
    'https://*',
    'https://*.com',
    'https://a.*.example',
    'https://*a.example',
    'http://*.films.example',
    'https://*.1.2.3.4',
    'https://*.*.example',
    'https://*.films.example/',
    'https://*.Films.example',
    'https://*.films.example:443',
    'https://*.films..example',
    'https://*..films.example',
    'ftp://a.example',
    'file:///',
    'https://a.example https://b.example',
    'https://b\u00fccher.example',
  ]
  for (const entry of senseless)
    test(`a list with ${JSON.stringify(entry)} is refused`, () => assert.throws(() => createOriginMatch([entry]), TypeError))

  test('"*" beside others is refused', () => assert.throws(() => createOriginMatch(['*', 'https://app.example']), /only origin/))
})

const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?$/)
const name = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.'))

describe('properties', () => {
  test('whatever is allowed is an exact one, or a name below the wildcard: a parser says so, too', () => {
    const odd = fc.constantFrom(...'abz09-.:/@#?\\*_%[] \t\u00e9,'.split(''), 'https://', 'films.example', 'app.example', ':8443')
    fc.assert(
      fc.property(fc.array(odd, { maxLength: 12 }), (pieces) => {
        const origin = pieces.join('')
        if (!isNamed(origin) || allowedOrigins.includes(origin)) return
        const url = new URL(origin)
        assert.deepEqual([url.protocol, url.username, url.password, url.pathname, url.search, url.hash], ['https:', '', '', '/', '', ''])
        assert.ok(url.hostname.endsWith('.films.example') && ['', '8443'].includes(url.port), origin)
        assert.equal(url.origin, origin)
      }),
      { numRuns: 5000 },
    )
  })

  test('every name below the wildcard, and no other', () => {
    fc.assert(
      fc.property(name, name, (below, other) => {
        assert.ok(isNamed(`https://${below}.films.example`))
        assert.equal(isNamed(`https://${other}`), other.endsWith('.films.example'))
        assert.ok(!isNamed(`https://${below}.films.example.${other}`) || other.endsWith('films.example'))
      }),
    )
  })

  test('one character more, less or other than an exact one is somebody else', () => {
    const exact = 'https://app.example'
    fc.assert(
      fc.property(
        fc.nat({ max: exact.length }),
        fc.string({ minLength: 0, maxLength: 1, unit: 'binary' }),
        fc.boolean(),
        (at, piece, replaces) => {
          const changed = exact.slice(0, at) + piece + exact.slice(at + (replaces ? 1 : 0))
          assert.equal(isNamed(changed), changed === exact, changed)
        },
      ),
    )
  })

  test('the time is that of the length, whatever stands there: a list of a thousand wildcards and labels without end', () => {
    const many = createOriginMatch(Array.from({ length: 1000 }, (_, i) => `https://*.tenant-${i}.example`))
    assert.ok(many.isNamed('https://x.tenant-999.example'))
    const hostile = `https://${'a.'.repeat(8000)}example`
    const started = performance.now()
    for (let i = 0; i < 10_000; i++) many.isNamed(hostile)
    // A comparison with each of the list, or of each label with all behind it, would take minutes.
    assert.ok(performance.now() - started < 5000)
  })
})
