import { createHmac, createPrivateKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { after, describe, test } from 'node:test'

import { withLowS } from '../../src/credentials/low-s.ts'
import { assertAccepted, assertRefused } from '../support/token-attacks.ts'
import { encode, type Segment } from '../support/token-forge.ts'
import { openTokenScene } from '../support/token-scene.ts'

const { listener, person, forge, claims, close } = await openTokenScene()
after(close)

const good = () => ({ alg: 'ES256', typ: 'at+jwt', kid: forge.kid })
const refused = (token: string, reason = 'malformed') => assertRefused(listener, `Bearer ${token}`, { reason })

test('the forge makes good tokens: what it is refused for below is what was changed', async () => {
  await assertAccepted(listener, await person.token(), person.subject)
  await assertAccepted(listener, forge.sign(good(), claims), person.subject)
})

describe('[ASVS 9.1.2] alg none', () => {
  for (const alg of [
    'none',
    'None',
    'nOnE',
    'NONE',
    'none ',
    ' none',
    'none\0',
    'ɴᴏɴᴇ',
    '',
    null,
    0,
    false,
    [],
    ['none'],
    { alg: 'none' },
  ]) {
    test(JSON.stringify(alg), async () => {
      const header = { ...good(), alg }
      const body = `${encode(header)}.${encode(claims)}`
      await refused(`${body}.`)
      await refused(body)
      await refused(`${body}.AA`)
      await refused(forge.sign(header, claims))
    })
  }

  test('no alg at all', async () => {
    const { kid, typ } = good()
    await refused(forge.sign({ typ, kid }, claims))
  })

  test('ES256 that says so, and no signature', async () => {
    const body = `${encode(good())}.${encode(claims)}`
    await refused(body)
    await refused(`${body}.`)
  })
})

const hmac = (alg: 'HS256' | 'HS384' | 'HS512', key: Buffer | string): string => {
  const body = `${encode({ ...good(), alg })}.${encode(claims)}`
  const mac = createHmac(alg.replace('HS', 'sha'), key).update(body)
  return `${body}.${mac.digest('base64url')}`
}

describe('[ASVS 9.1.2] the public key as a secret for HMAC (CVE-2023-48223, CVE-2026-34950)', () => {
  const spellings: Readonly<Record<string, (key: KeyObject) => Buffer | string>> = {
    PEM: (key) => key.export({ type: 'spki', format: 'pem' }),
    'PEM without its last newline': (key) => key.export({ type: 'spki', format: 'pem' }).trim(),
    DER: (key) => key.export({ type: 'spki', format: 'der' }),
    JWK: (key) => JSON.stringify(key.export({ format: 'jwk' })),
    'JWK as it is published': () =>
      JSON.stringify({ ...forge.publicKey.export({ format: 'jwk' }), kid: forge.kid, use: 'sig', alg: 'ES256' }),
    'the raw point': (key) => {
      const { x = '', y = '' } = key.export({ format: 'jwk' })
      return Buffer.concat([Buffer.from([4]), Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')])
    },
    'its id': () => forge.kid,
    'a blank key': () => '',
    'a zero byte': () => Buffer.alloc(1),
  }
  for (const [name, spell] of Object.entries(spellings)) {
    test(name, async () => {
      for (const alg of ['HS256', 'HS384', 'HS512'] as const) await refused(hmac(alg, spell(forge.publicKey)))
    })
  }
})

describe('[ASVS 9.1.2] another algorithm under the id of our key', () => {
  const others: Readonly<Record<string, { key: () => KeyObject; hash: string | null }>> = {
    ES384: { key: () => generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey, hash: 'sha384' },
    ES512: { key: () => generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey, hash: 'sha512' },
    ES256K: { key: () => generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey, hash: 'sha256' },
    RS256: { key: () => generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey, hash: 'sha256' },
    PS256: { key: () => generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey, hash: 'sha256' },
    EdDSA: { key: () => generateKeyPairSync('ed25519').privateKey, hash: null },
    Ed25519: { key: () => generateKeyPairSync('ed25519').privateKey, hash: null },
  }
  for (const [alg, { key, hash }] of Object.entries(others)) {
    test(alg, async () => {
      const body = `${encode({ ...good(), alg })}.${encode(claims)}`
      const signature = sign(hash, Buffer.from(body), { key: key(), dsaEncoding: 'ieee-p1363' })
      await refused(`${body}.${signature.toString('base64url')}`)
      await refused(forge.sign({ ...good(), alg }, claims))
    })
  }
  for (const alg of ['es256', 'ES256 ', 'ES-256', 'ECDSA', 'ES256\0'])
    test(`a spelling of ES256: ${JSON.stringify(alg)}`, () => refused(forge.sign({ ...good(), alg }, claims)))
})

describe('[ASVS 9.1.3] keys are ours alone: whatever is sent with the token', () => {
  const own = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const jwk = own.publicKey.export({ format: 'jwk' })
  const signedByOwn = (header: Segment): string => {
    const body = `${encode(header)}.${encode(claims)}`
    return `${body}.${sign('sha256', Buffer.from(body), { key: own.privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
  }
  const extras: Readonly<Record<string, object>> = {
    'jwk (CVE-2018-0114)': { jwk },
    jku: { jku: 'https://attacker.example/jwks.json' },
    'jku to this server': { jku: 'http://127.0.0.1/.well-known/jwks.json' },
    'jku to a file': { jku: 'file:///etc/passwd' },
    x5u: { x5u: 'https://attacker.example/cert.pem' },
    x5c: { x5c: ['MIIB'] },
    x5t: { x5t: 'AAAA' },
    'x5t#S256': { 'x5t#S256': 'AAAA' },
    crit: { crit: ['exp'], exp: 1 },
    'an empty crit': { crit: [] },
    'b64 false': { b64: false, crit: ['b64'] },
    'b64 true': { b64: true },
    cty: { cty: 'JWT' },
    zip: { zip: 'DEF' },
    'a second alg in another case': { Alg: 'none' },
    'a member that nobody knows': { x: 1 },
  }
  for (const [name, extra] of Object.entries(extras)) {
    test(name, async () => {
      await refused(signedByOwn({ ...good(), ...extra }))
      // Even where we signed it ourselves.
      await refused(forge.sign({ ...good(), ...extra }, claims))
    })
  }

  test('jwk in place of the key id', () => refused(signedByOwn({ alg: 'ES256', typ: 'at+jwt', jwk })))
  test('a key of somebody else under the id of ours', () => refused(withLowS(signedByOwn(good())), 'wrong signature'))
})

describe('[ASVS 9.1.3] what is said in kid', () => {
  const ids: Readonly<Record<string, unknown>> = {
    'the way to a file': '../../../../../../dev/null',
    'the way to a file of 43 letters': '../../../../../../../../../../../etc/passwd',
    'an absolute path': '/dev/null',
    SQL: "x' union select 'kid','AAAA' --",
    'SQL that is always true': "' or '1'='1",
    'a command': '`id`',
    'a NUL byte behind ours': 'ours\0',
    'a NUL byte': '\0',
    'a URL': 'https://attacker.example/key',
    'a name of every object': '__proto__',
    'another name of every object': 'constructor',
    nothing: '',
    null: null,
    'a number': 0,
    true: true,
    'an array of ours': ['ours'],
    'an array': [],
    'an object': { toString: 'ours' },
    'with blanks': 'ours ',
  }
  const put = (value: unknown): unknown =>
    typeof value === 'string' ? value.replace('ours', forge.kid) : Array.isArray(value) ? value.map(put) : value
  for (const [name, kid] of Object.entries(ids)) {
    test(name, () => refused(forge.sign({ alg: 'ES256', typ: 'at+jwt', kid: put(kid) }, claims)))
  }

  test('left out', () => refused(forge.sign({ alg: 'ES256', typ: 'at+jwt' }, claims)))
  test('as a __proto__ of its own', () => refused(forge.sign(`{"alg":"ES256","typ":"at+jwt","__proto__":{"kid":"${forge.kid}"}}`, claims)))
  test('an id in our form that is none', () => refused(forge.sign({ ...good(), kid: 'A'.repeat(43) }, claims), 'unknown signing key'))
  test('in upper case', () => refused(forge.sign({ ...good(), kid: forge.kid.toUpperCase() }, claims), 'unknown signing key'))
})

describe('[ASVS 9.2.2] another type of token', () => {
  for (const typ of [
    'JWT',
    'jwt',
    'id_token',
    'at+JWT',
    'AT+JWT',
    'application/at+jwt',
    'logout+jwt',
    'dpop+jwt',
    'rt+jwt',
    '',
    null,
    ['at+jwt'],
    1,
  ])
    test(JSON.stringify(typ), () => refused(forge.sign({ ...good(), typ }, claims)))
  test('no type', () => refused(forge.sign({ alg: 'ES256', kid: forge.kid }, claims)))
})

describe('a header in another spelling', () => {
  const spellings: Readonly<Record<string, () => string>> = {
    'alg twice, ours last': () => `{"alg":"none","typ":"at+jwt","kid":"${forge.kid}","alg":"ES256"}`,
    'alg twice, ours first': () => `{"alg":"ES256","typ":"at+jwt","kid":"${forge.kid}","alg":"none"}`,
    'kid twice': () => `{"alg":"ES256","typ":"at+jwt","kid":"x","kid":"${forge.kid}"}`,
    'blanks between': () => JSON.stringify(good(), null, 1),
    'a blank before': () => ` ${JSON.stringify(good())}`,
    'a newline behind': () => `${JSON.stringify(good())}\n`,
    'an escape for nothing': () => JSON.stringify(good()).replace('ES256', String.raw`ES25\u0036`),
    'an escape in a name': () => JSON.stringify(good()).replace('alg', String.raw`\u0061lg`),
    'a byte order mark': () => `\uFEFF${JSON.stringify(good())}`,
    'a comma too many': () => JSON.stringify(good()).replace('}', ',}'),
    'a comment': () => `${JSON.stringify(good())}//`,
    'an array': () => JSON.stringify([good()]),
    'a text': () => JSON.stringify(JSON.stringify(good())),
    null: () => 'null',
    nothing: () => '{}',
    'no JSON': () => 'alg=ES256',
  }
  for (const [name, spell] of Object.entries(spellings)) test(name, () => refused(forge.sign(spell(), claims)))

  test('bytes that are no UTF-8', () => {
    const body = Buffer.concat([Buffer.from(JSON.stringify(good()).slice(0, -1)), Buffer.from([0xc0, 0x80]), Buffer.from('}')])
    const input = `${body.toString('base64url')}.${encode(claims)}`
    const key = createPrivateKey(forge.privateKey.export({ type: 'pkcs8', format: 'pem' }))
    return refused(withLowS(`${input}.${sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`))
  })
})
