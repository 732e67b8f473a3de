import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'

import fc from 'fast-check'

import { challengeLifetimeMs, createChallenge, readChallenge } from './challenge.ts'

const key = randomBytes(32)
const now = 1_800_000_000_000

describe('a challenge that nothing is stored for', () => {
  test('is known again for five minutes, and tells when they end', () => {
    const challenge = createChallenge(key, 'log in', now)
    for (const age of [0, 1, challengeLifetimeMs - 1])
      assert.equal(readChallenge(key, 'log in', challenge, now + age)?.expiresAt, now + challengeLifetimeMs)
    for (const age of [challengeLifetimeMs, challengeLifetimeMs + 1, 1e12])
      assert.equal(readChallenge(key, 'log in', challenge, now + age), undefined, String(age))
  })

  test('has 208 random bits: no two are alike, made in the same millisecond [ASVS 6.7.2]', () => {
    const challenges = Array.from({ length: 2000 }, () => createChallenge(key, 'log in', now))
    const bodies = challenges.map((text) => Buffer.from(text, 'base64url').subarray(6, 32).toString('hex'))
    assert.equal(new Set(bodies).size, bodies.length)
    const ones = bodies
      .join('')
      .split('')
      .reduce((sum, digit) => sum + Number.parseInt(digit, 16).toString(2).split('1').length - 1, 0)
    // 416,000 fair bits: more than 2000 away from the half once in a thousand million runs.
    assert.ok(Math.abs(ones - 208_000) < 2000, String(ones))
  })

  test('is good for what it was made for, and by whom, alone', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (purpose, other) => {
        const challenge = createChallenge(key, purpose, now)
        assert.equal(readChallenge(key, other, challenge, now) !== undefined, purpose === other)
        assert.equal(readChallenge(randomBytes(32), purpose, challenge, now), undefined)
      }),
    )
  })

  test('every bit counts: a later end, another random number, another tag are refused', () => {
    const bytes = Buffer.from(createChallenge(key, 'log in', now), 'base64url')
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const changed = Buffer.from(bytes)
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      assert.equal(readChallenge(key, 'log in', changed.toString('base64url'), now), undefined, String(bit))
    }
  })

  test('has one spelling: what was answered cannot be answered again in another', () => {
    const challenge = createChallenge(key, 'log in', now)
    const hash = readChallenge(key, 'log in', challenge, now)?.hash
    const last = challenge.at(-1) ?? ''
    const spellings = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
      .split('')
      .map((letter) => challenge.slice(0, -1) + letter)
    for (const spelling of [
      ...spellings,
      `${challenge}=`,
      `${challenge}==`,
      ` ${challenge}`,
      challenge.replaceAll('-', '+').replaceAll('_', '/'),
      `${challenge}A`,
    ])
      if (spelling !== challenge) assert.equal(readChallenge(key, 'log in', spelling, now), undefined, `${last} ${spelling}`)
    assert.match(hash ?? '', /^[\w-]{43}$/)
  })

  test('garbage is none, and throws nothing', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => assert.equal(readChallenge(key, 'log in', text, now), undefined)))
  })
})
