import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { createPasskeys, passkeyName } from '../src/api/accounts/factors/passkey-table.ts'
import { type Permission, permissionsOf } from '../src/core/access.ts'
import { systemClock as clock } from '../src/core/clock.ts'
import { createAccountId } from '../src/credentials/ids.ts'
import { type AccessApp, openAccessApp } from './support/access-app.ts'
import { goodPassword, otherPassword, send } from './support/accounts.ts'
import { type Answer, ask, assertProblem, assertSafe } from './support/attack.ts'
import { type DatabaseKind, databases, type OpenDatabase } from './support/databases.ts'
import { operationsOf, readDocument } from './support/openapi.ts'
import { describeUnless } from './support/services.ts'
import { storeDecision } from './support/stored-decision.ts'

/**
 * Every route that names one thing, and what somebody may do with what belongs to another of the same role (BOLA, OWASP API Security Top 10
 * 2023, API1). `owned`: the answer is that for a thing that does not exist. `public`: it belongs to everybody. A permission: who holds it
 * administers, whosever it is; to all others there is no difference between what exists and what does not.
 */
const expected: Readonly<Record<string, 'owned' | 'public' | Permission>> = {
  'GET /v1/films/:id': 'public',
  'HEAD /v1/films/:id': 'public',
  'GET /problems/:code': 'public',
  'HEAD /problems/:code': 'public',
  'GET /v1/keys/:id': 'owned',
  'HEAD /v1/keys/:id': 'owned',
  'DELETE /v1/keys/:id': 'owned',
  'DELETE /v1/auth/sessions/:id': 'owned',
  'DELETE /v1/me/passkeys/:id': 'owned',
  'GET /v1/users/:id': 'users:read',
  'HEAD /v1/users/:id': 'users:read',
  'PATCH /v1/users/:id': 'users:write',
  'DELETE /v1/users/:id': 'users:write',
  'GET /v1/limits/:identity': 'security:read',
  'HEAD /v1/limits/:identity': 'security:read',
  'DELETE /v1/limits/:identity': 'security:write',
  'GET /v1/security/decisions/:id': 'security:read',
  'HEAD /v1/security/decisions/:id': 'security:read',
  'DELETE /v1/security/decisions/:id': 'security:write',
  'GET /v1/security/explain/:about': 'security:read',
  'HEAD /v1/security/explain/:about': 'security:read',
}

const owned = Object.keys(expected).filter((route) => expected[route] === 'owned')
const shared = Object.keys(expected).filter((route) => expected[route] === 'public')
const administered = Object.entries(expected).filter((row): row is [string, Permission] => row[1] !== 'owned' && row[1] !== 'public')

const roles = ['viewer', 'editor', 'moderator'] as const
type OwnerRole = (typeof roles)[number]

/** By the folder in the path. */
interface Things {
  readonly keys: string
  readonly sessions: string
  readonly passkeys: string
  readonly users: string
  readonly limits: string
  readonly decisions: string
  readonly explain: string
}

/** Somebody with one of everything that can be owned. */
interface Owner {
  readonly role: OwnerRole
  readonly bearer: string
  readonly keyBearer: string
  readonly things: Things
}

const nobodys: Things = {
  keys: 'nobodyhasit1',
  sessions: 'nobodyhasthisid-atall0',
  passkeys: passkeyName('of nobody'),
  users: createAccountId(),
  limits: '@nobody',
  decisions: 'nobodyhasthisid0',
  explain: '@nobody',
}

const bodies: Readonly<Record<string, object>> = { 'PATCH /v1/users/:id': { disabled: true } }

/** All of an answer but what differs between any two. */
const shape = ({ status, fields, body }: Answer) => ({
  status,
  fields: fields.filter(([name]) => !/^(x-request-id|date|ratelimit)$/.test(name)),
  body: body.replace(/"request_id":"\w+"/, ''),
})

/** Answers to HEAD say the status alone. */
const assertRefused = (route: string, answer: Answer, status: number, code: string): void => {
  assertSafe(answer)
  if (route.startsWith('HEAD ')) assert.equal(answer.status, status)
  else assertProblem(answer, { status, code })
}

const suite = (kind: DatabaseKind): void => {
  let opened: OpenDatabase
  let at: AccessApp
  before(async () => {
    opened = await kind.open()
    at = await openAccessApp(opened.database)
  })
  after(async () => {
    await at?.close()
    await opened?.[Symbol.asyncDispose]()
  })

  const addOwner = async (username: string, role: OwnerRole): Promise<Owner> => {
    const { id, sid, bearer } = await at.addMember(username, role, { mfa: true })
    const key = await at.addKey(id, ['votes:write', 'films:write'])
    const passkeyId = Buffer.from(`the passkey of ${username}`).toString('base64url')
    const passkey = { id: passkeyId, accountId: id, name: 'a phone', publicKey: 'AA', counter: 0, transports: [] }
    const added = createPasskeys(at.database, clock.epochMs).add(passkey)
    assert.equal((await at.database.commit([added])).result, 'committed')
    const things = {
      keys: key.id,
      sessions: sid,
      passkeys: passkeyName(passkeyId),
      users: id,
      limits: `@${username}`,
      decisions: await storeDecision(at.database, id),
      explain: `@${username}`,
    }
    return { role, bearer, keyBearer: key.bearer, things }
  }

  /** Two of a role, of names that nobody had. */
  const addPair = async (role: OwnerRole, of: string): Promise<readonly [Owner, Owner]> => {
    const end = `${role}-${of.replaceAll(/\W/g, '').toLowerCase()}`
    return [await addOwner(`ann-${end}`, role), await addOwner(`bob-${end}`, role)]
  }

  const call = (route: string, things: Things, bearer: string | null): Promise<Answer> => {
    const [method = '', url = ''] = route.split(' ')
    const [, folder = ''] = /\/(\w+)\/:\w+$/.exec(url) ?? []
    const target = url.replace(/:\w+$/, things[folder as keyof Things])
    const [fields, body] = [{ Authorization: bearer }, bodies[route]]
    return body === undefined ? ask(at.api, { method, target, fields }) : send(at.api, method, target, body, { fields })
  }

  /** What exists is answered as what does not; returns that answer. */
  const assertBlind = async (route: string, other: Owner, bearer: string | null): Promise<Answer> => {
    const theirs = await call(route, other.things, bearer)
    assertSafe(theirs)
    assert.deepEqual(shape(theirs), shape(await call(route, nobodys, bearer)))
    return theirs
  }

  const stored = async () => {
    const { reader } = at.database
    return {
      accounts: await reader.selectFrom('account').selectAll().orderBy('id').execute(),
      keys: await reader.selectFrom('api_key').select(['id', 'subject', 'scopes', 'revoked_at', 'expires_at']).orderBy('id').execute(),
      sessions: await reader.selectFrom('session').select(['id', 'account_id', 'revoked_at', 'expires_at']).orderBy('id').execute(),
      passkeys: await reader.selectFrom('passkey').selectAll().orderBy('id').execute(),
    }
  }

  /** The session and the key of somebody do what they did. */
  const assertIntact = async ({ role, bearer, keyBearer, things }: Owner): Promise<void> => {
    const me = await ask(at.api, { target: '/v1/me', fields: { Authorization: bearer } })
    assert.deepEqual([me.status, me.json()['id']], [200, things.users])
    assert.equal((await call('GET /v1/keys/:id', things, keyBearer)).status, 200)
    const film = await send(at.api, 'POST', '/add_film', { name: 'Moana' }, { fields: { Authorization: keyBearer } })
    assert.equal(film.status, permissionsOf(role).has('films:write') ? 201 : 403)
  }

  /** By each of the two with the session and the key, and by nobody. */
  const attack = async (route: string, pair: readonly [Owner, Owner], refusal: readonly [number, string]): Promise<void> => {
    const rows = await stored()
    const [ann, bob] = pair
    for (const [who, other] of [
      [ann, bob],
      [bob, ann],
    ] as const) {
      assertRefused(route, await assertBlind(route, other, who.bearer), ...refusal)
      const byKey = await assertBlind(route, other, who.keyBearer)
      assert.ok([403, 404].includes(byKey.status), byKey.body)
    }
    assertRefused(route, await assertBlind(route, ann, null), 401, 'unauthenticated')
    assert.deepEqual(await stored(), rows)
    for (const one of pair) await assertIntact(one)
  }

  test('every route with a parameter has a row, every row a route', async () => {
    const named = at.app.routes.filter(({ url }) => url.includes(':')).map(({ method, url }) => `${method} ${url}`)
    assert.deepEqual(named.toSorted(), Object.keys(expected).toSorted())
    const described = [...operationsOf(await readDocument(at.api)).keys()].filter((name) => name.includes(':'))
    assert.deepEqual(
      described.toSorted(),
      Object.keys(expected)
        .filter((name) => !name.startsWith('HEAD '))
        .toSorted(),
    )
  })

  for (const route of owned) {
    for (const role of roles) {
      test(`[ASVS 8.2.2] ${route}, both ${role}s: as if it were not there, and untouched`, async () => {
        const pair = await addPair(role, route)
        await attack(route, pair, [404, 'not_found'])
        const [ann] = pair
        assert.ok((await call(route, ann.things, ann.bearer)).status < 300, 'its owner may')
      })
    }
  }

  for (const [route, permission] of administered) {
    for (const role of roles) {
      const may = permissionsOf(role).has(permission)
      test(`[ASVS 8.2.2] ${route}, both ${role}s: ${may ? 'for anybody' : 'whether it is there or not is not said'}`, async () => {
        const pair = await addPair(role, route)
        if (!may) return attack(route, pair, [403, 'forbidden'])
        const [ann, bob] = pair
        assert.equal((await call(route, ann.things, bob.bearer)).status, 200)
        assertRefused(route, await assertBlind(route, ann, null), 401, 'unauthenticated')
        const byKey = await assertBlind(route, ann, bob.keyBearer)
        assert.equal(byKey.status, 403, 'a key has its scopes alone')
      })
    }
  }

  test('what is public is the same for everybody', async () => {
    const pair = await addPair('editor', 'public')
    for (const route of shared) {
      const [method = '', url = ''] = route.split(' ')
      const target = url.replace(':id', '1').replace(':code', 'not_found')
      const answers = []
      for (const bearer of [null, ...pair.flatMap((one) => [one.bearer, one.keyBearer])])
        answers.push(await ask(at.api, { method, target, fields: { Authorization: bearer } }))
      assert.equal(new Set(answers.map(({ status, body }) => `${status} ${body}`)).size, 1, route)
      assert.equal(answers[0]?.status, 200)
    }
  })

  test('an admin reaches accounts by their id, and no key and no passkey by its own: those are of their owner', async () => {
    const [ann] = await addPair('editor', 'admin')
    const { bearer } = await at.addMember('root', 'admin', { mfa: true })
    const rows = await stored()
    assert.equal((await call('GET /v1/users/:id', ann.things, bearer)).status, 200)
    assertProblem(await call('GET /v1/users/:id', nobodys, bearer), { status: 404, code: 'not_found' })
    const endsSession = 'DELETE /v1/auth/sessions/:id'
    for (const route of owned.filter((one) => one !== endsSession))
      assertRefused(route, await assertBlind(route, ann, bearer), 404, 'not_found')
    assert.deepEqual(await stored(), rows)
    await assertIntact(ann)
    // Of a session that somebody else has got hold of, an admin can be told (ASVS 7.4.5).
    assert.equal((await call(endsSession, ann.things, bearer)).status, 204)
  })

  test('[ASVS 8.2.2] lists hold nothing of others, and an id in a query, a body or a field makes nobody somebody else', async () => {
    const [ann, bob] = await addPair('moderator', 'lists')
    const rows = await stored()
    const [fields, subject] = [{ Authorization: ann.bearer }, bob.things.users]
    for (const target of ['/v1/keys', '/v1/auth/sessions', '/v1/me', '/v1/me/passkeys']) {
      const { status, body } = await ask(at.api, { target, fields })
      assert.equal(status, 200, body)
      for (const thing of Object.values(bob.things)) assert.ok(!body.includes(thing), target)
      assert.ok(
        Object.values(ann.things).some((thing) => body.includes(thing)),
        `${target} shows the own`,
      )
    }
    for (const name of ['subject', 'user_id', 'account', 'id'])
      for (const target of ['/v1/keys', '/v1/auth/sessions', '/v1/me'])
        assertProblem(await ask(at.api, { target: `${target}?${name}=${subject}`, fields }), { status: 400, code: 'validation_failed' })
    const password = { current_password: goodPassword, new_password: otherPassword }
    for (const name of ['id', 'subject', 'user_id', 'owner', 'account_id']) {
      const refused = { status: 400, code: 'validation_failed', pointer: `/${name}` }
      const key = { name: 'x', scopes: ['films:read'], [name]: subject }
      assertProblem(await send(at.api, 'POST', '/v1/keys', key, { fields }), refused)
      assertProblem(await send(at.api, 'PUT', '/v1/me/password', { ...password, [name]: subject }, { fields }), refused)
    }
    for (const header of ['X-User-Id', 'X-Forwarded-User', 'X-Original-User', 'X-Remote-User', 'Impersonate-User']) {
      const answer = await ask(at.api, { target: '/v1/me', fields: { ...fields, [header]: subject } })
      assert.equal(answer.json()['id'], ann.things.users)
    }
    assert.deepEqual(await stored(), rows)
    for (const one of [ann, bob]) await assertIntact(one)
  })
}

for (const kind of databases) describeUnless(kind.missing, `what is whose, on ${kind.name}`, () => suite(kind))
