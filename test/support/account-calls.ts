import type { LoggedIn } from './accounts.ts'
import { type Ask, ask } from './attack.ts'
import { asSelf, browserToken, type Calls, cookie, foreign, json, nobody, own, password, type Scene, unknownToken } from './call-scene.ts'
import { enrolled, factorCalls, secondFactorCalls } from './factor-calls.ts'

const loginCalls = (scene: Scene): Calls => ({
  'POST /v1/auth/claim': [
    [400, json({})],
    [401, json({ code: 'q7m2x-0c4vd-n8k5t-h3rwe-9bzpa', username: 'eve', password })],
  ],
  'POST /v1/auth/register': [
    [201, json({ username: 'walk-in', password })],
    [400, json({ username: 'another', password: 'another another' })],
    [409, json({ username: 'walk-in', password })],
  ],
  'POST /v1/auth/login': [
    [200, async () => json({ username: (await scene.newcomer()).username, password })],
    [200, async () => json({ username: (await scene.newcomer()).username, password, browser: true }, own)],
    [200, async () => json({ username: (await enrolled(scene)).who.username, password })],
    [400, json({})],
    [401, json({ username: 'nobody-here', password })],
    [403, json({ username: 'ada', password, browser: true }, foreign)],
  ],
  'POST /v1/auth/refresh': [
    [200, async () => json({ refresh_token: (await scene.newcomer()).refreshToken })],
    [200, async () => json({}, { ...own, Cookie: cookie(await browserToken(scene)) })],
    [400, json({}, { ...own, Cookie: `${cookie('a')}; ${cookie('b')}` })],
    [401, json({ refresh_token: unknownToken('fgr') })],
    [401, json({}, { ...own, Cookie: cookie(unknownToken('fgr')) })],
    [403, async () => json({}, { ...foreign, Cookie: cookie(await browserToken(scene)) })],
  ],
  'POST /v1/auth/logout': [
    [204, async () => json({ refresh_token: (await scene.newcomer()).refreshToken })],
    [204, async () => json({}, { ...own, Cookie: cookie(await browserToken(scene)) })],
    [204, async () => json({}, (await scene.newcomer()).fields)],
    [400, json({}, { ...own, Cookie: `${cookie('a')}; ${cookie('b')}` })],
    [401, json({})],
    [403, async () => json({}, { ...foreign, Cookie: cookie(await browserToken(scene)) })],
  ],
})

const sessionCalls = ({ server, admin, newcomer, adminKey }: Scene): Calls => ({
  'GET /v1/auth/sessions': [
    [200, {}],
    [200, async () => ({ target: `?user=${(await newcomer()).subject}` })],
    [403, async () => asSelf(`?user=${admin().subject}`, await newcomer())],
    [403, { fields: adminKey }],
    [404, { target: `?user=${nobody}` }],
  ],
  'DELETE /v1/auth/sessions': [
    [204, async () => ({ fields: (await newcomer()).fields })],
    [403, async () => asSelf(`?user=${admin().subject}`, await newcomer())],
    [404, { target: `?user=${nobody}` }],
  ],
  'DELETE /v1/auth/sessions/:id': [
    [
      204,
      async () => {
        const who = await newcomer()
        return asSelf(`/v1/auth/sessions/${who.sid}`, who)
      },
    ],
    [400, { target: '/v1/auth/sessions/x' }],
    [403, { fields: adminKey }],
    [404, async () => asSelf(`/v1/auth/sessions/${admin().sid}`, await newcomer())],
  ],
  'GET /v1/me': [
    [200, {}],
    [403, { fields: adminKey }],
  ],
  'PATCH /v1/me': [
    [200, async () => json({ username: 'another-name' }, (await newcomer()).fields)],
    [400, json({ username: 'No' })],
    [403, json({ username: 'x' }, adminKey)],
    [409, async () => json({ username: 'ada' }, (await newcomer()).fields)],
  ],
  'DELETE /v1/me': [
    [204, async () => ({ fields: (await newcomer()).fields })],
    [403, { fields: adminKey }],
    [409, {}],
  ],
  'PUT /v1/me/password': [
    [204, async () => json({ current_password: password, new_password: 'eleven herons by the old weir' }, (await newcomer()).fields)],
    [400, json({ current_password: password, new_password: 'short' })],
    [403, async () => json({ current_password: 'wrong', new_password: 'eleven herons by the old weir' }, (await newcomer()).fields)],
  ],
  ...keyAndUserCalls({ server, admin, newcomer, adminKey }),
})

const newKey = { name: 'films', scopes: ['films:read'] }

const keyAndUserCalls = ({ server, admin, newcomer, adminKey }: Scene): Calls => {
  const made = async (who: LoggedIn): Promise<string> =>
    String((await ask(server, { method: 'POST', target: '/v1/keys', ...json(newKey, who.fields) })).json()['id'])
  const ofKey = async (): Promise<Ask> => {
    const who = await newcomer()
    return asSelf(`/v1/keys/${await made(who)}`, who)
  }
  const ofUser = async (body?: unknown): Promise<Ask> => ({
    target: `/v1/users/${(await newcomer()).subject}`,
    ...(body === undefined ? {} : json(body)),
  })
  const full = async (): Promise<Ask> => {
    const who = await newcomer()
    for (let i = 0; i < 50; i++) await made(who)
    return json(newKey, who.fields)
  }
  const viewer = async (): Promise<Ask> => ({ fields: (await newcomer()).fields })
  const newUser = { username: 'by-an-admin', role: 'editor', password }
  return {
    'GET /v1/keys': [
      [200, async () => asSelf('/v1/keys', admin())],
      [403, { fields: adminKey }],
    ],
    'POST /v1/keys': [
      [201, json({ ...newKey, expires_at: '2099-12-31T00:00:00Z' })],
      [400, json({ ...newKey, expires_at: '2001-12-31T00:00:00Z' })],
      [403, async () => json({ ...newKey, scopes: ['users:write'] }, (await newcomer()).fields)],
      [409, full],
    ],
    'GET /v1/keys/:id': [
      [200, ofKey],
      [400, { target: '/v1/keys/x' }],
      [404, {}],
    ],
    'DELETE /v1/keys/:id': [
      [204, ofKey],
      [400, { target: '/v1/keys/x' }],
      [404, {}],
    ],
    'GET /v1/users': [
      [200, {}],
      [200, { target: '?limit=1' }],
      [400, { target: '?cursor=x' }],
      [403, viewer],
    ],
    'POST /v1/users': [
      [201, json(newUser)],
      [400, json({ ...newUser, password: 'filmgate filmgate' })],
      [401, json(newUser, adminKey)],
      [403, viewer],
      [409, json(newUser)],
    ],
    'GET /v1/users/:id': [
      [200, ofUser],
      [400, { target: '/v1/users/x' }],
      [403, viewer],
      [404, {}],
    ],
    'PATCH /v1/users/:id': [
      [200, () => ofUser({ disabled: true })],
      [400, json({})],
      [401, json({ disabled: true }, adminKey)],
      [403, async () => ({ target: `/v1/users/${admin().subject}`, ...json({ role: 'viewer' }) })],
      [404, json({ disabled: true })],
    ],
    'DELETE /v1/users/:id': [
      [204, ofUser],
      [401, { fields: adminKey }],
      [403, viewer],
      [404, {}],
    ],
  }
}

/** For each operation on accounts: requests, and the status that each gets. */
export const accountCalls = (scene: Scene): Calls => ({
  ...loginCalls(scene),
  ...secondFactorCalls(scene),
  ...factorCalls(scene),
  ...sessionCalls(scene),
})
