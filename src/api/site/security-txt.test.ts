import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { parseSecurityTxt } from './security-txt.ts'

const parse = (text: string) => parseSecurityTxt(Buffer.from(text))
const contact = 'Contact: mailto:security@films.example'

test('times of RFC 3339, with offsets and fractions', () => {
  for (const [value, expected] of [
    ['2030-01-31T00:00:00Z', '2030-01-31T00:00:00Z'],
    ['2030-01-31T02:00:00+02:00', '2030-01-31T00:00:00Z'],
    ['2030-01-31t00:00:00.5z', '2030-01-31T00:00:00.500Z'],
  ] as const)
    assert.equal(parse(`${contact}\nExpires: ${value}\n`).expiresMs, Date.parse(expected))
  for (const value of ['2030-01-31', '2030-13-31T00:00:00Z', '2030-02-29T00:00:00Z', 'Thu, 31 Jan 2030 00:00:00 GMT', '0', ''])
    assert.throws(() => parse(`${contact}\nExpires: ${value}\n`), /Expires must be/)
})

test('line ends of both kinds, names in any case, comments and signatures', () => {
  const { text, expiresMs } = parse(
    `-----BEGIN PGP SIGNED MESSAGE-----\r\nHash: SHA256\r\n\r\n# me\r\nCONTACT: tel:+49-1234\r\nexpires:2030-01-31T00:00:00Z\r\n`,
  )
  assert.equal(expiresMs, Date.parse('2030-01-31T00:00:00Z'))
  assert.match(text, /^-----BEGIN/)
})

const expires = 'Expires: 2030-01-31T00:00:00Z'

test('what RFC 9116 does not allow is refused with its reason', () => {
  for (const [text, reason] of [
    [expires, /Contact/],
    [`Contact: security@films.example\n${expires}`, /Contact must be/],
    [`Contact: http://films.example/\n${expires}`, /Contact must be/],
    [`${contact}\nContact: javascript:alert(1)\n${expires}`, /not "javascript:/],
    [contact, /one Expires/],
    [`${contact}\n${expires}\n${expires}`, /one Expires/],
    ['<!doctype html><title>Security</title>', /Contact/],
    ['', /Contact/],
  ] as const)
    assert.throws(() => parse(text), reason)
  assert.throws(() => parseSecurityTxt(Buffer.from(`${contact}\n${expires}\n# \xe9`, 'latin1')), /UTF-8/)
})

test('whatever the bytes are, it is parsed or refused with a reason', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      try {
        parseSecurityTxt(Buffer.from(bytes))
      } catch (error) {
        assert.ok(error instanceof Error && error.message !== '')
      }
    }),
  )
  assert.throws(() => parseSecurityTxt(Buffer.alloc(40_000, 'a')), /longer than/)
})
