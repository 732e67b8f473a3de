import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'

import { createApiKey, formatApiKey } from '../../src/credentials/api-key.ts'
import { assertAccepted, assertRefused, present } from '../support/token-attacks.ts'
import { decode, encode } from '../support/token-forge.ts'
import { openTokenScene } from '../support/token-scene.ts'

const { listener, person, forge, token, close } = await openTokenScene()
after(close)
// It is remembered: another spelling of it must not find it.
before(() => assertAccepted(listener, token, person.subject))

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const malformed = (text: string) => assertRefused(listener, `Bearer ${text}`, { reason: 'malformed' })

/** The same bytes in all other spellings that lenient decoders take for them: other bits behind the last byte. */
const looseEnds = (segment: string): string[] => {
  const spare = { 0: 0, 1: 0, 2: 4, 3: 2 }[segment.length % 4] ?? 0
  const last = alphabet.indexOf(segment.at(-1) ?? '')
  return Array.from({ length: 2 ** spare - 1 }, (_, i) => segment.slice(0, -1) + alphabet[last ^ (i + 1)])
}

describe('a good token in another spelling (jose takes some of these)', () => {
  test('other bits behind the last byte of a segment', async () => {
    let tried = 0
    for (const part of [0, 1, 2] as const) {
      const segments = token.split('.')
      for (const other of looseEnds(segments[part] ?? '')) {
        const changed = segments.with(part, other).join('.')
        assert.deepEqual(Buffer.from(other, 'base64url'), Buffer.from(segments[part] ?? '', 'base64url'), 'the same bytes')
        await malformed(changed)
        tried++
      }
    }
    assert.ok(tried >= 15, 'a signature of 64 bytes alone has 15')
  })

  const variants: Readonly<Record<string, (good: string) => string>> = {
    'padding at the end': (good) => `${good}=`,
    'two of it': (good) => `${good}==`,
    'padding behind each segment': (good) => `${good.split('.').join('=.')}=`,
    'a dot behind': (good) => `${good}.`,
    'a dot before': (good) => `.${good}`,
    'two dots': (good) => good.replace('.', '..'),
    'a fourth segment': (good) => `${good}.AAAA`,
    'a blank in the middle': (good) => `${good.slice(0, 60)} ${good.slice(60)}`,
    'a tab in the middle': (good) => `${good.slice(0, 60)}\t${good.slice(60)}`,
    'a letter in percent encoding': (good) => good.replace('e', '%65'),
    'a plus of the other alphabet': (good) =>
      good
        .replace(/[-]/, '+')
        .replace(/_/, '/')
        .concat(/[-_]/.test(good) ? '' : '+'),
    quotes: (good) => `"${good}"`,
    'a comma behind': (good) => `${good},`,
    'the token twice': (good) => `${good},${good}`,
    'Latin letters beyond ASCII': (good) => `${good}é`,
    'a letter too many': (good) => `${good}A`,
    'two letters too many': (good) => `${good}AA`,
    'four letters too many': (good) => `${good}AAAA`,
    'a letter too few': (good) => good.slice(0, -1),
    'the header alone': (good) => good.split('.')[0] ?? '',
    'two segments': (good) => good.split('.').slice(0, 2).join('.'),
    'upper case': (good) => good.toUpperCase(),
  }
  for (const [name, change] of Object.entries(variants)) test(name, () => malformed(change(token)))

  test('white space around the field is the protocol’s and not the token’s', async () => {
    assert.equal((await present(listener, `  Bearer ${token}  `)).status, 200)
  })
})

describe('what is too long', () => {
  test('5 kB of a good signature', async () => {
    const claims = { ...decode(token, 1), more: 'x'.repeat(3200) }
    const long = forge.sign({ alg: 'ES256', typ: 'at+jwt', kid: forge.kid }, claims)
    assert.ok(long.length > 4096 && long.length < 6000)
    await malformed(long)
    const shorter = forge.sign({ alg: 'ES256', typ: 'at+jwt', kid: forge.kid }, { ...claims, more: 'x'.repeat(2400) })
    assert.ok(shorter.length > 3500 && shorter.length <= 4096, 'the control')
    await assertAccepted(listener, shorter, person.subject)
  })
  test('5 kB of letters, of dots, of deep JSON', async () => {
    await malformed('A'.repeat(5000))
    await malformed('.'.repeat(5000))
    await malformed(`${encode('['.repeat(2000))}.${encode('['.repeat(1500))}.AAAA`)
    await malformed(`${encode(`${'{"a":'.repeat(300)}1${'}'.repeat(300)}`)}.${encode('{}')}.AAAA`)
  })
})

describe('what is no JWS in compact form', () => {
  test('JWE: five segments, whatever is said in the first', async () => {
    const encrypted = [{ alg: 'dir', enc: 'A256GCM' }, '', 'iv', 'text', 'tag'].map((part) => encode(part))
    await malformed(encrypted.join('.'))
    await malformed([encode({ alg: 'ES256', typ: 'at+jwt', kid: forge.kid }), 'AAAA', 'AAAA', 'AAAA', 'AAAA'].join('.'))
    await malformed(`${token}.AAAA.AAAA`)
  })
  test('JWS in JSON, flattened and general', async () => {
    const [header, payload, signature] = token.split('.')
    await malformed(JSON.stringify({ protected: header, payload, signature }))
    await malformed(JSON.stringify({ payload, signatures: [{ protected: header, signature }] }))
    await malformed(encode({ protected: header, payload, signature }))
  })
  test('detached: the claims left out', () => malformed(token.replace(/\.[^.]+\./, '..')))
  test('an API key of nobody, a UUID, random letters, words', async () => {
    await assertRefused(listener, `Bearer ${formatApiKey(createApiKey())}`, { reason: 'speaks for nobody' })
    for (const text of [
      '00000000-0000-4000-8000-000000000000',
      randomBytes(32).toString('hex'),
      'undefined',
      'null',
      '[object Object]',
      '*',
    ])
      await malformed(text)
  })
})

describe('[ASVS 7.2.1] other schemes, and Bearer said in another way', () => {
  const plain = { reason: 'malformed', challenge: 'Bearer realm="filmgate"' }
  const schemes: Readonly<Record<string, (good: string) => string>> = {
    Basic: (good) => `Basic ${Buffer.from(`mary:${good}`).toString('base64')}`,
    'the token under Basic': (good) => `Basic ${good}`,
    DPoP: (good) => `DPoP ${good}`,
    Token: (good) => `Token ${good}`,
    JWT: (good) => `JWT ${good}`,
    Digest: () => 'Digest username="mary"',
    'no scheme': (good) => good,
    'the scheme alone': () => 'Bearer',
    'two blanks': (good) => `Bearer  ${good}`,
    'a tab': (good) => `Bearer\t${good}`,
    'a colon': (good) => `Bearer: ${good}`,
    'an equals sign': (good) => `Bearer=${good}`,
    'a scheme that begins so': (good) => `BearerX ${good}`,
    'a scheme that ends so': (good) => `XBearer ${good}`,
    'a comma before': (good) => `, Bearer ${good}`,
    'Negotiate before': (good) => `Negotiate x, Bearer ${good}`,
    'letters that only look like it': (good) => `Вearer ${good}`,
    'a nothing': () => '',
  }
  for (const [name, spell] of Object.entries(schemes)) test(name, () => assertRefused(listener, spell(token), plain))
  for (const scheme of ['bearer', 'BEARER', 'bEARER'])
    test(`the control: ${scheme}`, async () => assert.equal((await present(listener, `${scheme} ${token}`)).status, 200))

  test('two fields, a good one first or last, or both the same', async () => {
    for (const two of [
      [`Bearer ${token}`, 'Bearer x'],
      ['Bearer x', `Bearer ${token}`],
      [`Bearer ${token}`, `Bearer ${token}`],
      [`Bearer ${token}`, ''],
    ])
      await assertRefused(listener, two, plain)
  })
})
