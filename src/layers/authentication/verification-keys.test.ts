import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { describe, test } from 'node:test'

import fc from 'fast-check'

import { parseKeySet } from './verification-keys.ts'

type Jwk = Record<string, unknown>
const jwkOf = (key: KeyObject): Jwk => ({ ...key.export({ format: 'jwk' }) })
const rsaPair = (modulusLength: number, publicExponent = 65_537) => generateKeyPairSync('rsa', { modulusLength, publicExponent })
const rsa = jwkOf(rsaPair(2048).publicKey)
const ec = (namedCurve: string): Jwk => jwkOf(generateKeyPairSync('ec', { namedCurve }).publicKey)
const p256 = ec('P-256')
const ed25519Pair = generateKeyPairSync('ed25519')
const ed25519 = jwkOf(ed25519Pair.publicKey)

/** The algorithms of each key id that is left, or why the set was refused. */
const read = (...keys: readonly unknown[]): unknown => {
  try {
    return Object.fromEntries([...parseKeySet({ keys })].map(([kid, { algorithms }]) => [String(kid), algorithms.join()]))
  } catch (error) {
    return (error as Error).message
  }
}
const many = (count: number) => Array.from({ length: count }, (_, i) => ({ ...p256, kid: String(i) }))
const unfit = 'the key set has no key that is fit to verify signatures with'

describe('keys of an issuer', () => {
  test('the algorithm is that of the key', () => {
    assert.deepEqual(read({ ...rsa, kid: 'a' }, { ...rsa, kid: 'b', alg: 'PS256' }, { ...p256, kid: 'c' }, { ...ec('P-384'), kid: 'd' }), {
      a: 'RS256',
      b: 'PS256',
      c: 'ES256',
      d: 'ES384',
    })
    assert.deepEqual(read({ ...ed25519, kid: 'e', alg: 'EdDSA', use: 'sig', key_ops: ['verify'] }), { e: 'EdDSA,Ed25519' })
  })

  const refused: readonly (readonly [string, Jwk])[] = [
    ['a symmetric key', { kty: 'oct', k: 'c2VjcmV0', alg: 'HS256' }],
    ['a symmetric key that calls itself RSA', { ...rsa, k: 'c2VjcmV0' }],
    ['RSA for HS256: its public key would be the secret', { ...rsa, alg: 'HS256' }],
    ['RSA for none', { ...rsa, alg: 'none' }],
    ['RSA for encryption', { ...rsa, use: 'enc' }],
    ['RSA for RSA-OAEP', { ...rsa, alg: 'RSA-OAEP' }],
    ['a key that may not verify', { ...rsa, key_ops: ['encrypt'] }],
    ['RSA of 1024 bits', jwkOf(rsaPair(1024).publicKey)],
    ['RSA with the exponent 3', jwkOf(rsaPair(2048, 3).publicKey)],
    ['RSA with the exponent 1, for which every text is its own signature', { ...rsa, e: 'AQ' }],
    ['RSA of 16384 bits, to keep us busy', { ...rsa, n: `${'z'.repeat(2730)}w` }],
    ['P-256 for ES384', { ...p256, alg: 'ES384' }],
    ['a point that is not on the curve', { ...p256, x: p256['y'] }],
    ['secp256k1', ec('secp256k1')],
    ['Ed448', jwkOf(generateKeyPairSync('ed448').publicKey)],
    ['X25519, which signs nothing', jwkOf(generateKeyPairSync('x25519').publicKey)],
    ['a private key: everybody can sign with it', jwkOf(ed25519Pair.privateKey)],
    ['a private RSA key', jwkOf(rsaPair(2048).privateKey)],
    ['nothing but a type', { kty: 'RSA' }],
    ['a member of the prototype', { kty: 'constructor', crv: '__proto__' }],
    ['numbers for texts', { ...rsa, n: 1, e: 1 }],
  ]
  for (const [name, jwk] of refused) {
    test(`leaves out ${name}`, () => {
      assert.equal(read({ ...jwk, kid: 'x' }), unfit)
      assert.deepEqual(read({ ...jwk, kid: 'x' }, { ...p256, kid: 'good' }), { good: 'ES256' })
    })
  }

  test('two keys of one id: neither, for a token could choose which it is held against', () => {
    assert.deepEqual(read({ ...rsa, kid: 'x' }, { ...p256, kid: 'x' }, { ...ed25519, kid: 'y' }), { y: 'EdDSA,Ed25519' })
  })

  test('a key without an id is one only where it is the only one', () => {
    assert.deepEqual(read(p256), { undefined: 'ES256' })
    assert.deepEqual(read(p256, { ...rsa, kid: 'a' }), { a: 'RS256' })
    assert.equal(read(p256, rsa), unfit)
    assert.equal(read({ ...p256, kid: 7 }), unfit)
    assert.equal(read({ ...p256, kid: 'k'.repeat(256) }), unfit)
  })

  test('fifty keys, and not one more', () => {
    assert.equal(Object.keys(read(...many(50)) as object).length, 50)
    assert.equal(read(...many(51)), 'the key set has more than 50 keys')
  })

  test('whatever stands there, it is a set of good keys or an error', () => {
    assert.throws(() => parseKeySet({}), /has no keys/)
    assert.throws(() => parseKeySet({ keys: {} }), /has no keys/)
    const member = fc.constantFrom('kty', 'crv', 'n', 'e', 'x', 'y', 'kid', 'alg', 'use', 'key_ops', '__proto__')
    const value = fc.oneof(fc.string(), fc.constantFrom('RSA', 'EC', 'OKP', 'P-256', 'Ed25519', 'AQAB', 'sig', 'verify'), fc.jsonValue())
    const jwk = fc.oneof(fc.jsonValue(), fc.dictionary(member, value))
    fc.assert(
      fc.property(fc.array(jwk), (keys) => assert.ok(typeof read(...keys) === 'string' || Object.keys(read(...keys) as object).length > 0)),
    )
  })
})
