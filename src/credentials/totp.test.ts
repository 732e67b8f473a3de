import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import fc from 'fast-check'
import { Secret } from 'otpauth'

import { createTotpSecret, totpStep, totpUri } from './totp.ts'

/** RFC 6238 appendix B, SHA-1; the last six of its eight digits. */
const vectors: readonly (readonly [seconds: number, code: string])[] = [
  [59, '287082'],
  [1111111109, '081804'],
  [1111111111, '050471'],
  [1234567890, '005924'],
  [2000000000, '279037'],
  [20000000000, '353130'],
]
const secret = Secret.fromUTF8('12345678901234567890').base32

describe('codes of an authenticator app', () => {
  test('are those of RFC 6238, of six digits, and tell their step [ASVS 6.5.4]', () => {
    for (const [seconds, code] of vectors) assert.equal(totpStep(secret, code, seconds * 1000), Math.floor(seconds / 30), code)
  })

  test('clock drift: a step early or late is taken, two are not, whatever the moment within the step [ASVS 6.5.5]', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...vectors),
        fc.integer({ min: -3, max: 3 }),
        fc.integer({ min: 0, max: 29_999 }),
        (vector, drift, within) => {
          const step = Math.floor(vector[0] / 30)
          fc.pre(step + drift >= 0)
          const found = totpStep(secret, vector[1], (step + drift) * 30_000 + within)
          assert.equal(found, Math.abs(drift) <= 1 ? step : undefined)
        },
      ),
    )
  })

  test('anything but six digits is none, whoever may find it alike', () => {
    const at = 59_000
    for (const text of ['', '28708', '2870820', '287082\n', ' 287082', '287 082', '２８７０８２', '+28708', '28708e', '0x287082', '-87082'])
      assert.equal(totpStep(secret, text, at), undefined, JSON.stringify(text))
    const noCode = fc.string({ unit: 'binary' }).filter((text) => !/^[0-9]{6}$/.test(text))
    fc.assert(fc.property(noCode, (text) => assert.equal(totpStep(secret, text, at), undefined)))
  })
})

test('secrets have 160 random bits, and no two are alike [ASVS 6.5.3]', () => {
  const secrets = Array.from({ length: 1000 }, createTotpSecret)
  assert.equal(new Set(secrets).size, secrets.length)
  for (const one of secrets) assert.match(one, /^[A-Z2-7]{32}$/)
})

test('the URI of the QR code names this server and the user, and says what the codes are made of', () => {
  const uri = new URL(totpUri(secret, 'films.example', 'ada.l-1'))
  assert.equal(uri.protocol + uri.host, 'otpauth:totp')
  assert.equal(decodeURIComponent(uri.pathname), '/films.example:ada.l-1')
  assert.deepEqual(Object.fromEntries(uri.searchParams), { issuer: 'films.example', secret, algorithm: 'SHA1', digits: '6', period: '30' })
})
