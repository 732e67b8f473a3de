import type { LoggedIn } from './accounts.ts'
import { type Ask, ask } from './attack.ts'
import { createAuthenticator } from './authenticator.ts'
import { byAddress, type Call, type Calls, foreign, json, own, password, type Scene, tryBrowser, unknownToken } from './call-scene.ts'
import { beginLogin, codeAt, enrolTotp, wrongCodeAt } from './second-factor.ts'

/** Somebody with an authenticator app. */
export const enrolled = async ({ server, newcomer }: Scene, role: 'viewer' | 'moderator' = 'viewer') =>
  enrolTotp(server, await newcomer(role), Date.now())

/** A login that waits for its second factor. */
const pending = async (scene: Scene, browser = false) => {
  const { who, recoveryCodes, secret } = await enrolled(scene)
  const mfa = browser
    ? String((await tryBrowser(scene.server, who)).json()['mfa_token'])
    : await beginLogin(scene.server, { username: who.username, password })
  return { mfa_token: mfa, recoveryCode: recoveryCodes[0] ?? '', secret }
}

/** Somebody with a passkey. */
const withPasskey = async (scene: Scene, role: 'viewer' | 'moderator' = 'viewer') => {
  const { server } = scene
  const who = await scene.newcomer(role)
  const authenticator = createAuthenticator({ origin: 'http://localhost' })
  const body = async (): Promise<Ask> => {
    const options = await ask(server, { method: 'POST', target: '/v1/me/passkeys/options', fields: who.fields })
    return json({ name: 'A laptop', credential: authenticator.create(options.json()) }, who.fields)
  }
  const added = async () => {
    const answer = await ask(server, { method: 'POST', target: '/v1/me/passkeys', ...(await body()) })
    return String(answer.json()['id'])
  }
  const login = async (more: object = {}, fields: Ask['fields'] = {}): Promise<Ask> => {
    const options = await ask(server, { method: 'POST', target: '/v1/auth/passkey/options', ...json({}) })
    return json({ credential: authenticator.get(options.json()), ...more }, fields)
  }
  return { who, body, added, login }
}

const passkeyLogins = (scene: Scene): Call[] => {
  const login = async (more: object = {}, fields: Ask['fields'] = {}, isAdded = true): Promise<Ask> => {
    const passkey = await withPasskey(scene)
    if (isAdded) await passkey.added()
    return passkey.login(more, fields)
  }
  return [
    [200, () => login()],
    [200, () => login({ browser: true }, own)],
    [401, () => login({}, {}, false)],
    [403, () => login({ browser: true }, foreign)],
    [409, () => login({}, byAddress)],
  ]
}

/** The second half of a login, and passkeys instead of one. */
export const secondFactorCalls = (scene: Scene): Calls => ({
  'POST /v1/auth/mfa': [
    [
      200,
      async () => {
        const { mfa_token: token, recoveryCode } = await pending(scene)
        return json({ mfa_token: token, method: 'recovery_code', code: recoveryCode })
      },
    ],
    [400, async () => json({ mfa_token: (await pending(scene)).mfa_token, method: 'passkey', code: '123456' })],
    [
      401,
      async () => {
        const { mfa_token: token, secret } = await pending(scene)
        return json({ mfa_token: token, method: 'totp', code: wrongCodeAt(secret, Date.now()) })
      },
    ],
    [401, json({ mfa_token: unknownToken('fgm'), method: 'totp', code: '123456' })],
    [
      403,
      async () => {
        const { mfa_token: token, recoveryCode } = await pending(scene, true)
        return json({ mfa_token: token, method: 'recovery_code', code: recoveryCode }, foreign)
      },
    ],
    [
      409,
      async () => {
        const { mfa_token: token } = await pending(scene)
        const { body, login } = await withPasskey(scene)
        await body()
        const { credential } = JSON.parse(String((await login()).body)) as { credential: unknown }
        return json({ mfa_token: token, method: 'passkey', code: credential }, byAddress)
      },
    ],
  ],
  'POST /v1/auth/passkey/options': [
    [200, json({})],
    [200, async () => json({ mfa_token: (await pending(scene)).mfa_token })],
    [401, json({ mfa_token: unknownToken('fgm') })],
    [409, json({}, byAddress)],
  ],
  'POST /v1/auth/passkey/verify': [[400, json({})], ...passkeyLogins(scene)],
})

/** The factors of an account. */
export const factorCalls = (scene: Scene): Calls => ({
  'GET /v1/me/totp': [
    [200, {}],
    [200, async () => ({ fields: (await enrolled(scene)).who.fields })],
    [403, { fields: scene.adminKey }],
  ],
  'POST /v1/me/totp': [
    [200, async () => ({ fields: (await scene.newcomer()).fields })],
    [403, { fields: scene.adminKey }],
    [409, async () => ({ fields: (await enrolled(scene)).who.fields })],
  ],
  'PUT /v1/me/totp': [
    [
      200,
      async () => {
        const { fields } = await scene.newcomer()
        const offered = await ask(scene.server, { method: 'POST', target: '/v1/me/totp', fields })
        return json({ code: codeAt(String(offered.json()['secret']), Date.now()) }, fields)
      },
    ],
    [400, async () => json({ code: '12345' }, (await scene.newcomer()).fields)],
    [403, json({ code: '123456' }, scene.adminKey)],
    [409, async () => json({ code: '123456' }, (await scene.newcomer()).fields)],
  ],
  'DELETE /v1/me/totp': [
    [204, async () => ({ fields: (await enrolled(scene)).who.fields })],
    [403, { fields: scene.adminKey }],
    [404, {}],
    [409, async () => ({ fields: (await enrolled(scene, 'moderator')).who.fields })],
  ],
  'POST /v1/me/totp/recovery-codes': [
    [200, async () => ({ fields: (await enrolled(scene)).who.fields })],
    [403, { fields: scene.adminKey }],
    [409, {}],
  ],
  'GET /v1/me/passkeys': [
    [200, {}],
    [
      200,
      async () => {
        const { who, added } = await withPasskey(scene)
        await added()
        const { fields } = await relogged(scene, who)
        return { fields }
      },
    ],
    [403, { fields: scene.adminKey }],
  ],
  'POST /v1/me/passkeys/options': [
    [200, {}],
    [403, { fields: scene.adminKey }],
    [409, { fields: byAddress }],
  ],
  'POST /v1/me/passkeys': [
    [201, async () => (await withPasskey(scene)).body()],
    [400, async () => json({ name: 'A laptop', credential: {} }, (await scene.newcomer()).fields)],
    [403, json({}, scene.adminKey)],
    [
      409,
      async () => {
        const { body } = await withPasskey(scene)
        const made = await body()
        return { ...made, fields: { ...made.fields, ...byAddress } }
      },
    ],
  ],
  'DELETE /v1/me/passkeys/:id': [
    [204, () => removal(scene, 'viewer')],
    [400, { target: '/v1/me/passkeys/x' }],
    [403, { fields: scene.adminKey }],
    [404, {}],
    [409, () => removal(scene, 'moderator')],
  ],
})

/** Tokens of now, of the same session. */
const relogged = async ({ server }: Scene, who: LoggedIn): Promise<{ fields: Readonly<Record<string, string>> }> => {
  const answer = await ask(server, { method: 'POST', target: '/v1/auth/refresh', ...json({ refresh_token: who.refreshToken }) })
  return { fields: { Authorization: `Bearer ${String(answer.json()['access_token'])}` } }
}

const removal = async (scene: Scene, role: 'viewer' | 'moderator'): Promise<Ask> => {
  const { who, added } = await withPasskey(scene, role)
  const id = await added()
  return { target: `/v1/me/passkeys/${id}`, ...(await relogged(scene, who)) }
}
