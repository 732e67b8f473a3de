import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import fc from 'fast-check'

import { parseStrictJson, StrictJsonError } from './strict-json.ts'

const maxDepth = 32
const parse = (text: string): unknown => parseStrictJson(new TextEncoder().encode(text), maxDepth)

/** Why a text is refused, or undefined where it is accepted. Any other error than a refusal is one of ours. */
const refusal = (body: string | Uint8Array): string | undefined => {
  try {
    if (typeof body === 'string') parse(body)
    else parseStrictJson(body, maxDepth)
    return undefined
  } catch (error) {
    assert.ok(error instanceof StrictJsonError, String(error))
    return error.message
  }
}

const hasOddName = (text: string): boolean => /__proto__|constructor|prototype/.test(text)
const anyJson = fc.jsonValue({ maxDepth: 12, stringUnit: 'binary' })

test('every JSON value comes back as it was', () => {
  fc.assert(
    fc.property(anyJson, fc.constantFrom(undefined, 2, '\t'), (value, indent) => {
      const text = JSON.stringify(value, null, indent)
      fc.pre(!hasOddName(text))
      assert.deepStrictEqual(parse(text), JSON.parse(text))
    }),
    { numRuns: 1000 },
  )
})

/** The same name to every parser, spelt with escapes where `mask` says so. */
const spell = (name: string, mask: readonly boolean[]): string => {
  const units = Array.from({ length: name.length }, (_, i) => name.charCodeAt(i))
  const escaped = units.map((unit, i) =>
    mask[i] === true ? `\\u${unit.toString(16).padStart(4, '0')}` : JSON.stringify(String.fromCharCode(unit)).slice(1, -1),
  )
  return `"${escaped.join('')}"`
}

describe('duplicate members', () => {
  const mask = fc.array(fc.boolean(), { maxLength: 10 })
  const around = fc.array(
    fc.constantFrom<readonly [string, string]>(['{"a":', ',"b":{}}'], ['[1,', ',{"a":":"}]'], ['{"{":[', ']}'], [' [ ', '\n]']),
    { maxLength: 6 },
  )

  test('any name twice in one object is refused, however it is escaped, wherever the object stands', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }),
        mask,
        mask,
        anyJson,
        anyJson,
        fc.constantFrom('', '"other":[{"x":1}],'),
        around,
        (name, one, two, first, second, between, wraps) => {
          const object = `{${spell(name, one)}:${JSON.stringify(first)},${between}${spell(name, two)}:${JSON.stringify(second)}}`
          const text = wraps.reduce((inner, [open, close]) => open + inner + close, object)
          assert.doesNotThrow(() => JSON.parse(text))
          assert.ok(refusal(text) !== undefined, text)
        },
      ),
      { numRuns: 1000 },
    )
  })

  test('the same name in two objects is none', () => {
    for (const text of ['[{"a":1},{"a":1}]', '{"a":{"a":{"a":1}},"b":{"a":1}}', '{"a":1,"A":2,"a ":3}', '{"é":1,"e\u0301":2}'])
      assert.equal(refusal(text), undefined, text)
  })

  test('colons and quotes inside of strings are no members', () => {
    for (const text of ['{"a:b":":"}', String.raw`{"\"":"\\","\\\"a":":{"}`, String.raw`["\\\\",":\"",{"\\":1}]`])
      assert.deepEqual(parse(text), JSON.parse(text))
  })
})

const nested = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`

describe('what is not the same to every reader is refused', () => {
  test('nesting: 32 levels are read, one more is not, and brackets in strings are none', () => {
    assert.deepEqual(
      [refusal(nested(32)), refusal(`{"a":${nested(31)}}`), refusal(`["${nested(100)}"]`)],
      [undefined, undefined, undefined],
    )
    for (const text of [nested(33), `{"a":${nested(32)}}`, '['.repeat(1_000_000), '{"a":'.repeat(100_000)])
      assert.match(refusal(text) ?? '', /more than 32 levels/)
  })

  test('prototype pollution: names that reach into prototypes, at any depth and in any spelling', () => {
    for (const name of ['__proto__', 'constructor', 'prototype', String.raw`\u005f_proto__`, String.raw`c\u006fnstructor`])
      for (const text of [`{"${name}":{"admin":true}}`, `[{"a":{"${name}":1}}]`])
        assert.match(refusal(text) ?? '', /cannot be called/, text)
    assert.equal(refusal('{"name":"__proto__","list":["constructor"]}'), undefined, 'as values they are harmless')
  })

  test('half of a surrogate pair in a value', () => {
    for (const text of [String.raw`"\ud800"`, String.raw`["\udfff\ud800"]`, String.raw`{"a":"x\ud83dx"}`])
      assert.match(refusal(text) ?? '', /surrogate/, text)
    assert.equal(parse(String.raw`"\ud83d\ude00"`), '😀')
  })

  test('half of a surrogate pair in a name', () => {
    for (const text of [String.raw`{"\ud800":1}`, String.raw`[{"a":{"x\udfff":1}}]`]) assert.match(refusal(text) ?? '', /surrogate/, text)
  })

  test('bytes that are not UTF-8, and a byte order mark', () => {
    const bytes: readonly (readonly number[])[] = [
      [0x22, 0xff, 0x22],
      [0x22, 0xc0, 0xaf, 0x22],
      [0x22, 0xed, 0xa0, 0x80, 0x22],
      [0x22, 0xf4, 0x90, 0x80, 0x80, 0x22],
      [0x22, 0xc3],
      [0xef, 0xbb, 0xbf, 0x31],
      [0xfe, 0xff, 0x00, 0x31],
      [0x31, 0x00],
    ]
    for (const one of bytes) assert.match(refusal(Uint8Array.from(one)) ?? '', /not valid (?:UTF-8|JSON)/, String(one))
  })
})

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

describe('against JSON.parse', () => {
  const reasons = /the same member twice|more than 32 levels|cannot be called|surrogate/
  const piece = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    ':',
    ',',
    '"',
    '\\',
    '"a"',
    '"b"',
    '{"a":',
    '1',
    '-',
    '.',
    'e',
    'null',
    'true',
    ' ',
    '\\u0061',
    '\u0000',
    "'",
    '//',
  )
  const text = fc.oneof(
    fc.array(piece, { maxLength: 20 }).map((pieces) => pieces.join('')),
    fc.string(),
    anyJson.map((value) => JSON.stringify(value)),
  )
  const damaged = fc
    .tuple(text, fc.nat({ max: 60 }), piece)
    .map(([whole, at, inserted]) => (whole.slice(0, at) + inserted + whole.slice(at)).toWellFormed())

  test('nothing more is accepted, and what less is has a reason', () => {
    fc.assert(
      fc.property(fc.oneof(text, damaged), (one) => {
        const reason = refusal(one)
        if (!isJson(one)) assert.ok(reason !== undefined, one)
        else if (reason === undefined) assert.deepStrictEqual(parse(one), JSON.parse(one))
        else assert.match(reason, reasons, one)
      }),
      { numRuns: 5000 },
    )
  })

  test('no bytes make it fail in another way', () => {
    fc.assert(fc.property(fc.uint8Array(), (bytes) => void refusal(bytes)))
  })
})
