import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'

import { createOpaqueToken } from '../../src/credentials/opaque-token.ts'
import { assertAccepted, assertRefused, present } from '../support/token-attacks.ts'
import { decode, encode, type Segment } from '../support/token-forge.ts'
import { audience, issuer } from '../support/token-listener.ts'
import { openTokenScene } from '../support/token-scene.ts'

const { listener, person, forge, claims, close } = await openTokenScene()
after(close)

const signed = (body: Segment): string => forge.sign({ alg: 'ES256', typ: 'at+jwt', kid: forge.kid }, body)
const refused = (body: Segment, reason = 'wrong claims') => assertRefused(listener, `Bearer ${signed(body)}`, { reason })
const without = (name: string) => Object.fromEntries(Object.entries(claims).filter(([known]) => known !== name))
/** The claims as text, where one of them cannot be said by `JSON.stringify`. */
const spelled = (name: string, value: string): string => JSON.stringify({ ...claims, [name]: '\0' }).replace('"\\u0000"', value)

const now = () => Math.floor(listener.clock.epochMs() / 1000)

test('the forge makes good tokens: what it is refused for below is what was changed', () =>
  assertAccepted(listener, signed(claims), person.subject))

test('[ASVS 9.2.1] [ASVS 9.2.3] every claim is required', async () => {
  for (const name of ['iss', 'aud', 'sub', 'iat', 'nbf', 'exp', 'jti', 'sid', 'epoch', 'auth_time', 'amr', 'role']) {
    assert.ok(name in claims, name)
    // Without a claim that says who issued it, it is nobody's.
    await refused(without(name), name === 'iss' ? 'malformed' : 'wrong claims')
  }
})

describe('[ASVS 9.2.1] times that are no times (Hono a5bd9ebe)', () => {
  for (const name of ['exp', 'iat', 'nbf', 'auth_time', 'epoch']) {
    test(name, async () => {
      const value = claims[name]
      for (const wrong of [
        String(value),
        '',
        null,
        true,
        [value],
        { valueOf: value },
        -1,
        -5e-324,
        0.5,
        2 ** 53,
        1.5e300,
        Number(value) + 0.5,
      ])
        await refused({ ...claims, [name]: wrong })
      // Spellings of JSON that give infinity, or the same number once more in other letters.
      for (const wrong of ['1e400', '-1e400', '1e309', `${String(value)}.0`, `${String(value)}e0`, '1e1', '-0', '1E5', `0${String(value)}`])
        await refused(spelled(name, wrong), /^0\d/.test(wrong) ? 'malformed' : 'wrong claims')
    })
  }
})

describe('[ASVS 9.2.1] times that are not now', () => {
  test('expired: this second, a minute ago, in 1970', async () => {
    for (const exp of [now(), now() - 60, 1]) await refused({ ...claims, iat: exp - 300 < 0 ? 0 : exp - 300, nbf: 0, exp }, 'expired')
  })
  test('exp before iat', () => refused({ ...claims, iat: now() + 4, exp: now() + 3 }))
  test('good for longer than an hour', async () => {
    await refused({ ...claims, exp: now() + 3601 })
    await refused({ ...claims, exp: 4_000_000_000 })
    await refused({ ...claims, exp: Number.MAX_SAFE_INTEGER })
    await refused({ ...claims, iat: 0, exp: now() + 60 })
  })
  test('made or good only later than clocks can differ', async () => {
    await refused({ ...claims, nbf: now() + 6 }, 'not valid yet')
    await refused({ ...claims, iat: now() + 6 }, 'not valid yet')
  })
  test('by so much clocks may differ', async () => {
    await assertAccepted(listener, signed({ ...claims, nbf: now() + 5, iat: now() + 5 }), person.subject)
  })
})

describe('[ASVS 9.2.3] for somebody else', () => {
  const others: readonly unknown[] = [
    'urn:filmgate:other',
    '',
    `${audience} `,
    audience.toUpperCase(),
    `${audience}/`,
    issuer,
    null,
    0,
    true,
    [audience],
    [],
    [audience, 'urn:filmgate:other'],
    { 0: audience },
    '*',
  ]
  for (const aud of others) test(`aud ${JSON.stringify(aud)}`, () => refused({ ...claims, aud }))
})

describe('[ASVS 9.1.3] of somebody else', () => {
  for (const iss of ['https://attacker.example', '', `${issuer} `, issuer.toUpperCase(), `${issuer}#`])
    test(`iss ${JSON.stringify(iss)}`, () => refused({ ...claims, iss }, 'unknown issuer'))
  for (const iss of [null, 0, [issuer], { iss: issuer }, true])
    test(`iss ${JSON.stringify(iss)}`, () => refused({ ...claims, iss }, 'malformed'))
})

test('names that are no names', async () => {
  for (const name of ['sub', 'jti', 'sid'])
    for (const wrong of ['', null, 0, [claims[name]], {}]) await refused({ ...claims, [name]: wrong })
  for (const amr of ['pwd', null, [1], [''], { 0: 'pwd' }]) await refused({ ...claims, amr })
  for (const role of ['root', 'Admin', '', null, ['admin'], '__proto__', 'constructor', 'toString']) await refused({ ...claims, role })
})

describe('claims in another spelling: two readers would take them for two things', () => {
  const doubles: Readonly<Record<string, () => string>> = {
    'sub twice': () => JSON.stringify(claims).replace('{', '{"sub":"somebody",'),
    'exp twice': () => JSON.stringify(claims).replace('{', '{"exp":4000000000,'),
    'role twice, the lower one last': () => JSON.stringify({ ...claims, role: 'viewer' }).replace('{', '{"role":"admin",'),
    'blanks between': () => JSON.stringify(claims, null, 1),
    'an escape for nothing': () =>
      JSON.stringify(claims)
        .replace('"mary"', String.raw`"\u006dary"`)
        .replace('"pwd"', String.raw`"\u0070wd"`),
    'a byte order mark': () => `\uFEFF${JSON.stringify(claims)}`,
    'an array of claims': () => JSON.stringify([claims]),
    'no JSON': () => 'sub=admin',
    nothing: () => '{}',
    null: () => 'null',
  }
  for (const [name, spell] of Object.entries(doubles)) {
    test(name, async () => {
      const answer = await present(listener, `Bearer ${signed(spell())}`)
      assert.equal(answer.status, 401)
    })
  }

  test('a claim that we do not know says nothing', async () => {
    await assertAccepted(listener, signed({ ...claims, admin: true, scope: 'everything', permissions: ['users:write'] }), person.subject)
    await refused(spelled('x', '1').replace('"x":1', '"__proto__":{"sub":"somebody"},"sub":"x"'))
  })
})

test('[ASVS 8.3.1] what a token says of its role is for others: here the account has the one that it has', async () => {
  const viewer = await listener.addPerson('vera', 'viewer')
  const own = decode(await viewer.token(), 1)
  const answer = await present(listener, `Bearer ${signed({ ...own, role: 'admin' })}`)
  assert.deepEqual([answer.status, answer.json()['role']], [200, 'viewer'])
})

describe('whose session it is', () => {
  test('the session of somebody else', async () => {
    const other = await listener.addPerson('eve')
    await refused({ ...claims, sub: other.subject }, 'speaks for nobody')
    await refused({ ...claims, sid: other.sid }, 'speaks for nobody')
  })
  test('a session that there is not', () => refused({ ...claims, sid: 'A'.repeat(22) }, 'speaks for nobody'))
  test('an epoch that is not that of the account', async () => {
    await refused({ ...claims, epoch: 1 }, 'speaks for nobody')
  })
  test('SQL in the names', async () => {
    for (const sql of ["' or '1'='1", `${String(claims['sid'])}' --`, '\0', '%', '*']) {
      await refused({ ...claims, sid: sql }, 'speaks for nobody')
      await refused({ ...claims, sub: sql }, 'speaks for nobody')
    }
  })
})

describe('[ASVS 9.2.2] tokens that are for something else', () => {
  for (const kind of ['fgr', 'fgm'] as const)
    test(kind, () => assertRefused(listener, `Bearer ${createOpaqueToken(kind).token}`, { reason: 'malformed' }))
  test('an ID token: what OpenID Connect says of a login, signed by us', async () => {
    const { iss, sub, exp, iat, auth_time } = claims
    const idToken = { iss, sub, aud: 'client', exp, iat, auth_time, nonce: 'n', at_hash: 'x' }
    await assertRefused(listener, `Bearer ${forge.sign({ alg: 'ES256', typ: 'JWT', kid: forge.kid }, idToken)}`, { reason: 'malformed' })
    await refused(idToken)
  })
  test('a key set, a problem document, anything else that we could have signed', async () => {
    await refused({ iss: issuer, keys: [] })
    await assertRefused(listener, `Bearer ${encode({})}`, { reason: 'malformed' })
  })
})
