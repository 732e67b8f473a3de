import assert from 'node:assert/strict'
import { createSign, sign } from 'node:crypto'
import { after, describe, test } from 'node:test'

import { withLowS } from '../../src/credentials/low-s.ts'
import { assertAccepted, assertRefused } from '../support/token-attacks.ts'
import { decode, encode } from '../support/token-forge.ts'
import { openTokenScene } from '../support/token-scene.ts'

const { listener, person, forge, token, close } = await openTokenScene()
after(close)

/** SP 800-186 section 3.2.1.3: the order of P-256, and its prime. */
const n = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
const p = 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn

const bytes = (value: bigint, size = 32): Buffer => Buffer.from(value.toString(16).padStart(2 * size, '0'), 'hex')
const input = (): string => token.slice(0, token.lastIndexOf('.'))
const own = (): Buffer => Buffer.from(token.slice(token.lastIndexOf('.') + 1), 'base64url')
const r = (): bigint => BigInt(`0x${own().toString('hex', 0, 32)}`)
const s = (): bigint => BigInt(`0x${own().toString('hex', 32)}`)
const pair = (first: bigint, second: bigint, size = 32): Buffer => Buffer.concat([bytes(first, size), bytes(second, size)])

const refused = (signature: Buffer, reason: string): Promise<void> =>
  assertRefused(listener, `Bearer ${input()}.${signature.toString('base64url')}`, { reason })

const spell = (value: bigint): string => (value < 10n ? String(value) : `0x${value.toString(16)}`)

const signedAs = (text: string, hash = 'sha256'): Buffer => {
  const raw = sign(hash, Buffer.from(text), { key: forge.privateKey, dsaEncoding: 'ieee-p1363' })
  return Buffer.from(withLowS(`.${raw.toString('base64url')}`).slice(1), 'base64url')
}

test('the token that is changed below is good', async () => {
  await assertAccepted(listener, token, person.subject)
  assert.equal(`${input()}.${pair(r(), s()).toString('base64url')}`, token)
})

describe('[ASVS 9.1.1] numbers that are no signature (Wycheproof; CVE-2022-21449, psychic signatures)', () => {
  const small: readonly bigint[] = [0n, 1n, 2n]
  const large: readonly bigint[] = [n - 1n, n, n + 1n, p, p - n, p + 1n, 2n ** 256n - 1n, 2n ** 255n]
  for (const first of [...small, ...large])
    for (const second of [...small, ...large])
      test(`r ${spell(first)}, s ${spell(second)}`, () => refused(pair(first, second), second <= n / 2n ? 'wrong signature' : 'malformed'))

  test('its own r with s 0, its own s with r 0', async () => {
    await refused(pair(r(), 0n), 'wrong signature')
    await refused(pair(0n, s()), 'wrong signature')
  })
  test('r and s exchanged', () => refused(pair(s(), r()), r() <= n / 2n ? 'wrong signature' : 'malformed'))
  test('s + n and r + n, which need a byte more', async () => {
    await refused(pair(r(), s() + n, 33), 'malformed')
    await refused(pair(r() + n, s(), 33), 'malformed')
    await refused(Buffer.concat([bytes(r()), bytes(s() + n, 33)]), 'malformed')
  })
  test('n - s, which is as good a signature: no token has a second text', () => refused(pair(r(), n - s()), 'malformed'))
  test('n - r', () => refused(pair(n - r(), s()), 'wrong signature'))
  test('each of its 512 bits the other way', async () => {
    const answers = new Set<number>()
    for (let bit = 0; bit < 512; bit += 7) {
      const changed = own()
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      const isHigh = BigInt(`0x${changed.toString('hex', 32)}`) > n / 2n
      await refused(changed, isHigh ? 'malformed' : 'wrong signature')
      answers.add(bit)
    }
    assert.ok(answers.size > 70)
  })
})

describe('[ASVS 9.1.1] signatures of another length or in another form', () => {
  for (const length of [1, 31, 32, 33, 63, 65, 96, 128, 132])
    test(`${length} bytes`, () => refused(Buffer.concat([own(), Buffer.alloc(68)]).subarray(0, length), 'malformed'))
  test('a zero byte before', () => refused(Buffer.concat([Buffer.alloc(1), own()]), 'malformed'))
  test('padded with zeros to another curve', () => refused(pair(r(), s(), 48), 'malformed'))
  test('DER, as OpenSSL and X.509 have it', async () => {
    await refused(createSign('sha256').update(input()).sign(forge.privateKey), 'malformed')
    await refused(sign('sha256', Buffer.from(input()), { key: forge.privateKey, dsaEncoding: 'der' }), 'malformed')
  })
  test('DER of zeros', () => refused(Buffer.from('3006020100020100', 'hex'), 'malformed'))
  test('all zeros, all ones', async () => {
    await refused(Buffer.alloc(64), 'wrong signature')
    await refused(Buffer.alloc(64, 0xff), 'malformed')
  })
})

describe('[ASVS 9.1.1] good signatures of something else', () => {
  test('the control: of this', async () => {
    await assertAccepted(listener, `${input()}.${signedAs(input()).toString('base64url')}`, person.subject)
  })
  for (const hash of ['sha1', 'sha224', 'sha384', 'sha512', 'sha3-256'])
    test(`with ${hash}`, () => refused(signedAs(input(), hash), 'wrong signature'))
  test('of the claims alone, of the header alone, of nothing', async () => {
    const [header = '', claims = ''] = token.split('.')
    for (const text of [claims, header, '', `${input()}.`, token, Buffer.from(claims, 'base64url').toString()])
      await refused(signedAs(text), 'wrong signature')
  })

  test('of another token: header, claims and signature of three good tokens in every other mixture', async () => {
    const other = await listener.addPerson('eve', 'viewer')
    const tokens = [token, await person.token(), await other.token()]
    // All of them are remembered: what was learned of one must not help another (GHSA-rp9m).
    for (const [i, good] of tokens.entries()) await assertAccepted(listener, good, i === 2 ? other.subject : person.subject)
    const parts = tokens.map((one) => one.split('.'))
    for (const claims of [0, 1, 2])
      for (const signature of [0, 1, 2])
        if (claims !== signature) {
          const mixed = `${parts[0]?.[0]}.${parts[claims]?.[1]}.${parts[signature]?.[2]}`
          await assertRefused(listener, `Bearer ${mixed}`, { reason: 'wrong signature' })
        }
    for (const good of tokens) await assertAccepted(listener, good, good === tokens[2] ? other.subject : person.subject)
  })

  test('claims changed behind the signature', async () => {
    const claims = decode(token, 1)
    for (const change of [{ role: 'admin' }, { sub: 'somebody' }, { exp: Number(claims['exp']) + 1 }, { aud: 'x' }, { epoch: 1 }]) {
      const [header = '', , signature = ''] = token.split('.')
      await assertRefused(listener, `Bearer ${header}.${encode({ ...claims, ...change, x: 1 })}.${signature}`, {
        reason: 'wrong signature',
      })
    }
  })
})
