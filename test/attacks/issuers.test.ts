import assert from 'node:assert/strict'
import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { after, describe, test } from 'node:test'

import Fastify from 'fastify'
import fc from 'fast-check'

import { systemClock } from '../../src/core/clock.ts'
import type { SecurityEvent } from '../../src/core/events.ts'
import { externalSubject } from '../../src/credentials/ids.ts'
import * as layers from '../../src/layers/index.ts'
import { ask } from '../support/attack.ts'
import { claimsOf, discoveryPath, keysPath, signTexts, signToken, startOwnIssuer } from '../support/own-issuer.ts'

const audience = 'https://films.example.com/api'
const issuer = await startOwnIssuer()
const other = await startOwnIssuer()
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const ed25519 = generateKeyPairSync('ed25519')
const jwk = (key: KeyObject): Record<string, unknown> => ({ ...key.export({ format: 'jwk' }) })
issuer.keys.push(
  { ...jwk(rsa.publicKey), kid: 'rsa' },
  { ...jwk(ed25519.publicKey), kid: 'ed' },
  { kty: 'oct', k: 'c2VjcmV0', kid: 'oct', alg: 'HS256' },
)

const events: SecurityEvent[] = []
const observe = (event: SecurityEvent): void => void events.push(event)
const common = { audience, allowPrivate: true }
const issuers = layers.createExternalIssuers({
  issuers: [
    { ...common, url: issuer.url, roleClaim: 'realm_access.roles', roles: { 'film-editor': 'editor', boss: 'admin' } },
    { ...common, url: other.url, roleClaim: 'scope', roles: { 'films.write': 'editor' } },
  ],
  clock: systemClock,
  observe,
})
const app = Fastify()
await app.register(layers.problems, { observe })
await app.register(layers.clientAddress, { addresses: layers.createClientAddresses({ trustedProxies: [] }) })
await app.register(layers.authentication, { observe, issuers })
await app.register(layers.authorization, { observe, clock: systemClock, publicPermissions: new Set(['films:read'] as const) })
app.get('/', { config: { access: 'public' } }, ({ principal }) => ({ subject: principal?.subject ?? null, role: principal?.role ?? null }))
app.get('/write', { config: { access: 'films:write' } }, () => ({}))
app.get('/fresh', { config: { access: 'authenticated', freshLogin: true } }, () => ({}))
await app.listen({ host: '127.0.0.1', port: 0 })
const server = { port: (app.server.address() as AddressInfo).port }
after(() => Promise.all([app.close(), issuer[Symbol.asyncDispose](), other[Symbol.asyncDispose]()]))

const send = (token: string, target = '/') => ask(server, { target, fields: { Authorization: `Bearer ${token}` } })
const now = Math.floor(Date.now() / 1000)
const claims = (changes: Readonly<Record<string, unknown>> = {}) => claimsOf(issuer, audience, Date.now(), changes)
const token = (changes: Readonly<Record<string, unknown>> = {}, header: Readonly<Record<string, unknown>> = {}): string =>
  signToken(issuer, claims(changes), header)
const editor = { realm_access: { roles: ['film-editor'] } }

/** Refused, never anonymous, and the log says so. */
const assertRefused = async (text: string): Promise<void> => {
  events.length = 0
  const answer = await send(text)
  assert.equal(answer.status, 401, answer.body)
  assert.match(answer.field('www-authenticate') ?? '', /^Bearer realm="filmgate"/)
  assert.deepEqual(
    events.map(({ event }) => event),
    ['authn_login_fail'],
  )
  assert.ok(!JSON.stringify(events).includes(text.slice(-20)), 'the token is in an event')
}

const pem = (key: KeyObject): string => key.export({ type: 'spki', format: 'pem' })
const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
const withMac = (header: object, secret: string | Buffer): string => {
  const input = `${encode({ alg: 'HS256', typ: 'at+jwt', ...header })}.${encode(claims())}`
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
}
const attacker = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const byAttacker = (header: Readonly<Record<string, unknown>>): string => signToken({ pair: attacker }, claims(), header)
const [good, goodRsa] = [
  token(),
  signTexts(JSON.stringify({ alg: 'RS256', typ: 'at+jwt', kid: 'rsa' }), JSON.stringify(claims()), rsa.privateKey),
]
const parts = (text: string): string[] => text.split('.')

const ed = (alg: string) => signTexts(JSON.stringify({ alg, kid: 'ed', typ: 'JWT' }), JSON.stringify(claims()), ed25519.privateKey)
const may = async (text: string): Promise<number> => (await send(text, '/write')).status
const scoped = (scope: string): string => signToken(other, claimsOf(other, audience, Date.now(), { scope }))
const anyMembers = (name: fc.Arbitrary<string>) => fc.dictionary(name, fc.oneof(fc.jsonValue(), fc.integer()), { maxKeys: 3 })

test('tokens as they should be are taken, or all that follows would prove nothing', async () => {
  for (const text of [good, goodRsa, ed('EdDSA'), ed('Ed25519'), token({}, { typ: undefined }), token({}, { typ: 'application/at+jwt' })]) {
    assert.equal((await send(text)).json()['subject'], externalSubject(issuer.url, 'somebody'))
  }
  assert.equal((await send(token({ aud: ['x', audience] }))).status, 200)
  assert.equal((await send(token({ typ: 'Bearer' }, { typ: 'JWT' }))).status, 200)
  assert.deepEqual(issuer.asked, [discoveryPath, keysPath], 'one fetch for all of them')
})

describe('[ASVS 6.8.2] [ASVS 9.1.3] a signature of nobody whom we asked for keys', () => {
  const forged: readonly (readonly [string, string])[] = [
    ['alg none', `${encode({ alg: 'none', typ: 'at+jwt' })}.${encode(claims())}.`],
    ['alg nOnE with a signature', `${encode({ alg: 'nOnE', kid: 'key-1' })}.${encode(claims())}.AAAA`],
    ['alg ES256 and no signature', `${parts(good).slice(0, 2).join('.')}.`],
    ['confusion: the public key in PEM as the secret of HS256', withMac({ kid: 'rsa' }, pem(rsa.publicKey))],
    ['confusion: the public key as JSON as the secret', withMac({ kid: 'key-1' }, JSON.stringify(issuer.keys[0]))],
    ['the symmetric key that the issuer has published', withMac({ kid: 'oct' }, 'secret')],
    ['an empty secret', withMac({}, '')],
    ['a key of the attacker, in the header', byAttacker({ jwk: jwk(attacker.publicKey) })],
    ['a key of the attacker, at an address', byAttacker({ jku: `${other.url}${keysPath}` })],
    ['a certificate of the attacker', byAttacker({ x5u: `${other.url}/cert`, x5c: ['AAAA'] })],
    ['a key id that is a path', byAttacker({ kid: '../../../../dev/null' })],
    ['a key id that is SQL', byAttacker({ kid: "x' union select 'key' --" })],
    ['a key id that is an object', byAttacker({ kid: { toString: 'key-1' } })],
    ['a key id that every object has', byAttacker({ kid: 'constructor' })],
    ['no key id where there are several keys', byAttacker({ kid: undefined })],
    [
      'another algorithm for the key: PS256 for RS256',
      signTexts(JSON.stringify({ alg: 'PS256', kid: 'rsa' }), JSON.stringify(claims()), rsa.privateKey),
    ],
    [
      'the right algorithm, the key of another id',
      signTexts(JSON.stringify({ alg: 'RS256', kid: 'key-1' }), JSON.stringify(claims()), rsa.privateKey),
    ],
    ['another issuer who is known too', signToken(other, claims())],
    ['an extension that must be understood', token({}, { crit: ['exp'], exp: 1 })],
    ['a payload that is not encoded', token({}, { crit: ['b64'], b64: false })],
    ['another payload under a good signature', [parts(good)[0], encode(claims({ sub: 'admin' })), parts(good)[2]].join('.')],
    ['another header over a good signature', [encode({ alg: 'ES256', kid: 'key-1' }), parts(good)[1], parts(good)[2]].join('.')],
    ['another spelling of a good signature', `${good}=`],
    ['a JWE', `${encode({ alg: 'RSA-OAEP', enc: 'A256GCM' })}.a.b.c.d`],
    ['a header that is a list', `${encode([])}.${encode(claims())}.AAAA`],
    ['a payload that is a list', signTexts('{"alg":"ES256","kid":"key-1"}', '[]', issuer.pair.privateKey)],
    [
      'a header with two algorithms',
      signTexts('{"alg":"none","kid":"key-1","alg":"ES256","alg":"none"}', JSON.stringify(claims()), issuer.pair.privateKey),
    ],
  ]
  for (const [name, text] of forged) test(name, () => assertRefused(text))
  test('and nobody was asked because a token said so', () => assert.deepEqual([issuer.asked.length, other.asked.length], [2, 0]))
})

describe('[ASVS 10.3.1] a token for somebody else, or from somebody else', () => {
  const audiences: readonly unknown[] = [
    undefined,
    '',
    'https://other.example.com',
    `${audience}/`,
    audience.toUpperCase(),
    [],
    ['x'],
    [[audience]],
    { 0: audience },
    null,
  ]
  for (const aud of audiences) test(`audience ${JSON.stringify(aud)}`, () => assertRefused(token({ aud })))

  const names: readonly unknown[] = [
    undefined,
    '',
    `${issuer.url}/`,
    `${issuer.url}.evil.example`,
    issuer.url.replace('http:', 'HTTP:'),
    [issuer.url],
    'https://evil.example',
    'constructor',
  ]
  for (const iss of names) test(`issuer ${JSON.stringify(iss)}`, () => assertRefused(token({ iss })))
})

describe('a token that is not an access token', () => {
  const others: readonly (readonly [string, string])[] = [
    ['an ID token, by its nonce', token({ nonce: 'n' }, { typ: 'JWT' })],
    ['an ID token, by at_hash', token({ at_hash: 'x' }, { typ: undefined })],
    ['an ID token, by c_hash', token({ c_hash: 'x' }, { typ: 'JWT' })],
    ['an ID token of Keycloak', token({ typ: 'ID' }, { typ: 'JWT' })],
    ['a refresh token of Keycloak', token({ typ: 'Refresh' }, { typ: 'JWT' })],
    ['a logout token', token({ events: {} }, { typ: 'logout+jwt' })],
    [
      'a logout token that calls itself JWT',
      token({ events: { 'http://schemas.openid.net/event/backchannel-logout': {} } }, { typ: 'JWT' }),
    ],
    ['a DPoP proof', token({}, { typ: 'dpop+jwt' })],
    ['a security event', token({}, { typ: 'secevent+jwt' })],
    ['a type that is a number', token({}, { typ: 1 })],
  ]
  for (const [name, text] of others) test(name, () => assertRefused(text))
})

describe('a token at the wrong time', () => {
  const times: readonly (readonly [string, Readonly<Record<string, unknown>>])[] = [
    ['no exp', { exp: undefined }],
    ['exp a second ago', { exp: now - 1, iat: now - 300 }],
    ['exp as text', { exp: String(now + 300) }],
    ['exp 0', { exp: 0 }],
    ['exp negative', { exp: -now }],
    ['exp null', { exp: null }],
    ['exp in more than a day', { exp: now + 24 * 3600 + 600 }],
    ['no iat', { iat: undefined }],
    ['iat as text', { iat: String(now) }],
    ['iat tomorrow', { iat: now + 3600 * 12, exp: now + 3600 * 13 }],
    ['nbf in an hour', { nbf: now + 3600 }],
    ['nbf as text', { nbf: '0' }],
  ]
  for (const [name, changes] of times) test(name, () => assertRefused(token(changes)))
  for (const [member, number] of [
    ['exp', '1e400'],
    ['iat', '-1e400'],
    ['nbf', '-1e400'],
  ] as const) {
    test(`${member} ${number}`, async () => {
      const text = JSON.stringify(claims({ [member]: 7e99 })).replace('7e+99', number)
      assert.ok(text.includes(number))
      await assertRefused(signTexts('{"alg":"ES256","kid":"key-1"}', text, issuer.pair.privateKey))
    })
  }
})

describe('[ASVS 10.3.3] [ASVS 6.8.1] who somebody is', () => {
  for (const sub of [undefined, '', 7, null, {}, ['somebody'], 'x'.repeat(256)]) {
    test(`nobody: ${JSON.stringify(sub)?.slice(0, 20)}`, () => assertRefused(token({ sub })))
  }
  test('is its issuer and its subject together: the same name at another issuer is somebody else', async () => {
    const [here, there] = [await send(good), await send(signToken(other, claimsOf(other, audience, Date.now())))]
    const subjects = [here, there].map((answer) => String(answer.json()['subject']))
    assert.deepEqual(subjects, [externalSubject(issuer.url, 'somebody'), externalSubject(other.url, 'somebody')])
    assert.notEqual(subjects[0], subjects[1])
  })
  test('is nobody whose username, e-mail address or account id the token has', async () => {
    const same = { email: 'admin@example.com', email_verified: true, preferred_username: 'admin', username: 'admin', name: 'admin' }
    for (const sub of ['admin', 'starter', 'operator', externalSubject(issuer.url, 'somebody')]) {
      assert.equal((await send(token({ ...same, sub }))).json()['subject'], externalSubject(issuer.url, sub))
    }
  })
})

describe('[ASVS 10.3.2] what somebody may do', () => {
  const roles: readonly (readonly [unknown, string | null])[] = [
    [{ realm_access: { roles: ['film-editor'] } }, 'editor'],
    [{ realm_access: { roles: ['film-editor', 'x', 'boss'] } }, 'admin'],
    [{ realm_access: { roles: 'boss' } }, 'admin'],
    [{ realm_access: { roles: 'film-editor boss' } }, null],
    [{ realm_access: { roles: ['admin', 'editor', 'Boss', 'constructor', '__proto__', 'toString'] } }, null],
    [{ realm_access: { roles: [['boss'], { boss: true }, 7, null] } }, null],
    [{ realm_access: { roles: { boss: true } } }, null],
    [{ realm_access: ['boss'] }, null],
    [{ 'realm_access.roles': ['boss'] }, null],
    [{ roles: ['boss'], role: 'admin', permissions: ['films:write'], groups: ['boss'] }, null],
    [{ realm_access: null }, null],
    [{}, null],
  ]
  for (const [changes, role] of roles) {
    test(`${JSON.stringify(changes)}: ${role ?? 'known, and no more than everybody'}`, async () => {
      const text = token(changes as Readonly<Record<string, unknown>>)
      assert.equal((await send(text)).json()['role'], role)
      assert.equal(await may(text), role === null ? 403 : 200)
    })
  }
  test('a scope that was taken away is missed: 403 with insufficient_scope', async () => {
    assert.equal(await may(scoped('openid films.write')), 200)
    for (const scope of ['openid', '', 'films.write.all', 'films.writefilms.write', 'FILMS.WRITE'])
      assert.equal(await may(scoped(scope)), 403, scope)
    assert.match((await send(scoped('openid'), '/write')).field('www-authenticate') ?? '', /error="insufficient_scope"/)
  })
})

describe('[ASVS 6.8.4] [ASVS 10.3.4] where a fresh login is asked for', () => {
  const cases: readonly (readonly [string, unknown, number])[] = [
    ['a minute ago', now - 60, 200],
    ['an hour ago', now - 3600, 401],
    ['by a clock that is 15 s ahead', now + 15, 200],
    ['by a clock that is 90 s ahead', now + 90, 401],
    ['in the future', now + 3600, 401],
    ['as text', String(now - 60), 401],
    ['negative', -1, 401],
    ['not said', undefined, 401],
  ]
  for (const [name, authTime, status] of cases) {
    test(`auth_time ${name}: ${status}`, async () =>
      assert.equal((await send(token({ ...editor, auth_time: authTime }), '/fresh')).status, status))
  }
})

test('whatever is in a token that the issuer signed, it is a principal or a refusal', async () => {
  const member = fc.constantFrom('aud', 'sub', 'exp', 'iat', 'nbf', 'auth_time', 'realm_access', 'typ', 'nonce', '__proto__')
  const header = fc.constantFrom('alg', 'typ', 'kid', 'crit', 'b64', 'jwk', 'cty', 'zip', 'x5c')
  await fc.assert(
    fc.asyncProperty(anyMembers(member), anyMembers(header), async (payload, fields) => {
      const found = await issuers.verify(token(payload, fields))
      if (found === undefined) return
      assert.match(found.principal.subject, /^x[a-z2-7]{24}$/)
      assert.ok(Number.isFinite(found.expiresAt) && found.expiresAt > Date.now())
    }),
    { numRuns: 500 },
  )
})
