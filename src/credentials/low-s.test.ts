import assert from 'node:assert/strict'
import { generateKeyPairSync, sign, verify } from 'node:crypto'
import { test } from 'node:test'

import { hasLowS, withLowS } from './low-s.ts'

const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const of = (s: bigint): string => Buffer.from(`${'11'.repeat(32)}${s.toString(16).padStart(64, '0')}`, 'hex').toString('base64url')

test('the bound is half of the order', () => {
  assert.ok(hasLowS(of(1n)) && hasLowS(of(order / 2n)))
  for (const s of [order / 2n + 1n, order - 1n, order, 2n ** 256n - 1n]) assert.ok(!hasLowS(of(s)))
})

test('64 bytes and nothing else', () => {
  for (const length of [0, 1, 32, 63, 65, 96]) assert.ok(!hasLowS(Buffer.alloc(length).toString('base64url')), String(length))
})

test('of both signatures that say the same the lower one is made, and it verifies', () => {
  let changed = 0
  for (let i = 0; i < 100; i++) {
    const text = Buffer.from(`text ${i}`)
    const signature = sign('sha256', text, { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')
    const low = withLowS(`a.b.${signature}`)
    const [, , made = ''] = low.split('.')
    assert.ok(hasLowS(made))
    assert.equal(hasLowS(signature), made === signature)
    assert.equal(withLowS(low), low)
    assert.ok(verify('sha256', text, { key: publicKey, dsaEncoding: 'ieee-p1363' }, Buffer.from(made, 'base64url')))
    if (made !== signature) changed++
  }
  assert.ok(changed > 10 && changed < 90, `${changed} of 100`)
})
