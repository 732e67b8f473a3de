import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { passkeyName } from '../../src/api/accounts/factors/passkey-table.ts'
import { addUser, claimAdmin, goodPassword, type LoggedIn, send } from '../support/accounts.ts'
import { type Answer, ask, assertProblem } from '../support/attack.ts'
import { type DatabaseKind, databases, type Place } from '../support/databases.ts'
import { type MadeKey, makeKey } from '../support/keys.ts'
import { operationsOf, readDocument } from '../support/openapi.ts'
import { raisedLimits, startServer, type TestServer } from '../support/server.ts'
import { describeUnless } from '../support/services.ts'

/** Nobody ever has these. */
const nobodys = { user: `u${'a'.repeat(20)}`, key: 'aaaaaaaaaaaa', session: 'A'.repeat(22), passkey: 'A'.repeat(22) }

type Kind = keyof typeof nobodys

/** Somebody who has one of each. */
interface Person extends LoggedIn {
  readonly key: MadeKey
  readonly ids: Readonly<Record<Kind, string>>
}

/** What has an id in its path and belongs to somebody. Who holds the permission that is named may, whosever it is. */
const owned: readonly {
  readonly method: string
  readonly path: string
  readonly kind: Kind
  readonly permission?: string
  readonly body?: object
}[] = [
  { method: 'GET', path: '/v1/keys/:id', kind: 'key' },
  { method: 'DELETE', path: '/v1/keys/:id', kind: 'key' },
  { method: 'DELETE', path: '/v1/auth/sessions/:id', kind: 'session' },
  { method: 'DELETE', path: '/v1/me/passkeys/:id', kind: 'passkey' },
  { method: 'GET', path: '/v1/users/:id', kind: 'user', permission: 'users:read' },
  { method: 'PATCH', path: '/v1/users/:id', kind: 'user', permission: 'users:write', body: { disabled: true } },
  { method: 'DELETE', path: '/v1/users/:id', kind: 'user', permission: 'users:write' },
]

/** All that an answer says, but for what is its own each time. */
const said = (answer: Answer): unknown => ({
  status: answer.status,
  fields: answer.fields.filter(([name]) => !/^(date|x-request-id|ratelimit.*)$/.test(name)),
  body: answer.body.replace(/"request_id":"\w+"/, ''),
})

const suite = (database: DatabaseKind): void => {
  let place: Place
  let server: TestServer
  let admin: LoggedIn
  let ada: Person
  let bob: Person
  before(async () => {
    place = await database.place()
    server = await startServer({ toml: raisedLimits, env: place.env, dataDir: place.dataDir })
    admin = await claimAdmin(server, 'root-one')
    ada = await addPerson('ada')
    bob = await addPerson('bob')
  })
  after(async () => {
    await server?.[Symbol.asyncDispose]()
    await place?.[Symbol.asyncDispose]()
  })

  const addPerson = async (name: string): Promise<Person> => {
    const user = await addUser(server, admin, 'moderator', name)
    const passkey = `passkey-of-${name}`
    await database.change(
      place,
      `insert into passkey (id, account_id, name, public_key, counter, transports, created_at)
        values ('${passkey}', '${user.subject}', 'x', 'x', 0, '', 1);
       update session set mfa = 1 where id = '${user.sid}'`,
    )
    const key = await makeKey(server, user, ['films:write'])
    return { ...user, key, ids: { user: user.subject, key: key.id, session: user.sid, passkey: passkeyName(passkey) } }
  }
  const call = (method: string, path: string, id: string, who: Pick<LoggedIn, 'fields'>, body?: object): Promise<Answer> => {
    const target = path.replace(':id', id)
    return body === undefined
      ? ask(server, { method, target, fields: who.fields })
      : send(server, method, target, body, { fields: who.fields })
  }
  for (const { method, path, kind, permission, body } of owned) {
    test(`${method} ${path}: what is somebody else's is answered as what does not exist [ASVS 8.2.2]`, async () => {
      for (const [who, other] of [
        [ada, bob],
        [bob, ada],
      ] as const) {
        const others = await call(method, path, other.ids[kind], who, body)
        assertProblem(others, permission === undefined ? { status: 404, code: 'not_found' } : { status: 403, code: 'forbidden' })
        assert.deepEqual(said(others), said(await call(method, path, nobodys[kind], who, body)))
        const byKey = await call(method, path, other.ids[kind], who.key, body)
        assert.deepEqual(said(byKey), said(await call(method, path, nobodys[kind], who.key, body)), 'with an API key')
        assert.ok([403, 404].includes(byKey.status), byKey.body)
      }
      const nobody = await call(method, path, ada.ids[kind], { fields: {} }, body)
      assertProblem(nobody, { status: 401, code: 'unauthenticated' })
      assert.deepEqual(said(nobody), said(await call(method, path, nobodys[kind], { fields: {} }, body)))
    })
  }

  test('an admin reaches accounts by their id, and no key by its own: those are of their owner', async () => {
    assert.equal((await call('GET', '/v1/users/:id', ada.subject, admin)).status, 200)
    for (const method of ['GET', 'DELETE'])
      assert.deepEqual(
        said(await call(method, '/v1/keys/:id', ada.key.id, admin)),
        said(await call(method, '/v1/keys/:id', nobodys.key, admin)),
      )
    assertProblem(await call('GET', '/v1/users/:id', nobodys.user, admin), { status: 404, code: 'not_found' })
  })

  test('lists hold nothing of others, and an id in a body or a query makes nobody somebody else', async () => {
    for (const target of ['/v1/keys', '/v1/auth/sessions', '/v1/me', '/v1/me/passkeys']) {
      const answer = await ask(server, { target, fields: ada.fields })
      assert.equal(answer.status, 200, answer.body)
      for (const id of Object.values(bob.ids)) assert.ok(!answer.body.includes(id), target)
    }
    for (const query of [`subject=${bob.subject}`, `user_id=${bob.subject}`, `account=${bob.subject}`, `id=${bob.subject}`])
      for (const target of ['/v1/keys', '/v1/auth/sessions', '/v1/me'])
        assertProblem(await ask(server, { target: `${target}?${query}`, fields: ada.fields }), { status: 400, code: 'validation_failed' })
    for (const name of ['id', 'subject', 'user_id', 'owner', 'account_id']) {
      const key: Answer = await send(
        server,
        'POST',
        '/v1/keys',
        { name: 'x', scopes: ['films:read'], [name]: bob.subject },
        { fields: ada.fields },
      )
      assertProblem(key, { status: 400, code: 'validation_failed', pointer: `/${name}` })
      const password = { current_password: goodPassword, new_password: 'eleven herons by the old weir', [name]: bob.subject }
      const answer = await send(server, 'PUT', '/v1/me/password', password, { fields: ada.fields })
      assertProblem(answer, { status: 400, code: 'validation_failed', pointer: `/${name}` })
    }
    for (const header of ['X-User-Id', 'X-Forwarded-User', 'X-Original-User', 'X-Remote-User', 'Impersonate-User']) {
      const answer = await ask(server, { target: '/v1/me', fields: { ...ada.fields, [header]: bob.subject } })
      assert.equal(answer.json()['id'], ada.subject)
    }
  })

  test('after all of it everything is as it was', async () => {
    for (const who of [ada, bob]) assert.equal((await ask(server, { target: '/v1/me', fields: who.fields })).status, 200)
    for (const { key } of [ada, bob])
      assert.equal((await send(server, 'POST', '/add_film', { name: 'Moana' }, { fields: key.fields })).status, 201)
    assert.equal((await place.query('select id from passkey')).length, 2)
  })

  test('no route of accounts with an id is left out of this table', async () => {
    const document = await readDocument(server)
    const withId = [...operationsOf(document).keys()].filter((name) => /^\w+ \/v1\/(keys|users|auth|me)\/.*:/.test(name))
    assert.deepEqual(withId.toSorted(), owned.map(({ method, path }) => `${method} ${path}`).toSorted())
  })
}

for (const kind of databases) describeUnless(kind.missing, `what is whose, on ${kind.name}`, () => suite(kind))
