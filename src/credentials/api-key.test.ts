import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, test } from 'node:test'

import fc from 'fast-check'

import { createApiKey, formatApiKey, hashSecret, parseApiKey, secretMatches } from './api-key.ts'

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const characters = alphabet.split('')
const base62 = (length: number) => fc.string({ unit: fc.constantFrom(...characters), minLength: length, maxLength: length })
const anyKey = fc.record({ id: base62(12), secret: base62(43) }, { noNullPrototype: true })

describe('the text of a key', () => {
  test('is fg_<id>_<secret><crc>, in letters and digits alone', () => {
    for (let i = 0; i < 100; i++) assert.match(formatApiKey(createApiKey()), /^fg_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}$/)
  })

  test('gives the key back', () => {
    fc.assert(fc.property(anyKey, (key) => assert.deepEqual(parseApiKey(formatApiKey(key)), key)))
  })

  test('never changes its meaning: keys that were given out stay valid', () => {
    const text = 'fg_abcdefghijkl_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg2r07os'
    const key = { id: 'abcdefghijkl', secret: '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg' }
    assert.equal(formatApiKey(key), text)
    assert.deepEqual(parseApiKey(text), key)
  })
})

describe('what is no key', () => {
  test('every change of one character is refused, without asking a database', () => {
    const other = fc.oneof(fc.constantFrom(...characters, '_', ' ', '\n', '\0'), fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }))
    fc.assert(
      fc.property(anyKey, fc.nat({ max: 64 }), other, (key, at, replacement) => {
        const text = formatApiKey(key)
        fc.pre(text[at] !== replacement)
        assert.equal(parseApiKey(text.slice(0, at) + replacement + text.slice(at + 1)), undefined)
      }),
      { numRuns: 3000 },
    )
    const text = formatApiKey(createApiKey())
    for (let at = 0; at < text.length; at++)
      for (const replacement of characters)
        if (text[at] !== replacement) assert.equal(parseApiKey(text.slice(0, at) + replacement + text.slice(at + 1)), undefined)
  })

  test('two neighbours swapped, something missing, something added', () => {
    fc.assert(
      fc.property(anyKey, fc.nat({ max: 63 }), (key, at) => {
        const text = formatApiKey(key)
        const [one = '', other = ''] = text.slice(at, at + 2)
        if (one !== other) assert.equal(parseApiKey(text.slice(0, at) + other + one + text.slice(at + 2)), undefined)
        assert.equal(parseApiKey(text.slice(0, at) + text.slice(at + 1)), undefined)
        assert.equal(parseApiKey(text.slice(0, at) + one + text.slice(at)), undefined)
      }),
    )
    const text = formatApiKey(createApiKey())
    for (const wrong of [`${text}\n`, ` ${text}`, `${text} `, text.toUpperCase(), text.replace('fg_', 'xx_'), '', 'fg__'])
      assert.equal(parseApiKey(wrong), undefined)
  })
})

test('all characters of new keys come about equally often, and no two keys are alike', () => {
  const keys = Array.from({ length: 4000 }, createApiKey)
  assert.equal(new Set(keys.map(({ id }) => id)).size, keys.length)
  const text = keys.map(({ id, secret }) => id + secret).join('')
  const expected = text.length / 62
  const counts = characters.map((character) => text.split(character).length - 1)
  const chiSquare = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
  // 61 degrees of freedom: a uniform source exceeds 140 once in ten million runs, one that takes bytes modulo 62 gives about 1400.
  assert.ok(chiSquare < 140, String(chiSquare))
})

describe('the stored secret', () => {
  test('is a SHA-256 from which nobody gets the key back', () => {
    const { secret } = createApiKey()
    assert.equal(hashSecret(secret), createHash('sha256').update(secret).digest('base64url'))
    assert.match(hashSecret(secret), /^[\w-]{43}$/)
  })

  test('matches its secret and no other', () => {
    fc.assert(
      fc.property(base62(43), base62(43), (secret, other) => {
        assert.ok(secretMatches(secret, hashSecret(secret)))
        assert.equal(secretMatches(other, hashSecret(secret)), other === secret)
      }),
    )
  })

  test('a stored text of another length, such as a damaged row, matches nothing and throws nothing', () => {
    const { secret } = createApiKey()
    const hash = hashSecret(secret)
    for (const stored of ['', hash.slice(1), `${hash}=`, `${hash}${hash}`, secret, 'ü'.repeat(43), hash.toUpperCase()])
      assert.ok(!secretMatches(secret, stored), stored)
  })
})
