import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import fc from 'fast-check'

import { readCompactForm, readJsonObject } from './compact-form.ts'

const bytes = fc.uint8Array({ minLength: 1, maxLength: 60 })
const encode = (part: Uint8Array | string): string => Buffer.from(part).toString('base64url')
const odd = ['=', '+', '/', '.', ' ', '\r', '\n', '\t', ',', '"', '%', '\0', 'é']
const segments = fc.tuple(bytes, bytes, bytes).map((parts) => parts.map(encode))

describe('the compact form', () => {
  test('three segments as an encoder writes them come back as they are', () => {
    fc.assert(
      fc.property(segments, ([header = '', payload = '', signature = '']) => {
        assert.deepEqual(readCompactForm(`${header}.${payload}.${signature}`, 4096), { header, payload, signature })
      }),
    )
  })

  test('whatever is taken has one spelling: each segment is what its own bytes are written as', () => {
    // Letters that may end a segment, one that may not, and what decoders forgive.
    const letter = fc.oneof(
      { weight: 40, arbitrary: fc.constantFrom('A', 'Q', 'g', 'w', 'E', 'I', 'M', 'U', 'z') },
      { weight: 1, arbitrary: fc.constantFrom(...odd) },
    )
    const segment = fc.array(letter, { minLength: 1, maxLength: 8 }).map((letters) => letters.join(''))
    const anything = fc.oneof(
      fc.tuple(segment, segment, segment).map((parts) => parts.join('.')),
      fc.array(segment, { maxLength: 5 }).map((parts) => parts.join('.')),
      fc.string({ maxLength: 40 }),
    )
    let taken = 0
    fc.assert(
      fc.property(anything, (text) => {
        const form = readCompactForm(text, 4096)
        if (form === undefined) return
        taken++
        const parts = [form.header, form.payload, form.signature]
        assert.equal(parts.join('.'), text)
        for (const part of parts) assert.equal(encode(Buffer.from(part, 'base64url')), part)
      }),
      { numRuns: 2000 },
    )
    assert.ok(taken > 20, 'some were taken')
  })

  test('a good one with a letter changed is refused, or says something else', () => {
    const letters = fc.constantFrom('A', 'Z', 'a', 'z', '0', '9', '-', '_', ...odd)
    fc.assert(
      fc.property(segments, fc.nat(), letters, (parts, at, letter) => {
        const text = parts.join('.')
        const place = at % text.length
        const changed = text.slice(0, place) + letter + text.slice(place + 1)
        const form = readCompactForm(changed, 4096)
        if (form === undefined || changed === text) return
        assert.notDeepEqual(
          [form.header, form.payload, form.signature].map((part) => Buffer.from(part, 'base64url')),
          parts.map((part) => Buffer.from(part, 'base64url')),
        )
      }),
    )
  })

  test('to the letter as long as it may be', () => {
    const text = `${'A'.repeat(4)}.${'A'.repeat(4)}.${'A'.repeat(8)}`
    assert.ok(readCompactForm(text, text.length))
    assert.equal(readCompactForm(text, text.length - 1), undefined)
  })

  test('none, one, two, four and five segments, and empty ones', () => {
    for (const text of ['', '.', '..', 'AAAA', 'AAAA.AAAA', 'AAAA.AAAA.', '.AAAA.AAAA', 'AAAA..AAAA', 'AAAA.AAAA.AAAA.', 'A.A.A'])
      assert.equal(readCompactForm(text, 4096), undefined, text)
    for (const count of [4, 5, 6]) assert.equal(readCompactForm(Array.from({ length: count }, () => 'AAAA').join('.'), 4096), undefined)
  })
})

describe('a JSON object in a segment', () => {
  test('what JSON.stringify wrote comes back', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
        const text = JSON.stringify(value)
        // A number such as -0 has no spelling of its own.
        assert.deepEqual(readJsonObject(encode(text)), JSON.parse(text))
      }),
    )
  })

  test('whatever is taken is spelled like that', () => {
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string()), fc.constantFrom('', ' ', '\n', '\uFEFF', ','), (json, more) => {
        for (const text of [json + more, more + json]) {
          const value = readJsonObject(encode(text))
          if (value !== undefined) assert.equal(JSON.stringify(value), text)
        }
      }),
    )
  })

  test('members twice, numbers beyond numbers, other values, no UTF-8', () => {
    for (const text of [
      '{"a":1,"a":2}',
      '{"a":1e400}',
      '{"a":1.0}',
      '{"a":-0}',
      '{ }',
      '[]',
      '"a"',
      '1',
      'null',
      '',
      '{',
      String.raw`{"\u0061":1}`,
    ])
      assert.equal(readJsonObject(encode(text)), undefined, text)
    assert.equal(readJsonObject(Buffer.from([0x7b, 0x22, 0xc0, 0x80, 0x22, 0x3a, 0x31, 0x7d]).toString('base64url')), undefined)
  })

  test('a member called __proto__ is a member and nothing else', () => {
    const value = readJsonObject(encode('{"__proto__":{"kid":"x"}}'))
    assert.ok(value && !('kid' in value))
  })
})
