import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import fc from 'fast-check'

import { createCursors, maxCursorLength } from './cursor.ts'

const cursors = createCursors(Buffer.alloc(32, 1))
const lists = ['users', 'audit', '', 'users\n', 'a"b', '\0', 'ü']
const list = fc.constantFrom(...lists)
const value = fc
  .oneof(fc.string({ unit: 'grapheme', maxLength: 60 }), fc.constantFrom('', '1', 'alice', '\uFFFD', '\n', 'users', '🎬'.repeat(64)))
  .filter((text) => Buffer.byteLength(text) <= 256)

describe('cursors', () => {
  test('what was sealed for a list is opened for that list, and has one spelling that fits into a query', () => {
    fc.assert(
      fc.property(value, list, (text, of) => {
        const cursor = cursors.seal(text, of)
        assert.equal(cursors.open(cursor, of), text)
        assert.equal(cursors.seal(text, of), cursor)
        assert.match(cursor, /^[A-Za-z0-9_-]+$/)
        assert.ok(cursor.length <= maxCursorLength)
      }),
    )
  })

  test('a cursor of another list, another value or another installation is none of ours', () => {
    const others = createCursors(Buffer.alloc(32, 2))
    fc.assert(
      fc.property(value, list, list, (text, of, other) => {
        const cursor = cursors.seal(text, of)
        if (of !== other) assert.equal(cursors.open(cursor, other), undefined)
        assert.equal(others.open(cursor, of), undefined)
      }),
    )
    fc.assert(
      fc.property(value, value, (one, another) => {
        if (one !== another) assert.notEqual(cursors.seal(one, 'users'), cursors.seal(another, 'users'))
      }),
    )
  })

  test('whatever was changed, cut off or put behind is refused', () => {
    fc.assert(
      fc.property(value, fc.nat(), fc.integer({ min: 1, max: 63 }), (text, at, by) => {
        const cursor = cursors.seal(text, 'users')
        const place = at % cursor.length
        const letter = letters[(letters.indexOf(cursor[place] ?? '') + by) % 64] ?? ''
        assert.equal(cursors.open(cursor.slice(0, place) + letter + cursor.slice(place + 1), 'users'), undefined)
        assert.equal(cursors.open(cursor.slice(0, place), 'users'), undefined)
        for (const more of [letter, '=', '==', '\n', ' ', '.']) assert.equal(cursors.open(cursor + more, 'users'), undefined)
        assert.equal(cursors.open(`${cursor.slice(0, place)} ${cursor.slice(place)}`, 'users'), undefined)
      }),
    )
  })

  test('bits behind the last byte, and the other alphabet of base64, are other spellings and refused', () => {
    const seen = { spare: 0, alphabet: 0 }
    for (let n = 0; n < 200; n++) {
      const cursor = cursors.seal('x'.repeat(n % 30) + n, 'users')
      const standard = cursor.replaceAll('-', '+').replaceAll('_', '/')
      if (standard !== cursor) seen.alphabet++
      if (standard !== cursor) assert.equal(cursors.open(standard, 'users'), undefined)
      for (const letter of letters) {
        const spelling = cursor.slice(0, -1) + letter
        if (spelling === cursor || !Buffer.from(spelling, 'base64url').equals(Buffer.from(cursor, 'base64url'))) continue
        seen.spare++
        assert.equal(cursors.open(spelling, 'users'), undefined)
      }
    }
    assert.ok(seen.spare > 0 && seen.alphabet > 0)
  })

  test('anything at all is refused without an error', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary', maxLength: 600 }), fc.base64String({ maxLength: 600 })), list, (text, of) =>
        assert.equal(cursors.open(text, of), undefined),
      ),
    )
    for (const text of ['', 'A', 'A'.repeat(22), 'A'.repeat(100_000)]) assert.equal(cursors.open(text, 'users'), undefined)
  })

  test('a cursor shows nothing of its value but the length', () => {
    const [one, other] = [cursors.seal('alice', 'users'), cursors.seal('alicf', 'users')].map((cursor) => Buffer.from(cursor, 'base64url'))
    assert.equal(one?.length, other?.length)
    assert.ok(!one?.includes('ali'))
    // Of two values that begin alike the cursors do not.
    assert.notDeepEqual(one?.subarray(16, 20), other?.subarray(16, 20))
  })

  test('what a cursor cannot hold is an error where it is made', () => {
    assert.equal(cursors.seal('x'.repeat(256), 'users').length, maxCursorLength)
    assert.throws(() => cursors.seal('x'.repeat(257), 'users'), RangeError)
    assert.throws(() => cursors.seal('\uD800', 'users'), RangeError)
  })
})

const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
