import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { quote } from './escape.ts'

/** What moves a cursor, ends a line, colours a terminal, turns the reading direction or is half of a character. */
const deceptive = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u

const codeUnits = (...ranges: readonly (readonly [number, number])[]) =>
  fc
    .array(fc.oneof(...ranges.map(([min, max]) => fc.integer({ min, max }))), { maxLength: 40 })
    .map((codes) => String.fromCharCode(...codes))

const anyText = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary' }),
  codeUnits([0, 0x1f], [0x20, 0x7e], [0x7f, 0xa0], [0x2000, 0x2070], [0xd800, 0xdfff]),
  codeUnits([0, 0xffff]),
)

test('the line is a JSON string of the text itself, cut where it is too long', () => {
  fc.assert(
    fc.property(anyText, fc.integer({ min: 1, max: 50 }), (text, maxLength) => {
      const expected = text.length > maxLength ? `${text.slice(0, maxLength)}…` : text
      assert.equal(JSON.parse(quote(text, maxLength)), expected)
    }),
    { numRuns: 3000 },
  )
})

test('no text brings a control, bidi or line separating character into the log', () => {
  fc.assert(
    fc.property(anyText, fc.integer({ min: 1, max: 50 }), (text, maxLength) => assert.doesNotMatch(quote(text, maxLength), deceptive)),
    { numRuns: 3000 },
  )
  for (let code = 0; code <= 0x10ffff; code++) {
    const text = String.fromCodePoint(code)
    if (deceptive.test(text)) assert.doesNotMatch(quote(`a${text}b`, 10), deceptive, code.toString(16))
  }
  const everyUnit = Array.from({ length: 0x10000 }, (_, code) => String.fromCharCode(code))
  for (const unit of everyUnit) assert.doesNotMatch(quote(`a${unit}b`, 10), deceptive)
})

test('log injection, ANSI colours, direction overrides and invisible characters are shown as escapes', () => {
  const attacks: Readonly<Record<string, string>> = {
    'a\r\n{"verdict":"ok"}': String.raw`"a\r\n{\"verdict\":\"ok\"}"`,
    '\u001b[2J\u001b]0;owned\u0007': String.raw`"\u001b[2J\u001b]0;owned\u0007"`,
    '\u009b31m\u007f': String.raw`"\u009b31m\u007f"`,
    'moc\u202eliam\u2066\u2069': String.raw`"moc\u202eliam\u2066\u2069"`,
    'a\u2028b\u2029c\u0085d': String.raw`"a\u2028b\u2029c\u0085d"`,
    'pay\u200bpal\ufeff\u061c': String.raw`"pay\u200bpal\ufeff\u061c"`,
    'a\u{e0041}\u00adb': String.raw`"a\udb40\udc41\u00adb"`,
    'Amélie ☂ 映画': '"Amélie ☂ 映画"',
  }
  for (const [text, shown] of Object.entries(attacks)) assert.equal(quote(text, 100), shown)
})
