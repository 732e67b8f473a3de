import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'

import fc from 'fast-check'

import { createRecoveryCodes, hashRecoveryCode } from './recovery-code.ts'

test('ten codes, each of 120 random bits, none twice [ASVS 6.5.3] [ASVS 6.5.4]', () => {
  const codes = Array.from({ length: 100 }, createRecoveryCodes)
  for (const set of codes) assert.equal(set.length, 10)
  const all = codes.flat()
  for (const { code } of all) assert.match(code, /^[a-z2-7]{4}(-[a-z2-7]{4}){5}$/)
  assert.equal(new Set(all.map(({ code }) => code)).size, all.length)
  const letters = all.map(({ code }) => code.replaceAll('-', '')).join('')
  const expected = letters.length / 32
  const chiSquare = 'abcdefghijklmnopqrstuvwxyz234567'
    .split('')
    .reduce((sum, letter) => sum + (letters.split(letter).length - 1 - expected) ** 2 / expected, 0)
  // 31 degrees of freedom: a uniform source exceeds 90 once in ten million runs.
  assert.ok(chiSquare < 90, String(chiSquare))
})

test('[ASVS 6.5.2] what is stored is a SHA-256 of the letters alone, so that a code may be copied with other spaces and in capitals', () => {
  for (const { code, hash } of createRecoveryCodes()) {
    const plain = code.replaceAll('-', '')
    assert.equal(hash, createHash('sha256').update(plain).digest('base64url'))
    for (const spelling of [code, plain, plain.toUpperCase(), ` ${code.replaceAll('-', ' ')}\n`])
      assert.equal(hashRecoveryCode(spelling), hash)
  }
})

test('anything else is no code, and no database is asked for it', () => {
  for (const text of ['', '492039', 'a'.repeat(23), 'a'.repeat(25), '0'.repeat(24), 'ä'.repeat(24), `${'a'.repeat(23)}\0`])
    assert.equal(hashRecoveryCode(text), undefined, JSON.stringify(text))
  const noCode = fc.string({ unit: 'binary', maxLength: 64 }).filter((text) => text.replaceAll(/[^a-z2-7]/gi, '').length !== 24)
  fc.assert(fc.property(noCode, (text) => assert.equal(hashRecoveryCode(text), undefined)))
})
