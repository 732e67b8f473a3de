import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { after, before, describe, test } from 'node:test'

import { createRemoteJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'

import { openMasterKey } from '../../src/credentials/master-key.ts'
import { openDatabase } from '../../src/db/open.ts'
import { addUser, claimAdmin, type LoggedIn, logIn, refresh, send } from '../support/accounts.ts'
import { type Answer, ask, assertLogged, assertProblem, assertQuietLog, query } from '../support/attack.ts'
import { runCommand } from '../support/command.ts'
import { eventually } from '../support/deadline.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { decode, encode, type Forge, openForge } from '../support/token-forge.ts'

/** The whole program: what the other files show of the layer holds where it is built in, too. */
let server: TestServer
let admin: LoggedIn
let forge: Forge
let claims: Record<string, unknown>
before(async () => {
  server = await startServer()
  admin = await claimAdmin(server)
  forge = await stolenKey()
  claims = decode(admin.accessToken, 1)
})
after(() => server[Symbol.asyncDispose]())

/** As whoever has the whole data folder can open it. */
const stolenKey = async (): Promise<Forge> => {
  const database = await openDatabase({ url: 'sqlite', dataDir: server.dataDir })
  try {
    return await openForge(database, openMasterKey(server.dataDir, '').derive('sealing'))
  } finally {
    await database.close()
  }
}

const me = (token: string): Promise<Answer> => ask(server, { target: '/v1/me', fields: { Authorization: `Bearer ${token}` } })
const good = () => ({ alg: 'ES256', typ: 'at+jwt', kid: forge.kid })
const keySet = async (): Promise<JSONWebKeySet> => {
  const answer = await ask(server, { target: '/.well-known/jwks.json' })
  assert.equal(answer.status, 200)
  return answer.json() as unknown as JSONWebKeySet
}

const assertRefused = async (token: string): Promise<void> => {
  for (const target of ['/', '/v1/me', '/v1/users', '/nothing']) {
    const answer = await ask(server, { target, fields: { Authorization: `Bearer ${token}` } })
    assertProblem(answer, { status: 401, code: 'unauthenticated' })
    assert.equal(answer.field('www-authenticate'), 'Bearer realm="filmgate", error="invalid_token"')
    assert.equal((await assertLogged(server, answer, 'unauthenticated'))['principal'], null)
  }
}

describe('[ASVS 7.2.1] [ASVS 9.1.1] what the server takes for an access token', () => {
  test('the one it made, and one like it by its own key', async () => {
    assert.equal((await me(admin.accessToken)).status, 200)
    assert.equal((await me(forge.sign(good(), claims))).status, 200)
  })

  test('[ASVS 9.2.4] issuer and audience are the installation’s own, whatever Host says', async () => {
    assert.match(String(claims['iss']), /^urn:filmgate:[a-z0-9_-]{16,}$/i)
    assert.match(String(claims['aud']), /^urn:filmgate:[a-z0-9_-]{16,}$/i)
    const { username, password } = admin
    const answer = await send(server, 'POST', '/v1/auth/login', { username, password }, { fields: { Host: `127.0.0.1:${server.port}` } })
    const { iss, aud } = decode(String(answer.json()['access_token']), 1)
    assert.deepEqual([iss, aud], [claims['iss'], claims['aud']])
    await using other = await startServer()
    const stranger = decode((await claimAdmin(other)).accessToken, 1)
    assert.notEqual(stranger['iss'], iss)
    assert.notEqual(stranger['aud'], aud)
  })

  const attacks: Readonly<Record<string, () => string | Promise<string>>> = {
    'alg none': () => `${encode({ ...good(), alg: 'none' })}.${encode(claims)}.`,
    'HS256 with the published key': async () => {
      const [key] = (await keySet()).keys
      const body = `${encode({ ...good(), alg: 'HS256' })}.${encode(claims)}`
      return `${body}.${createHmac('sha256', JSON.stringify(key)).update(body).digest('base64url')}`
    },
    'the claims of a better account with another signature': () => {
      const [header = '', , signature = ''] = admin.accessToken.split('.')
      return `${header}.${encode({ ...claims, sub: 'x' })}.${signature}`
    },
    'a way to a file as kid': () => forge.sign({ ...good(), kid: '../../../../dev/null' }, claims),
    'exp of a text': () => forge.sign(good(), { ...claims, exp: String(claims['exp']) }),
    'exp 1e400': () => forge.sign(good(), JSON.stringify({ ...claims, exp: 0 }).replace('"exp":0', '"exp":1e400')),
    expired: () => forge.sign(good(), { ...claims, iat: 1, nbf: 1, exp: 301 }),
    'another audience': () => forge.sign(good(), { ...claims, aud: 'urn:filmgate:other' }),
    'audiences, ours among them': () => forge.sign(good(), { ...claims, aud: [claims['aud']] }),
    'another type': () => forge.sign({ ...good(), typ: 'JWT' }, claims),
    'a session that there is not': () => forge.sign(good(), { ...claims, sid: 'A'.repeat(22) }),
    'another epoch': () => forge.sign(good(), { ...claims, epoch: 1 }),
    'its refresh token': () => admin.refreshToken,
    'padding behind it': () => `${admin.accessToken}=`,
    '5 kB': () => forge.sign(good(), { ...claims, more: 'x'.repeat(3500) }),
  }
  for (const [name, make] of Object.entries(attacks)) test(`not: ${name}`, async () => assertRefused(await make()))

  test('no token is in the log, good or bad', () => {
    const text = JSON.stringify(server.log()) + server.stderr()
    for (const token of [admin.accessToken, admin.refreshToken]) {
      assert.ok(!text.includes(token))
      assert.ok(!text.includes(token.split('.').at(-1) ?? token), 'nor its signature')
    }
  })
})

test('a viewer cannot become an admin by what the token says', async () => {
  const viewer = await addUser(server, admin, 'viewer')
  const own = decode(viewer.accessToken, 1)
  for (const changed of [{ role: 'admin' }, { role: 'admin', scope: 'users:read' }]) {
    const answer = await ask(server, {
      target: '/v1/users',
      fields: { Authorization: `Bearer ${forge.sign(good(), { ...own, ...changed })}` },
    })
    assertProblem(answer, { status: 403, code: 'forbidden' })
  }
})

describe('the published keys', () => {
  test('verify our tokens for others, may be kept for minutes, and hold nothing private', async () => {
    const answer = await ask(server, { target: '/.well-known/jwks.json' })
    assert.equal(answer.field('cache-control'), 'public, max-age=300')
    assert.match(answer.field('content-type') ?? '', /^application\/json/)
    for (const key of (await keySet()).keys) assert.ok(!('d' in key) && key['use'] === 'sig' && key.alg === 'ES256')
    // As docs/access-tokens.md says it.
    const { payload } = await jwtVerify(admin.accessToken, createRemoteJWKSet(new URL('/.well-known/jwks.json', server.url)), {
      issuer: String(claims['iss']),
      audience: String(claims['aud']),
      typ: 'at+jwt',
      algorithms: ['ES256'],
      requiredClaims: ['exp', 'iat', 'sub', 'sid'],
    })
    assert.equal(payload.sub, admin.subject)
    const again = await ask(server, { target: '/.well-known/jwks.json', fields: { 'If-None-Match': answer.field('etag') ?? '' } })
    assert.equal(again.status, 304)
    const head = await ask(server, { target: '/.well-known/jwks.json', method: 'HEAD' })
    assert.deepEqual([head.status, head.field('etag')], [200, answer.field('etag')])
  })
})

const rotate = async (...options: string[]): Promise<Record<string, unknown>> => {
  const { code, stdout, stderr } = await runCommand(['key', 'rotate', '--json', ...options], { dataDir: server.dataDir })
  assert.equal(code, 0, stderr)
  return JSON.parse(stdout) as Record<string, unknown>
}
const published = async (): Promise<unknown[]> => (await keySet()).keys.map(({ kid }) => kid)

describe('filmgate key rotate, beside the running server', () => {
  test('the next key is published soon, and signs later; what was signed stays good', async () => {
    const { kid } = await rotate()
    await eventually(10_000, 'it is published', async () => (await published()).includes(kid))
    admin = await logIn(server, admin)
    assert.equal(decode(admin.accessToken, 0)['kid'], forge.kid)
    assert.equal((await me(admin.accessToken)).status, 200)
  })

  test('--now: the new key signs, tokens of the old one stay good', async () => {
    const { kid } = await rotate('--now')
    await eventually(10_000, 'it is published', async () => (await published()).includes(kid))
    const earlier = admin.accessToken
    admin = await refresh(server, admin)
    assert.equal(decode(admin.accessToken, 0)['kid'], kid)
    for (const token of [earlier, admin.accessToken]) assert.equal((await me(token)).status, 200)
  })

  test('--withdraw: remembered tokens of old keys are refused, and a refresh gives a good one', async () => {
    const old = admin.accessToken
    assert.equal((await me(old)).status, 200, 'remembered')
    const { kid } = await rotate('--withdraw')
    await eventually(10_000, 'it is the only one', async () => (await published()).join() === kid)
    await assertRefused(old)
    admin = await refresh(server, admin)
    assert.equal((await me(admin.accessToken)).status, 200)
    assert.equal(decode(admin.accessToken, 0)['kid'], kid)
    await assertRefused(forge.sign(good(), decode(admin.accessToken, 1)))
  })

  test('each of them is in the audit trail, by the command line', () => {
    const rows = query(server, "select actor from audit where action = 'signing_key.create' order by seq")
    assert.deepEqual(
      rows.map(({ actor }) => actor),
      ['system', 'cli', 'cli', 'cli'],
    )
  })
})

test('the log is quiet', () => assertQuietLog(server))
