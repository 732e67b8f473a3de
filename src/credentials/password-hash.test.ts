import assert from 'node:assert/strict'
import { argon2Sync } from 'node:crypto'
import { describe, test } from 'node:test'

import fc from 'fast-check'

import { hashPassword, needsRehash, parseHash, verifyPassword } from './password-hash.ts'

const password = 'seven kestrels over the marsh'
const stored = await hashPassword(password)

/** As an older release, or another program, would have stored it. */
const made = (text: string, { m = 19_456, t = 2, p = 1, salt = Buffer.alloc(16, 7), tagLength = 32 } = {}): string => {
  const tag = argon2Sync('argon2id', { message: text, nonce: salt, memory: m, passes: t, parallelism: p, tagLength })
  const [a, b] = [salt, tag].map((bytes) => bytes.toString('base64').replaceAll('=', ''))
  return `$argon2id$v=19$m=${m},t=${t},p=${p}$${a}$${b}`
}

const bytes = (minLength: number) => fc.uint8Array({ minLength, maxLength: 64 })

describe('hash and verify', () => {
  test('a PHC string with 19 MiB, two passes, one lane, a salt of 16 bytes and a tag of 32', async () => {
    assert.match(stored, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
    assert.equal(await verifyPassword(password, stored), true)
    assert.notEqual(await hashPassword(password), stored, 'a salt of its own each time')
  })

  test('argon2id of other makers is verified: the reference implementation, RFC 9106', async () => {
    // printf password | argon2 somesalt -id -t 2 -m 16 -p 1 (phc-winner-argon2, src/test.c).
    const reference = '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc'
    assert.equal(await verifyPassword('password', reference), true)
    assert.equal(await verifyPassword('Password', reference), false)
  })

  test('[ASVS 6.2.8] exactly as it was sent: blanks, case, NUL, normalisation and long tails matter', async () => {
    const long = `${'x'.repeat(127)}y`
    const pairs = [
      [password, `${password} `],
      [password, ` ${password}`],
      [password, password.toUpperCase()],
      [`${password}\0a`, `${password}\0b`],
      [`${password}\0`, password],
      [long, `${'x'.repeat(127)}z`],
      [`${'x'.repeat(80)}a`, 'x'.repeat(72)],
      ['re\u0301sume\u0301 of a sailor', 'r\u00e9sum\u00e9 of a sailor'],
      ['\ufb01fteen men on a chest', 'fifteen men on a chest'],
    ]
    for (const [right = '', wrong = ''] of pairs) {
      const hash = await hashPassword(right)
      assert.deepEqual([await verifyPassword(right, hash), await verifyPassword(wrong, hash)], [true, false], JSON.stringify(right))
    }
  })

  test('attack: a lone surrogate has no UTF-8, so it is no password, and none does for another', async () => {
    await assert.rejects(hashPassword(`${password}\ud800`), TypeError)
    const replaced = await hashPassword(`${password}\ufffd`)
    assert.equal(await verifyPassword(`${password}\ufffd`, replaced), true)
    for (const half of ['\ud800', '\udfff', '\udc00\ud800']) assert.equal(await verifyPassword(password + half, replaced), false)
  })

  test('no account, or a damaged hash: never right', async () => {
    for (const none of [null, '', 'x', stored.slice(0, -1), stored.replace('argon2id', 'argon2i')])
      for (const guess of ['', password]) assert.equal(await verifyPassword(guess, none), false)
  })

  test('weaker parameters are verified and called old; those of today and stronger ones are not', async () => {
    for (const old of [{ m: 8192 }, { t: 1 }, { salt: Buffer.alloc(8, 1) }, { tagLength: 16 }]) {
      assert.equal(await verifyPassword(password, made(password, old)), true)
      assert.equal(needsRehash(made(password, old)), true, JSON.stringify(old))
    }
    assert.equal(needsRehash(stored), false)
    for (const stronger of [{ m: 32_768 }, { t: 3 }, { p: 2 }, { tagLength: 64 }])
      assert.equal(needsRehash(made(password, stronger)), false)
  })
})

describe('parseHash', () => {
  const [salt, tag] = ['c29tZXNhbHQ', 'CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc']

  test('attack: a stored text that asks for gigabytes, hours or threads is none', () => {
    for (const parameters of [
      'm=4194304,t=2,p=1',
      'm=131073,t=2,p=1',
      'm=9999999,t=1,p=1',
      'm=19456,t=11,p=1',
      'm=19456,t=2,p=5',
      'm=8,t=1,p=4',
      'm=99999999999999999999,t=1,p=1',
    ])
      assert.equal(parseHash(`$argon2id$v=19$${parameters}$${salt}$${tag}`), undefined, parameters)
    assert.ok(parseHash(`$argon2id$v=19$m=131072,t=10,p=4$${salt}$${tag}`))
  })

  test('one spelling: order, version, signs, zeros, padding and stray bits of base 64', () => {
    const good = `$argon2id$v=19$m=19456,t=2,p=1$${salt}$${tag}`
    assert.ok(parseHash(good))
    for (const text of [
      ` ${good}`,
      `${good}\n`,
      `${good}$`,
      `${good}=`,
      good.replace('v=19', 'v=16'),
      good.replace('$v=19', ''),
      good.replace('m=19456,t=2', 't=2,m=19456'),
      good.replace('m=19456', 'm=019456'),
      good.replace('m=19456', 'm=+19456'),
      good.replace('m=19456', 'm=1e4'),
      good.replace('t=2', 't=0'),
      good.replace('p=1', 'p=1,keyid=x'),
      good.replace(salt, 'c29tZXNhbHR'),
      good.replace(salt, 'c29t'),
      good.replace(tag, 'CTFhFdXPJO1aFaM'),
      good.replace(tag, tag.replace('F', '_')),
      good.replace(tag, `${tag.slice(0, -1)}d`),
      good.replace('argon2id', 'argon2d'),
      good.replace('argon2id', 'ARGON2ID'),
      good.replace(salt, 'A'.repeat(200)),
    ])
      assert.equal(parseHash(text), undefined, JSON.stringify(text))
  })

  test('whatever is within the bounds is read as it was written', () => {
    const parameters = fc.record({
      m: fc.integer({ min: 32, max: 131_072 }),
      t: fc.integer({ min: 1, max: 10 }),
      p: fc.integer({ min: 1, max: 4 }),
    })
    fc.assert(
      fc.property(parameters, bytes(8), bytes(16), ({ m, t, p }, first, second) => {
        const [a, b] = [first, second].map((part) => Buffer.from(part).toString('base64').replaceAll('=', ''))
        assert.deepEqual(parseHash(`$argon2id$v=19$m=${m},t=${t},p=${p}$${a}$${b}`), {
          memoryKiB: m,
          passes: t,
          lanes: p,
          salt: Buffer.from(first),
          tag: Buffer.from(second),
        })
      }),
    )
  })

  test('any text: undefined or within the bounds, and never an exception', () => {
    const piece = fc.constantFrom(
      '$',
      'argon2id',
      'v=19',
      'm=',
      't=',
      'p=',
      ',',
      '19456',
      '2',
      '1',
      '4294967296',
      salt,
      tag,
      '=',
      '-',
      '\0',
    )
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ maxLength: 200 }),
          fc.array(piece, { maxLength: 20 }).map((parts) => parts.join('')),
        ),
        (text) => {
          const parsed = parseHash(text)
          assert.ok(parsed === undefined || (parsed.memoryKiB <= 131_072 && parsed.passes <= 10 && parsed.lanes <= 4))
        },
      ),
    )
    fc.assert(
      fc.property(fc.nat(stored.length - 1), fc.string({ minLength: 1, maxLength: 1 }), (at, character) => {
        const changed = stored.slice(0, at) + character + stored.slice(at + 1)
        const parsed = parseHash(changed)
        assert.ok(parsed === undefined || (parsed.memoryKiB <= 131_072 && parsed.passes <= 10))
      }),
    )
  })
})
