import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { createClaimCode, hashClaimCode } from './claim-code.ts'

test('[ASVS 6.4.1] a code has 125 random bits, in groups that a person can read', () => {
  const codes = Array.from({ length: 200 }, () => createClaimCode())
  for (const { code, hash } of codes) {
    assert.match(code, /^([0-9a-hjkmnp-tv-z]{5}-){4}[0-9a-hjkmnp-tv-z]{5}$/)
    assert.equal(hashClaimCode(code), hash)
    assert.ok(!hash.includes(code.slice(0, 5)))
  }
  assert.equal(new Set(codes.map(({ hash }) => hash)).size, 200)
  // Each of the 25 places takes all 32 letters sooner or later: no bit stands still.
  const letters = new Set(codes.flatMap(({ code }) => Array.from(code.replaceAll('-', ''))))
  assert.equal(letters.size, 32)
})

test('however it is typed: case, blanks, hyphens, o for 0, i and l for 1', () => {
  const { code, hash } = createClaimCode()
  const typed = [code.toUpperCase(), code.replaceAll('-', ''), code.replaceAll('-', ' '), ` ${code}\n`]
  for (const text of [...typed, code.replaceAll('0', 'O').replaceAll('1', 'l'), code.replaceAll('1', 'I')])
    assert.equal(hashClaimCode(text), hash, text)
})

test('any other text is none, or another one', () => {
  const { code, hash } = createClaimCode()
  for (const text of ['', code.slice(1), `${code}0`, code.replace(/./, 'u'), code.replace(/./, 'é'), '-'.repeat(25)])
    assert.equal(hashClaimCode(text), undefined, text)
  fc.assert(fc.property(fc.string({ maxLength: 64 }), (text) => assert.notEqual(hashClaimCode(text), hash)))
})
