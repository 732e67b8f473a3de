import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { KeyedHash, randomlyKeyedHash } from './keyed-hash.ts'

/** `vectors_hsip64` of github.com/veorq/SipHash: key 00..07, message 00 01 02 … Messages of even length are whole UTF-16 units. */
const vectors: readonly (readonly [lengthBytes: number, digest: string])[] = [
  [0, '218d1f59b9b83cc8'],
  [2, '064f39ef7c50eb57'],
  [4, 'd5e78a175be52ea1'],
  [6, 'ce3e91358aa2bc25'],
  [8, 'edfee820bce4858c'],
  [10, '95b0469f06a6f2ee'],
  [62, 'f90b3ab572d46693'],
]

const digestOf = (hash: KeyedHash, text: string): string => {
  hash.digest(text)
  const bytes = Buffer.alloc(8)
  bytes.writeInt32LE(hash.lo, 0)
  bytes.writeInt32LE(hash.hi, 4)
  return bytes.toString('hex')
}

test('agrees with the published vectors of HalfSipHash-2-4-64', () => {
  const hash = new KeyedHash(0x03020100, 0x07060504)
  for (const [lengthBytes, digest] of vectors) {
    const message = Buffer.from(Array.from({ length: lengthBytes }, (_, index) => index)).toString('utf16le')
    assert.equal(digestOf(hash, message), digest, `${lengthBytes} bytes`)
  }
})

test('every string is a message of its own, lone surrogates and trailing NULs included', () => {
  const hash = randomlyKeyedHash()
  const seen = new Map<string, string>()
  const anyString = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(fc.integer({ min: 0, max: 0xffff })).map((codes) => String.fromCharCode(...codes)),
  )
  fc.assert(
    fc.property(anyString, fc.nat({ max: 600 }), (text, zeros) => {
      const message = text + '\0'.repeat(zeros)
      const digest = digestOf(hash, message)
      assert.equal(seen.get(digest) ?? message, message)
      seen.set(digest, message)
    }),
  )
})

test('another key is another function', () => {
  assert.notEqual(digestOf(randomlyKeyedHash(), 'x'), digestOf(randomlyKeyedHash(), 'x'))
})
