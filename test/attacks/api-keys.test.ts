import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { permissionsOf, roles } from '../../src/core/access.ts'
import { createApiKey, formatApiKey, parseApiKey } from '../../src/credentials/api-key.ts'
import { type AccountServer, openAccountServer } from '../support/account-server.ts'
import { addUser, bearer, goodPassword, type LoggedIn, logIn, otherPassword, refresh, send } from '../support/accounts.ts'
import { type Answer, ask, assertProblem, assertQuietLog } from '../support/attack.ts'
import { type DatabaseKind, databases } from '../support/databases.ts'
import { type MadeKey, makeKey } from '../support/keys.ts'
import { raisedLimits } from '../support/server.ts'
import { describeUnless } from '../support/services.ts'

const toml = `${raisedLimits}"POST /v1/keys" = { only = "100000000 per day" }\n`

type Holder = Pick<LoggedIn, 'fields'>

const refused = (answer: Answer): void => assertProblem(answer, { status: 401, code: 'unauthenticated' })
const forbidden = (answer: Answer): void => assertProblem(answer, { status: 403, code: 'forbidden' })
const secretOf = ({ key }: MadeKey): string => parseApiKey(key)?.secret ?? ''

const suite = (kind: DatabaseKind): void => {
  let at: AccountServer
  let starter: Holder
  before(async () => {
    at = await openAccountServer(kind, {
      toml,
      beforeClaim: async (server) => {
        starter = { fields: bearer(server.key()) }
        assert.equal((await addFilm(starter, server)).status, 201)
      },
    })
  })
  after(() => at?.[Symbol.asyncDispose]())

  const addFilm = ({ fields }: Holder, server = at.server): Promise<Answer> =>
    send(server, 'POST', '/add_film', { name: 'Moana' }, { fields })
  const users = ({ fields }: Holder): Promise<Answer> => ask(at.server, { target: '/v1/users', fields })
  const limits = ({ fields }: Holder): Promise<Answer> => ask(at.server, { target: '/v1/limits', fields })
  const patch = (user: LoggedIn, body: unknown): Promise<Answer> =>
    send(at.server, 'PATCH', `/v1/users/${user.subject}`, body, { fields: at.admin.fields })
  /** What a client is told whose credentials are refused. */
  const wordsOf = async (text: string): Promise<unknown> => {
    const answer = await addFilm({ fields: bearer(text) })
    refused(answer)
    const { request_id: _, ...words } = answer.json()
    return words
  }

  test('the starter key after the first admin was claimed', async () => refused(await addFilm(starter)))

  test('more scopes than the maker has rights, for every role: refused, and it says which', async () => {
    const all = [...permissionsOf('admin')]
    for (const role of roles) {
      const user = role === 'admin' ? at.admin : await addUser(at.server, at.admin, role, `scope-${role}`)
      for (const scope of all) {
        const body = { name: 'x', scopes: [...new Set(['votes:write', scope])] }
        const answer = await send(at.server, 'POST', '/v1/keys', body, { fields: user.fields })
        const mayHave = permissionsOf(role).has(scope)
        assert.equal(answer.status, mayHave ? 201 : 403, `${role} ${scope}: ${answer.body}`)
        if (!mayHave) assert.match(String(answer.json()['detail']), new RegExp(`: ${scope}\\.$`))
      }
    }
  })

  test('less than its owner: a key of an admin opens only what its scopes say [ASVS 8.3.3]', async () => {
    const key = await makeKey(at.server, at.admin, ['films:read'])
    for (const answer of [await addFilm(key), await users(key), await limits(key)]) forbidden(answer)
    const reader = await makeKey(at.server, at.admin, ['users:read'])
    assert.equal((await users(reader)).status, 200)
    forbidden(await limits(reader))
  })

  test('after a demotion it may no more than its owner, after a promotion no more than its scopes [ASVS 8.3.3]', async () => {
    const grace = await addUser(at.server, at.admin, 'moderator', 'demoted')
    const key = await makeKey(at.server, grace, ['films:write', 'security:read'])
    assert.deepEqual([(await addFilm(key)).status, (await limits(key)).status], [201, 200])
    assert.equal((await patch(grace, { role: 'editor' })).status, 200)
    assert.equal((await addFilm(key)).status, 201)
    forbidden(await limits(key))
    assert.equal((await patch(grace, { role: 'viewer' })).status, 200)
    forbidden(await addFilm(key))
    assert.equal((await patch(grace, { role: 'admin' })).status, 200)
    assert.deepEqual([(await addFilm(key)).status, (await limits(key)).status], [201, 200])
    forbidden(await users(key))
    assert.equal((await patch(grace, { role: 'viewer' })).status, 200)
  })

  test('in the place of a session: it opens none, changes no account, makes, lists and revokes no other key [ASVS 7.2.2]', async () => {
    const root = await addUser(at.server, at.admin, 'admin', 'key-owner')
    const all = [...permissionsOf('admin')]
    const [key, other] = [await makeKey(at.server, root, all), await makeKey(at.server, root, all)]
    const calls: readonly (readonly [string, string, unknown?])[] = [
      ['GET', '/v1/me'],
      ['PATCH', '/v1/me', { username: 'taken-over' }],
      ['DELETE', '/v1/me'],
      ['PUT', '/v1/me/password', { current_password: goodPassword, new_password: otherPassword }],
      ['GET', '/v1/keys'],
      ['POST', '/v1/keys', { name: 'x', scopes: ['films:read'] }],
      ['GET', '/v1/auth/sessions'],
      ['DELETE', '/v1/auth/sessions'],
    ]
    for (const [method, target, body] of calls) {
      const answer =
        body === undefined
          ? await ask(at.server, { method, target, fields: key.fields })
          : await send(at.server, method, target, body, { fields: key.fields })
      assert.ok([403, 405].includes(answer.status), `${method} ${target}: ${answer.status} ${answer.body}`)
    }
    for (const [method, target, body] of [
      ['POST', '/v1/users', { username: 'by-key', role: 'admin', password: goodPassword }],
      ['PATCH', `/v1/users/${at.admin.subject}`, { role: 'viewer' }],
    ] as const) {
      const answer = await send(at.server, method, target, body, { fields: key.fields })
      refused(answer)
      assert.match(answer.field('www-authenticate') ?? '', /insufficient_user_authentication/)
    }
    for (const method of ['GET', 'DELETE']) {
      const answer = await ask(at.server, { method, target: `/v1/keys/${other.id}`, fields: key.fields })
      assertProblem(answer, { status: 404, code: 'not_found' })
    }
    for (const token of [key.key, parseApiKey(key.key)?.secret ?? ''])
      assert.ok([400, 401].includes((await send(at.server, 'POST', '/v1/auth/refresh', { refresh_token: token })).status))
    assert.equal((await addFilm(other)).status, 201)
    assert.equal((await send(at.server, 'GET', '/v1/users', {}, { fields: {} })).status, 401)
    assert.equal((await at.place.query(`select id from account where username in ('taken-over', 'by-key')`)).length, 0)
  })

  test('whoever finds a key can end it, and with it no other', async () => {
    const root = await logIn(at.server, { username: 'key-owner', password: goodPassword })
    const [found, other] = [await makeKey(at.server, root, ['films:write']), await makeKey(at.server, root, ['films:write'])]
    const own = { target: `/v1/keys/${found.id}`, fields: found.fields }
    assert.equal((await ask(at.server, own)).json()['id'], found.id)
    assert.equal((await ask(at.server, { ...own, method: 'DELETE' })).status, 204)
    refused(await addFilm(found))
    refused(await ask(at.server, { ...own, method: 'DELETE' }))
    assert.equal((await addFilm(other)).status, 201)
  })

  test('the owner disabled, enabled again, removed: the key does not come back', async () => {
    const grace = await addUser(at.server, at.admin, 'editor', 'key-gone')
    const key = await makeKey(at.server, grace, ['films:write'])
    assert.equal((await addFilm(key)).status, 201)
    for (const body of [{ disabled: true }, { disabled: false }]) {
      assert.equal((await patch(grace, body)).status, 200)
      refused(await addFilm(key))
    }
    const again = await makeKey(at.server, await logIn(at.server, grace), ['films:write'])
    assert.equal((await addFilm(again)).status, 201)
    assert.equal((await ask(at.server, { method: 'DELETE', target: `/v1/users/${grace.subject}`, fields: at.admin.fields })).status, 204)
    refused(await addFilm(again))
    const heir = await addUser(at.server, at.admin, 'editor', 'key-gone')
    for (const one of [key, again]) refused(await addFilm(one))
    assert.equal((await ask(at.server, { target: `/v1/keys/${again.id}`, fields: heir.fields })).status, 404)
  })

  test('a row that something else wrote: an owner who is gone, or was disabled past the program', async () => {
    const grace = await addUser(at.server, at.admin, 'editor', 'key-orphan')
    const [orphan, sleeping] = [await makeKey(at.server, grace, ['films:write']), await makeKey(at.server, grace, ['films:write'])]
    await kind.change(at.place, `update api_key set subject = 'u${'a'.repeat(20)}' where id = '${orphan.id}'`)
    refused(await addFilm(orphan))
    await kind.change(at.place, `update account set disabled_at = 1 where id = '${grace.subject}'`)
    refused(await addFilm(sleeping))
  })

  test('scopes that somebody wrote into the database are no more than the rights of the owner', async () => {
    const grace = await addUser(at.server, at.admin, 'viewer', 'key-widened')
    const key = await makeKey(at.server, grace, ['votes:write'])
    await kind.change(at.place, `update api_key set scopes = '${[...permissionsOf('admin')].join(' ')} root *' where id = '${key.id}'`)
    for (const answer of [await addFilm(key), await users(key), await limits(key)]) forbidden(answer)
  })

  test('the id of a key, a right id with another secret, a key of one in the id of another: the same words as for garbage', async () => {
    const root = await logIn(at.server, { username: 'key-owner', password: goodPassword })
    const [one, other] = [await makeKey(at.server, root, ['films:write']), await makeKey(at.server, root, ['films:write'])]
    const garbage = await wordsOf('garbage')
    for (const text of [
      one.id,
      `fg_${one.id}_`,
      formatApiKey({ id: one.id, secret: createApiKey().secret }),
      formatApiKey({ id: one.id, secret: secretOf(other) }),
      formatApiKey(createApiKey()),
      `${one.key} ${other.key}`,
    ])
      assert.deepEqual(await wordsOf(text), garbage, text)
  })

  test('a key that was made in a session outlives it, and nothing else does', async () => {
    const grace = await addUser(at.server, at.admin, 'editor', 'key-outlives')
    const key = await makeKey(at.server, grace, ['films:write'])
    const next = await refresh(at.server, grace)
    assert.equal((await send(at.server, 'POST', '/v1/auth/logout', { refresh_token: next.refreshToken })).status, 204)
    refused(await addFilm(next))
    assert.equal((await addFilm(key)).status, 201)
  })

  test('the log is quiet: one line each, no error', () => assertQuietLog(at.server))
}

for (const kind of databases) describeUnless(kind.missing, `API keys on ${kind.name}`, () => suite(kind))
