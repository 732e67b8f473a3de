import assert from 'node:assert/strict'
import { argon2Sync } from 'node:crypto'
import { describe, test } from 'node:test'

import type { FastifyRequest } from 'fastify'

import type { Problem } from '../../../core/errors.ts'
import { HashGate } from '../../../credentials/hash-gate.ts'
import { createCommonPasswords } from './common-passwords.ts'
import { createPasswords } from './passwords.ts'

const setUp = (gate = new HashGate()) => createPasswords({ gate, commonPasswords: createCommonPasswords(), words: ['kino'] })
const passwords = setUp()
const mistakeOf = async (password: string, username = 'ada'): Promise<string> =>
  (await passwords.mistake(password, '/password', { username }))?.detail ?? 'fine'

const password = 'seven kestrels over the marsh'
const letters = 'qwzxjkvbpygfmucltdhrnsiaoe'.repeat(6)

const median = (times: number[]): number => times.toSorted((x, y) => x - y)[Math.floor(times.length / 2)] ?? 0

const from = (prefix: string, destroyed = false): FastifyRequest =>
  ({ client: { address: prefix, prefix }, raw: { destroyed, socket: { destroyed } } }) as unknown as FastifyRequest

describe('what a password may be', () => {
  test('[ASVS 6.2.1] [ASVS 6.2.9] 12 to 128 characters, counted as code points', async () => {
    assert.match(await mistakeOf(letters.slice(0, 11)), /at least 12/)
    assert.match(await mistakeOf(letters.slice(0, 129)), /at most 128/)
    for (const length of [12, 64, 128]) assert.equal(await mistakeOf(letters.slice(0, length)), 'fine')
    const faces = Array.from({ length: 128 }, (_, i) => String.fromCodePoint(0x1f300 + ((i * 37) % 300))).join('')
    assert.deepEqual(
      [faces.length, await mistakeOf(faces), await mistakeOf(`${faces}x`)],
      [256, 'fine', 'must have at most 128 characters'],
    )
    assert.match(await mistakeOf('\u{1f600}\u{1f3a5}'.repeat(3)), /at least 12/, 'pairs of UTF-16 are one character')
  })

  test('[ASVS 6.2.4] [ASVS 6.2.12] not one that is known from a breach', async () => {
    for (const known of ['1qaz2wsx3edc4rfv', 'Q1W2E3R4T5Y6', 'iloveyoubaby', 'UNBELIEVABLE'])
      assert.match(await mistakeOf(known), /known from a breach|must be more|must not/, known)
    assert.match(await mistakeOf('1QAZ2wsx3edc4rfv'), /known from a breach/)
  })

  test('the answer points at the field, and repeats nothing of the password', async () => {
    const mistake = await passwords.mistake('1qaz2wsx3edc4rfv', '/new_password', { username: 'ada' })
    assert.equal(mistake?.pointer, '/new_password')
    assert.ok(!JSON.stringify(mistake).includes('1qaz'))
  })

  test('attack: half a character', async () => assert.match(await mistakeOf(`${password}\ud800`), /lone surrogate/))
})

describe('verify', () => {
  test('a hash of weaker parameters is made anew, once the password is right', async () => {
    const salt = Buffer.alloc(16, 3)
    const tag = argon2Sync('argon2id', { message: password, nonce: salt, memory: 8192, passes: 1, parallelism: 1, tagLength: 32 })
    const [a, b] = [salt, tag].map((bytes) => bytes.toString('base64').replaceAll('=', ''))
    const old = `$argon2id$v=19$m=8192,t=1,p=1$${a}$${b}`
    assert.deepEqual(await passwords.verify(`${password}!`, old), { ok: false })
    const { ok, rehash = '' } = await passwords.verify(password, old)
    assert.equal(ok, true)
    assert.match(rehash, /m=19456,t=2,p=1/)
    assert.deepEqual(await passwords.verify(password, rehash), { ok: true })
    assert.deepEqual(await passwords.verify(password, null), { ok: false })
  })

  test('[ASVS 6.3.8] no account takes as long as a wrong password: medians of interleaved tries', async () => {
    const stored = await passwords.hash(password)
    const took = { known: [] as number[], unknown: [] as number[] }
    for (let i = 0; i < 25; i++) {
      for (const [name, hash] of [
        ['known', stored],
        ['unknown', null],
      ] as const) {
        const startedMs = performance.now()
        await passwords.verify('a guess that is wrong', hash)
        took[name].push(performance.now() - startedMs)
      }
    }
    const ratio = median(took.known) / median(took.unknown)
    assert.ok(ratio > 0.7 && ratio < 1.4, `known over unknown: ${ratio}`)
  })
})

test('attack: a flood from one client waits in its own places, and its connections that end are not hashed for', async () => {
  const own = setUp(new HashGate({ atOnce: 1, maxWaitingPerClient: 2, maxWaitMs: 60_000 }))
  const codes = await Promise.all(
    Array.from({ length: 6 }, (_, i) =>
      own.verify(password, null, from('192.0.2.1', i === 2)).then(
        () => 'verified',
        (problem: Problem) => problem.code,
      ),
    ),
  )
  assert.deepEqual(codes, [
    'verified',
    'verified',
    'temporary_reduced_capacity',
    'temporary_reduced_capacity',
    'temporary_reduced_capacity',
    'temporary_reduced_capacity',
  ])
})
