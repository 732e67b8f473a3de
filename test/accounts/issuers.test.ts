import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'

import type { SecurityEvent } from '../../src/core/events.ts'
import { externalSubject } from '../../src/credentials/ids.ts'
import { createExternalIssuers } from '../../src/layers/index.ts'
import { addUser, bearer, claimAdmin, send } from '../support/accounts.ts'
import { ask, assertLogged, assertProblem, assertQuietLog } from '../support/attack.ts'
import { audience, startIdentityProvider } from '../support/identity-provider.ts'
import { createManualClock } from '../support/manual-clock.ts'
import { claimsOf, signToken, startOwnIssuer } from '../support/own-issuer.ts'
import { type LogRecord, raisedLimits, startServer } from '../support/server.ts'

const provider = await startIdentityProvider(['alice', 'bob', 'ada'])
const down = await startOwnIssuer()
await down[Symbol.asyncDispose]()
const entry = (url: string): string => `
[[auth.issuers]]
url = "${url}"
audience = "${audience}"
role_claim = "realm_access.roles"
roles = { "film-editor" = "editor", "film-admin" = "admin" }
allow_private = true
`
const server = await startServer({ toml: raisedLimits + entry(provider.issuer) + entry(down.url) })
after(async () => {
  await server[Symbol.asyncDispose]()
  await provider[Symbol.asyncDispose]()
})
const admin = await claimAdmin(server)
const tokenOf = (name: string, role?: string, more: object = {}): Promise<string> =>
  provider.token(name, { ...(role === undefined ? {} : { realm_access: { roles: [role] } }), ...more })
const addFilm = (token: string, name: string) => send(server, 'POST', '/add_film', { name, studio: 'Disney' }, { fields: bearer(token) })

/** Of the provider that does not answer. */
const isOutage = ({ event, verdict }: LogRecord): boolean => event === 'sys_store_failure' || verdict === 'store_unavailable'

describe('a server with an identity provider', () => {
  test('asks nobody for anything before the first token comes, and starts where a provider is down', () =>
    assert.deepEqual(provider.asked(), []))

  test('[ASVS 10.3.2] [ASVS 10.3.3] a token of the provider is somebody with the rights of the mapped role, and in the log', async () => {
    const added = await addFilm(await tokenOf('alice', 'film-editor'), 'The Bird of Alice')
    assert.equal(added.status, 201, added.body)
    const record = await assertLogged(server, added, 'ok')
    assert.equal(record['principal'], externalSubject(provider.issuer, 'alice'))
    assertProblem(await addFilm(await tokenOf('bob'), 'The Bird of Bob'), { status: 403, code: 'forbidden' })
    assertProblem(await addFilm(await tokenOf('bob', 'admin'), 'The Bird of Bob'), { status: 403, code: 'forbidden' })
    assert.deepEqual(provider.asked(), ['/.well-known/openid-configuration', '/jwks'])
  })

  test('[ASVS 10.3.1] a token of the same provider for another API is refused', async () => {
    const token = await provider.token('alice', { realm_access: { roles: ['film-admin'] } }, 'https://other.example.com/api')
    const answer = await addFilm(token, 'Another')
    assertProblem(answer, { status: 401, code: 'unauthenticated' })
    await assertLogged(server, answer, 'unauthenticated')
  })

  test('[ASVS 6.8.1] [ASVS 10.3.3] somebody of that username at the provider is not the account of that name', async () => {
    const claims = { preferred_username: admin.username, email: 'ada@example.com', username: admin.username }
    const token = await tokenOf(admin.username, undefined, claims)
    assertProblem(await ask(server, { target: '/v1/users', fields: bearer(token) }), { status: 403, code: 'forbidden' })
    assert.equal((await ask(server, { target: '/v1/users', fields: admin.fields })).status, 200)
  })

  test('a provider that does not answer: try again in thirty seconds, never a refusal and never anonymous; everybody else goes on', async () => {
    const token = signToken(down, claimsOf(down, audience, Date.now()))
    const answer = await ask(server, { target: '/', fields: bearer(token) })
    assertProblem(answer, { status: 503, code: 'store_unavailable' })
    assert.ok(Number(answer.field('retry-after')) >= 1 && Number(answer.field('retry-after')) <= 30)
    assert.equal(answer.field('vary'), 'Authorization')
    const failure = await server.logged(({ event }) => event === 'sys_store_failure')
    assert.equal(failure['store'], `issuer ${down.url}`)
    for (const fields of [{}, admin.fields, bearer(await tokenOf('alice'))])
      assert.equal((await ask(server, { target: '/', fields })).status, 200)
  })

  test('[ASVS 7.6.2] what only an account has, somebody of a provider has not: each such call is refused, and none goes wrong', async () => {
    const token = await tokenOf('alice', 'film-admin', { auth_time: Math.floor(Date.now() / 1000) - 10 })
    const fields = bearer(token)
    const calls: readonly (readonly [string, string, unknown?])[] = [
      ['GET', '/v1/me'],
      ['PATCH', '/v1/me', { username: 'alice' }],
      ['DELETE', '/v1/me'],
      ['PUT', '/v1/me/password', { password: 'nine kestrels over the marsh', current_password: 'x' }],
      ['GET', '/v1/me/totp'],
      ['POST', '/v1/me/totp', {}],
      ['DELETE', '/v1/me/totp'],
      ['GET', '/v1/me/passkeys'],
      ['POST', '/v1/me/passkeys/options', {}],
      ['GET', '/v1/keys'],
      ['POST', '/v1/keys', { name: 'mine', scopes: ['films:write'], expires_at: null }],
      ['GET', '/v1/auth/sessions'],
    ]
    for (const [method, target, body] of calls) {
      const answer =
        body === undefined ? await ask(server, { method, target, fields }) : await send(server, method, target, body, { fields })
      assertProblem(answer, { status: 403, code: 'forbidden' })
    }
  })

  test('[ASVS 6.8.4] [ASVS 10.3.4] an admin of the provider changes a role only after a fresh login there, and the audit trail names who it was', async () => {
    const user = await addUser(server, admin, 'viewer', 'grace')
    const change = async (more: object) => {
      const fields = bearer(await tokenOf('alice', 'film-admin', more))
      return send(server, 'PATCH', `/v1/users/${user.subject}`, { role: 'editor' }, { fields })
    }
    const now = Math.floor(Date.now() / 1000)
    for (const more of [{}, { auth_time: now - 3600 }, { auth_time: now + 3600 }]) assert.equal((await change(more)).status, 401)
    const changed = await change({ auth_time: now - 10 })
    assert.equal(changed.status, 200, changed.body)
    const trail = await ask(server, { target: '/v1/audit', fields: admin.fields })
    assert.match(trail.body, new RegExp(`"actor":"${externalSubject(provider.issuer, 'alice')}"`))
  })

  test('nothing was logged as a fault, and no token', async () => {
    const token = await tokenOf('bob')
    await ask(server, { target: '/', fields: bearer(token) })
    assertQuietLog({ ...server, log: () => server.log().filter((record) => !isOutage(record)) })
    assert.ok(!JSON.stringify(server.log()).includes(token.slice(-30)))
  })
})

test('without issuers in the configuration their tokens are nobody, and nobody is asked about them', async () => {
  await using closed = await startServer()
  const token = await tokenOf('alice', 'film-admin')
  provider.asked()
  assertProblem(await ask(closed, { target: '/', fields: bearer(token) }), { status: 401, code: 'unauthenticated' })
  assert.deepEqual(provider.asked(), [])
})

const openScene = async () => {
  const own = await startIdentityProvider(['alice'])
  const clock = createManualClock(Date.now())
  const issuer = { url: own.issuer, audience, roleClaim: '', roles: {}, allowPrivate: true }
  const { promise: recovered, resolve } = Promise.withResolvers<void>()
  const observe = ({ event }: SecurityEvent): void => (event === 'sys_store_recovered' ? resolve() : undefined)
  const issuers = createExternalIssuers({ issuers: [issuer], clock, timers: clock, observe })
  return {
    own,
    clock,
    recovered,
    verify: (token: string) => issuers.verify(token),
    [Symbol.asyncDispose]: () => own[Symbol.asyncDispose](),
  }
}

describe('a real provider', () => {
  test('that changes its key: the new one is found with the first token after the cool-down, and the old one is gone', async () => {
    await using scene = await openScene()
    const { own, clock, verify } = scene
    const before = await own.token('alice')
    assert.ok(await verify(before))
    own.rotate()
    const later = await own.token('alice')
    assert.equal(await verify(later), undefined, 'asked just now')
    clock.advance(30_000)
    assert.ok(await verify(later))
    assert.equal(await verify(before), undefined)
  })

  test('[ASVS 7.1.3] that is down for a while: its tokens are good until they end, and it is asked again when it is back', async () => {
    await using scene = await openScene()
    const { own, clock, recovered, verify } = scene
    const token = await own.token('alice')
    assert.ok(await verify(token))
    await own.stop()
    clock.advance(9 * 60_000)
    assert.ok(await verify(token))
    clock.advance(61_000)
    assert.equal(await verify(token), undefined, 'ended: ten minutes was all it had')
    await own.start()
    clock.advance(30_000)
    own.asked()
    assert.equal(await verify(token), undefined)
    await recovered
    assert.deepEqual(own.asked(), ['/.well-known/openid-configuration', '/jwks'])
  })
})
