import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { noSessionCookie, sessionCookie, sessionCookieName, sessionCookiesIn } from './cookies.ts'

/** RFC 6265 section 4.1.1: what a server may give a cookie as its value. */
const value = fc.stringMatching(/^[!#-+\--:<-[\]-~]{0,20}$/)
const name = fc.oneof(
  { weight: 1, arbitrary: fc.constant(sessionCookieName) },
  { weight: 2, arbitrary: fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,20}$/) },
  { weight: 2, arbitrary: fc.constantFrom(`${sessionCookieName}x`, `x${sessionCookieName}`, sessionCookieName.toLowerCase(), '__Host-') },
)

test('of all cookies of a request, those of our name and no other, in their order', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(name, value)), fc.constantFrom('; ', ';', ' ;  '), (pairs, between) => {
      const field = pairs.map((pair) => pair.join('=')).join(between)
      const own = pairs.filter(([one]) => one === sessionCookieName).map(([, given]) => given)
      assert.deepEqual(sessionCookiesIn(field), own)
    }),
  )
})

test('anything at all in the field is read without a fault, and never as more than it says', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (field) => {
      for (const found of sessionCookiesIn(field)) assert.ok(field.includes(`${sessionCookieName}=${found}`))
    }),
  )
  assert.deepEqual(sessionCookiesIn(undefined), [])
})

test('what is set is what comes back, and has every attribute that keeps it here', () => {
  const cookie = sessionCookie('fgr_token', 59.9)
  assert.deepEqual(sessionCookiesIn(cookie), ['fgr_token'])
  assert.deepEqual(cookie.split('; ').slice(1), ['Path=/', 'Secure', 'HttpOnly', 'SameSite=Strict', 'Max-Age=59'])
  assert.match(sessionCookie('fgr_token', -5), /Max-Age=0$/)
  assert.deepEqual(sessionCookiesIn(noSessionCookie), [''])
  assert.match(noSessionCookie, /Max-Age=0$/)
})
