import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { addressOf } from './address.ts'

const origin = 'http://localhost:3000'
const root = `${origin}/`

test('a path of this server, as the URL parser writes it, without a fragment', () => {
  const expected: readonly [string, string][] = [
    ['/', '/'],
    ['/?like=1', '/?like=1'],
    ['/v1/../add_film', '/add_film'],
    ['/a b?c="d"#e', '/a%20b?c=%22d%22'],
    ['/v1/films/%zz', '/v1/films/%zz'],
    ['/x//y', '/x//y'],
  ]
  for (const [path, url] of expected) {
    assert.deepEqual(addressOf(path, root), { url: origin + url })
    assert.deepEqual(addressOf(path, `${origin}/below/a/`), { url: `${origin}/below/a${url}` })
  }
})

test('what names another server, another scheme or nothing is a mistake', () => {
  for (const path of [
    '',
    'x',
    '//example.org',
    '/\\example.org',
    '/\t/example.org',
    '/\n\\example.org',
    '//localhost:3001/',
    'https://x/',
    'javascript:1',
  ])
    assert.ok('mistake' in addressOf(path, root), path)
})

test('no text ever leads elsewhere', () => {
  const nasty = fc.string({ unit: fc.constantFrom(...'/\\?#@:%. \t\nax'.split('')) })
  fc.assert(
    fc.property(fc.oneof(nasty, fc.webUrl(), fc.string({ unit: 'binary' })), (text) => {
      for (const path of [text, `/${text}`]) {
        const found = addressOf(path, root)
        if ('url' in found) assert.ok(found.url.startsWith(`${origin}/`) && new URL(found.url).origin === origin)
      }
    }),
  )
})
