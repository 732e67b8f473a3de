import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { type AccountServer, openAccountServer } from '../support/account-server.ts'
import { addUser, goodPassword, type LoggedIn, logIn, otherPassword, refresh, send, tryLogin, tryRefresh } from '../support/accounts.ts'
import { type Answer, ask, assertProblem } from '../support/attack.ts'
import { type DatabaseKind, databases } from '../support/databases.ts'
import { makeKey } from '../support/keys.ts'
import { assertDescribed, readDocument } from '../support/openapi.ts'
import { describeUnless } from '../support/services.ts'

const suite = (kind: DatabaseKind): void => {
  let at: AccountServer
  before(async () => {
    at = await openAccountServer(kind)
  })
  after(() => at?.[Symbol.asyncDispose]())

  const me = ({ fields }: Pick<LoggedIn, 'fields'>): Promise<Answer> => ask(at.server, { target: '/v1/me', fields })
  const rename = ({ fields }: Pick<LoggedIn, 'fields'>, body: unknown): Promise<Answer> =>
    send(at.server, 'PATCH', '/v1/me', body, { fields })
  const removeMe = ({ fields }: Pick<LoggedIn, 'fields'>): Promise<Answer> => ask(at.server, { method: 'DELETE', target: '/v1/me', fields })
  const setPassword = ({ fields }: Pick<LoggedIn, 'fields'>, current: unknown, next: unknown): Promise<Answer> =>
    send(at.server, 'PUT', '/v1/me/password', { current_password: current, new_password: next }, { fields })
  const makeStale = ({ sid }: LoggedIn): Promise<unknown> =>
    kind.change(at.place, `update session set authenticated_at = authenticated_at - 301000 where id = '${sid}'`)

  test('says who asks, what they may, and how they came in; nothing secret', async () => {
    const document = await readDocument(at.server)
    const grace = await addUser(at.server, at.admin, 'moderator', 'me-grace')
    const answer = await me(grace)
    assertDescribed(document, 'GET /v1/me', answer)
    const { created_at: created, authenticated_at: authenticated, permissions, ...rest } = answer.json()
    assert.deepEqual(rest, { id: grace.subject, username: 'me-grace', role: 'moderator', second_factor: [], session: grace.sid })
    assert.deepEqual(permissions, ['films:read', 'votes:write', 'films:write', 'films:delete', 'security:read'])
    for (const time of [created, authenticated]) assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    assert.doesNotMatch(answer.body, /password|hash|epoch/)
    assert.equal(answer.field('cache-control'), 'no-store')
  })

  test('a session alone may ask: neither nobody nor an API key', async () => {
    const grace = await addUser(at.server, at.admin, 'editor', 'me-session')
    const key = await makeKey(at.server, grace, ['films:read', 'films:write'])
    assertProblem(await me({ fields: {} }), { status: 401, code: 'unauthenticated' })
    assertProblem(await me(key), { status: 403, code: 'forbidden' })
    assertProblem(await rename(key, { username: 'me-renamed' }), { status: 403, code: 'forbidden' })
    for (const answer of [await removeMe(key), await setPassword(key, goodPassword, otherPassword)])
      assertProblem(answer, { status: 403, code: 'forbidden' })
    assert.equal((await me(grace)).json()['username'], 'me-session')
  })

  test('another name: login with it, not with the old one, and no name that is of somebody or of the server', async () => {
    const grace = await addUser(at.server, at.admin, 'viewer', 'name-before')
    const answer = await rename(grace, { username: 'name-after' })
    assertDescribed(await readDocument(at.server), 'PATCH /v1/me', answer)
    assert.equal(answer.json()['username'], 'name-after')
    assert.equal((await me(grace)).json()['username'], 'name-after', 'the session goes on')
    assert.equal((await tryLogin(at.server, { username: 'name-after', password: goodPassword })).status, 200)
    assert.equal((await tryLogin(at.server, { username: 'name-before', password: goodPassword })).status, 401)
    assertProblem(await rename(grace, { username: 'ada' }), { status: 409, code: 'conflict' })
    for (const username of ['system', 'cli', 'admin', 'a', 'UPPER', 'sp ace'])
      assertProblem(await rename(grace, { username }), { status: 400, code: 'validation_failed', pointer: '/username' })
    assert.equal((await rename(grace, { username: 'name-after' })).status, 200, 'the same again')
    const rows = await at.place.query(`select details from audit where action = 'user.rename' and target = '${grace.subject}'`)
    assert.deepEqual(
      rows.map(({ details }) => JSON.parse(String(details)) as unknown),
      [{ from: 'name-before', to: 'name-after' }],
    )
  })

  test('nobody makes more of themselves than a name [ASVS 8.2.3]', async () => {
    const grace = await addUser(at.server, at.admin, 'viewer', 'mass-me')
    for (const [name, value] of Object.entries({
      role: 'admin',
      id: at.admin.subject,
      epoch: 99,
      disabled: false,
      permissions: ['users:write'],
    }))
      assertProblem(await rename(grace, { username: 'mass-me', [name]: value }), {
        status: 400,
        code: 'validation_failed',
        pointer: `/${name}`,
      })
    assert.equal((await me(grace)).json()['role'], 'viewer')
  })

  test('people change their password; the other sessions end, this one goes on [ASVS 6.2.2] [ASVS 7.4.3]', async () => {
    const grace = await addUser(at.server, at.admin, 'editor', 'pw-grace')
    const other = await logIn(at.server, grace)
    assert.equal((await me(other)).status, 200)
    const answer = await setPassword(grace, goodPassword, otherPassword)
    assert.deepEqual([answer.status, answer.body], [204, ''])
    for (const who of [grace, other]) assertProblem(await me(who), { status: 401, code: 'unauthenticated' })
    assert.equal((await tryRefresh(at.server, other.refreshToken)).status, 401)
    const now = await refresh(at.server, grace)
    assert.equal((await me(now)).json()['session'], grace.sid)
    assert.equal((await tryLogin(at.server, grace)).status, 401)
    assert.equal((await tryLogin(at.server, { ...grace, password: otherPassword })).status, 200)
    const event = await at.server.logged((one) => one['event'] === 'authn_password_change' && one['subject'] === grace.subject)
    assert.equal(event['request_id'], answer.field('x-request-id'))
    const rows = await at.place.query(`select actor, details from audit where action = 'user.password' and target = '${grace.subject}'`)
    assert.deepEqual(rows, [{ actor: grace.subject, details: '{}' }])
  })

  test('not without the current password, and not without a fresh login [ASVS 6.2.3]', async () => {
    const grace = await addUser(at.server, at.admin, 'editor', 'pw-current')
    const stale = await logIn(at.server, grace)
    await makeStale(stale)
    const without = await send(at.server, 'PUT', '/v1/me/password', { new_password: otherPassword }, { fields: grace.fields })
    assertProblem(without, { status: 400, code: 'validation_failed' })
    assertProblem(await setPassword(grace, otherPassword, otherPassword), { status: 403, code: 'forbidden' })
    const unfresh = await setPassword(stale, goodPassword, otherPassword)
    assertProblem(unfresh, { status: 401, code: 'unauthenticated' })
    assert.match(unfresh.field('www-authenticate') ?? '', /insufficient_user_authentication/)
    for (const password of ['short', 'password123456', 'aaaaaaaaaaaaaaaa', 'x'.repeat(129), 'pw-current pw-current', null])
      assertProblem(await setPassword(grace, goodPassword, password), { status: 400, code: 'validation_failed', pointer: '/new_password' })
    assertProblem(await setPassword(grace, goodPassword, goodPassword), {
      status: 400,
      code: 'validation_failed',
      pointer: '/new_password',
    })
    assert.equal((await tryLogin(at.server, grace)).status, 200, 'it is what it was')
    const event = await at.server.logged((one) => one['event'] === 'authn_login_fail' && one['subject'] === grace.subject)
    assert.equal(event['reason'], 'wrong current password')
  })

  test('guesses at the current password are as few as at a login, and count together with those [ASVS 6.2.3]', async () => {
    const grace = await addUser(at.server, at.admin, 'editor', 'pw-guessed')
    const from = '127.0.0.66'
    const guess = (current: string): Promise<Answer> =>
      send(at.server, 'PUT', '/v1/me/password', { current_password: current, new_password: otherPassword }, { fields: grace.fields, from })
    const statuses: number[] = []
    for (let i = 0; i < 12; i++) statuses.push((await guess(`${otherPassword} ${i}`)).status)
    assert.deepEqual(statuses, [...Array<number>(10).fill(403), 429, 429])
    assertProblem(await guess(goodPassword), { status: 429, code: 'quota_exceeded' })
    assert.equal((await tryLogin(at.server, grace, { from })).status, 429)
    assert.equal((await me(grace)).status, 200, 'whoever is in stays in')
    assert.equal((await tryLogin(at.server, grace)).status, 200, 'the owner, somewhere else')
  })

  test('a password is set once where two set it at the same moment', async () => {
    const grace = await addUser(at.server, at.admin, 'viewer', 'pw-twice')
    const wanted = ['nine swifts above the chapel', 'four magpies on the gate post']
    const answers = await Promise.all(
      wanted.map((next) =>
        send(at.server, 'PUT', '/v1/me/password', { current_password: goodPassword, new_password: next }, { fields: grace.fields }),
      ),
    )
    const statuses = answers.map(({ status }) => status)
    assert.equal(statuses.filter((status) => status === 204).length, 1, statuses.join())
    const logins = await Promise.all(wanted.map((password) => tryLogin(at.server, { username: 'pw-twice', password })))
    assert.deepEqual(
      logins.map(({ status }) => status === 200),
      statuses.map((status) => status === 204),
    )
  })

  test('people remove their account, with a fresh login, and all that is theirs goes', async () => {
    const grace = await addUser(at.server, at.admin, 'editor', 'gone-grace')
    const key = await makeKey(at.server, grace, ['films:write'])
    const stale = await logIn(at.server, grace)
    await makeStale(stale)
    assertProblem(await removeMe(stale), { status: 401, code: 'unauthenticated' })
    const answer = await removeMe(grace)
    assert.deepEqual([answer.status, answer.body], [204, ''])
    for (const who of [grace, stale, key]) assertProblem(await me(who), { status: 401, code: 'unauthenticated' })
    assert.equal((await tryRefresh(at.server, grace.refreshToken)).status, 401)
    assert.equal((await tryLogin(at.server, grace)).status, 401)
    assert.deepEqual(await at.place.query(`select id from api_key where subject = '${grace.subject}'`), [])
    const again = await addUser(at.server, at.admin, 'viewer', 'gone-grace')
    assert.notEqual(again.subject, grace.subject, 'the name is free again, the id never')
  })

  test('the last admin cannot go', async () => {
    const root = await logIn(at.server, at.admin)
    assertProblem(await removeMe(root), { status: 409, code: 'conflict' })
    assert.equal((await me(root)).status, 200)
  })
}

for (const kind of databases) describeUnless(kind.missing, `the own account on ${kind.name}`, () => suite(kind))
