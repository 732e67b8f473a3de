import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { type AccountServer, openAccountServer } from '../support/account-server.ts'
import { addUser, goodPassword, type LoggedIn, logIn, otherPassword, refresh, send, tryLogin, tryRefresh } from '../support/accounts.ts'
import { type Answer, ask, assertProblem } from '../support/attack.ts'
import { type DatabaseKind, databases } from '../support/databases.ts'
import { makeKey } from '../support/keys.ts'
import { assertDescribed, readDocument } from '../support/openapi.ts'
import { describeUnless } from '../support/services.ts'

interface User {
  readonly id: string
  readonly username: string
  readonly role: string
  readonly disabled: boolean
}

const suite = (kind: DatabaseKind): void => {
  let at: AccountServer
  before(async () => {
    at = await openAccountServer(kind)
  })
  after(() => at?.[Symbol.asyncDispose]())

  const get = (target: string, who: Pick<LoggedIn, 'fields'> = at.admin): Promise<Answer> => ask(at.server, { target, fields: who.fields })
  const patch = (user: { readonly subject: string }, body: unknown, who = at.admin): Promise<Answer> =>
    send(at.server, 'PATCH', `/v1/users/${user.subject}`, body, { fields: who.fields })
  const remove = (user: { readonly subject: string }, who = at.admin): Promise<Answer> =>
    ask(at.server, { method: 'DELETE', target: `/v1/users/${user.subject}`, fields: who.fields })
  const addFilm = (who: Pick<LoggedIn, 'fields'>): Promise<Answer> =>
    send(at.server, 'POST', '/add_film', { name: 'Moana' }, { fields: who.fields })

  const add = (change: object): Promise<Answer> => {
    const body = { username: 'new-one', role: 'viewer', password: goodPassword, ...change }
    return send(at.server, 'POST', '/v1/users', body, { fields: at.admin.fields })
  }

  test('an admin adds somebody, who logs in; no answer holds anything of the password', async () => {
    const document = await readDocument(at.server)
    const body = { username: 'grace', role: 'editor', password: goodPassword }
    const added = await send(at.server, 'POST', '/v1/users', body, { fields: at.admin.fields })
    assert.equal(added.status, 201, added.body)
    assertDescribed(document, 'POST /v1/users', added)
    const { id, created_at: createdAt, ...rest } = added.json() as unknown as User & { created_at: string }
    assert.equal(added.field('location'), `/v1/users/${id}`)
    assert.ok(Math.abs(Date.parse(createdAt) - Date.now()) < 600_000, createdAt)
    assert.deepEqual(rest, { username: 'grace', role: 'editor', disabled: false, last_login_at: null, second_factor: [] })
    const grace = await logIn(at.server, { username: 'grace', password: goodPassword })
    assert.equal(grace.subject, id)
    assert.equal((await addFilm(grace)).status, 201)
    const read = await get(`/v1/users/${id}`)
    assertDescribed(document, 'GET /v1/users/:id', read)
    assert.notEqual(read.json()['last_login_at'], null)
    for (const { body: text } of [added, read]) assert.doesNotMatch(text, /password|argon2|hash|epoch|totp_secret/)
    const event = await at.server.logged((record) => record['event'] === 'user_created' && record['subject'] === id)
    assert.equal(event['by'], at.admin.subject)
    const [row] = await at.place.query(`select actor, details from audit where action = 'user.create' and target = '${id}'`)
    assert.deepEqual([row?.['actor'], JSON.parse(String(row?.['details']))], [at.admin.subject, { username: 'grace', role: 'editor' }])
  })

  test('names that are taken or not allowed, and passwords that nobody should have, are refused', async () => {
    assertProblem(await add({ username: 'ada' }), { status: 409, code: 'conflict' })
    for (const username of ['A', 'a', 'Ada', 'ada ', 'a/b', 'ä-one', 'a'.repeat(65), 'cli', 'system', 'starter', 1, null])
      assertProblem(await add({ username }), { status: 400, code: 'validation_failed', pointer: '/username' })
    for (const password of ['short', 'password123456', 'aaaaaaaaaaaaaaaa', 'x'.repeat(129), 'filmgate-filmgate', 7])
      assertProblem(await add({ password }), { status: 400, code: 'validation_failed', pointer: '/password' })
    for (const role of ['root', 'Admin', '', ['admin']])
      assertProblem(await add({ role }), { status: 400, code: 'validation_failed', pointer: '/role' })
  })

  test('nobody gets to fields that are not theirs to set, to filter or to sort by [ASVS 8.2.3]', async () => {
    const body = { username: 'mass-one', role: 'viewer', password: goodPassword }
    for (const [name, value] of Object.entries({
      id: 'u'.repeat(21),
      epoch: 0,
      disabled: false,
      created_at: 1,
      permissions: ['users:write'],
    })) {
      const answer = await send(at.server, 'POST', '/v1/users', { ...body, [name]: value }, { fields: at.admin.fields })
      assertProblem(answer, { status: 400, code: 'validation_failed', pointer: `/${name}` })
    }
    const grace = await addUser(at.server, at.admin, 'viewer', 'mass-grace')
    for (const name of ['id', 'username', 'epoch', 'password_hash', 'totp_secret', 'mfa', '__proto__x', 'created_at'])
      assertProblem(await patch(grace, { [name]: 1 }), { status: 400, code: 'validation_failed', pointer: `/${name}` })
    assertProblem(await patch(grace, {}), { status: 400, code: 'validation_failed' })
    assertProblem(await patch(grace, { remove_factors: false }), { status: 400, code: 'validation_failed', pointer: '/remove_factors' })
    for (const query of ['sort=password_hash', 'role=admin', 'q=a', 'username=ada', 'password_hash=%24argon2'])
      assertProblem(await get(`/v1/users?${query}`), { status: 400, code: 'validation_failed' })
  })

  test('the list comes in pages, whose cursors nobody can make up', async () => {
    const document = await readDocument(at.server)
    for (const name of ['page-a', 'page-b', 'page-c'])
      await send(at.server, 'POST', '/v1/users', { username: name, role: 'viewer', password: goodPassword }, { fields: at.admin.fields })
    const names: string[] = []
    let target: string | undefined = '/v1/users?limit=2'
    while (target !== undefined) {
      const page: Answer = await get(target)
      assertDescribed(document, 'GET /v1/users', page)
      const { items, next } = page.json() as unknown as { items: readonly User[]; next: string | null }
      assert.ok(items.length <= 2)
      names.push(...items.map(({ username }) => username))
      target = next === null ? undefined : `/v1/users?limit=2&cursor=${next}`
      assert.equal(page.field('link'), target && `<?limit=2&cursor=${next}>; rel="next"`)
    }
    const all = await at.place.query('select username from account')
    assert.deepEqual(names, all.map(({ username }) => String(username)).toSorted())
    for (const query of [
      'limit=101',
      'limit=0',
      'limit=-1',
      'limit=1e1',
      'limit=',
      'limit=2&limit=3',
      'cursor=ada',
      'cursor=',
      `cursor=${'A'.repeat(40)}`,
    ])
      assertProblem(await get(`/v1/users?${query}`), { status: 400, code: 'validation_failed' })
  })

  test('only those who may: neither viewer, editor nor moderator, and nobody without a fresh login', async () => {
    const target = `/v1/users/${at.admin.subject}`
    for (const role of ['viewer', 'editor', 'moderator'] as const) {
      const user = await addUser(at.server, at.admin, role, `may-${role}`)
      for (const answer of [
        await get('/v1/users', user),
        await get(target, user),
        await patch(at.admin, { role: 'viewer' }, user),
        await remove(at.admin, user),
        await send(at.server, 'POST', '/v1/users', { username: 'x-one', role: 'admin', password: goodPassword }, { fields: user.fields }),
      ]) {
        assertProblem(answer, { status: 403, code: 'forbidden' })
        // The id of a request has the letters too, now and then.
        assert.doesNotMatch(answer.body.replace(/"request_id":"\w+"/, ''), /ada/)
      }
    }
    const stale = await addUser(at.server, at.admin, 'admin', 'stale-admin')
    await kind.change(at.place, `update session set authenticated_at = authenticated_at - 301000 where id = '${stale.sid}'`)
    assert.equal((await get('/v1/users', stale)).status, 200)
    for (const answer of [await patch(at.admin, { role: 'viewer' }, stale), await remove(at.admin, stale)]) {
      assertProblem(answer, { status: 401, code: 'unauthenticated' })
      assert.match(answer.field('www-authenticate') ?? '', /insufficient_user_authentication.*max_age="300"/)
    }
    assert.equal((await remove(stale)).status, 204)
  })

  test('a new role is in force at the next call, whatever the access token of before says [ASVS 8.3.2]', async () => {
    const grace = await addUser(at.server, at.admin, 'editor', 'role-grace')
    assert.equal((await addFilm(grace)).status, 201, 'the token is known and remembered')
    const changed = await patch(grace, { role: 'viewer' })
    assert.deepEqual([changed.status, changed.json()['role']], [200, 'viewer'])
    assertProblem(await addFilm(grace), { status: 401, code: 'unauthenticated' })
    const now = await refresh(at.server, grace)
    assertProblem(await addFilm(now), { status: 403, code: 'forbidden' })
    assert.equal((await patch(grace, { role: 'admin' })).status, 200)
    assertProblem(await get('/v1/users', now), { status: 401, code: 'unauthenticated' })
    assert.equal((await get('/v1/users', await refresh(at.server, now))).status, 200)
    const event = await at.server.logged((one) => one['event'] === 'privilege_permissions_changed' && one['subject'] === grace.subject)
    assert.deepEqual([event['by'], event['role']], [at.admin.subject, 'viewer'])
    const rows = await at.place.query(`select details from audit where action = 'user.role' and target = '${grace.subject}' order by seq`)
    assert.deepEqual(
      rows.map(({ details }) => JSON.parse(String(details)) as unknown),
      [
        { from: 'editor', to: 'viewer' },
        { from: 'viewer', to: 'admin' },
      ],
    )
    assert.equal((await remove(grace)).status, 204)
  })

  for (const how of ['disabled', 'removed'] as const) {
    test(`who is ${how} is out at once: sessions, refresh tokens, API keys, logins [ASVS 7.4.2]`, async () => {
      const grace = await addUser(at.server, at.admin, 'editor', `out-${how}`)
      const second = await logIn(at.server, grace)
      const key = await makeKey(at.server, grace, ['films:write'])
      for (const who of [grace, second, key]) assert.equal((await addFilm(who)).status, 201)
      const answer = how === 'disabled' ? await patch(grace, { disabled: true }) : await remove(grace)
      assert.equal(answer.status, how === 'disabled' ? 200 : 204, answer.body)
      for (const who of [grace, second, key]) assertProblem(await addFilm(who), { status: 401, code: 'unauthenticated' })
      for (const who of [grace, second]) assert.equal((await tryRefresh(at.server, who.refreshToken)).status, 401)
      const known = await tryLogin(at.server, grace)
      assert.equal(known.status, 401)
      const { request_id: _, ...words } = known.json()
      const { request_id: __, ...nobody } = (await tryLogin(at.server, { username: 'nobody-at-all', password: goodPassword })).json()
      assert.deepEqual(words, nobody, 'as for a name that nobody has')
      if (how === 'removed') {
        assertProblem(await get(`/v1/users/${grace.subject}`), { status: 404, code: 'not_found' })
        for (const table of ['session', 'known_place', 'passkey', 'recovery_code', 'pending_login'])
          assert.deepEqual(await at.place.query(`select * from ${table} where account_id = '${grace.subject}'`), [], table)
        assert.deepEqual(await at.place.query(`select * from api_key where subject = '${grace.subject}'`), [])
        return
      }
      assert.equal((await patch(grace, { disabled: false })).json()['disabled'], false)
      for (const who of [grace, second, key]) assertProblem(await addFilm(who), { status: 401, code: 'unauthenticated' })
      assert.equal((await tryRefresh(at.server, second.refreshToken)).status, 401, 'what was ended does not come back')
      assert.equal((await tryLogin(at.server, grace)).status, 200)
    })
  }

  test('a password that an admin sets ends every session; the old one is good for nothing', async () => {
    const grace = await addUser(at.server, at.admin, 'editor', 'forgot-one')
    assert.equal((await addFilm(grace)).status, 201)
    assertProblem(await patch(grace, { password: 'password123456' }), { status: 400, code: 'validation_failed', pointer: '/password' })
    assert.equal((await addFilm(grace)).status, 201)
    assert.equal((await patch(grace, { password: otherPassword })).status, 200)
    assertProblem(await addFilm(grace), { status: 401, code: 'unauthenticated' })
    assert.equal((await tryRefresh(at.server, grace.refreshToken)).status, 401)
    assert.equal((await tryLogin(at.server, grace)).status, 401)
    assert.equal((await tryLogin(at.server, { ...grace, password: otherPassword })).status, 200)
  })

  test('somebody who lost the second factor: an admin takes it away, which ends the sessions [ASVS 6.4.4] [ASVS 7.4.3]', async () => {
    const grace = await addUser(at.server, at.admin, 'editor', 'lost-phone')
    await kind.change(at.place, `update account set totp_secret = 'x', totp_confirmed_at = 1, totp_step = 1 where id = '${grace.subject}'`)
    assert.deepEqual((await get(`/v1/users/${grace.subject}`)).json()['second_factor'], ['totp'])
    assert.equal((await addFilm(grace)).status, 201)
    const answer = await patch(grace, { remove_factors: true })
    assert.deepEqual([answer.status, answer.json()['second_factor']], [200, []])
    assertProblem(await addFilm(grace), { status: 401, code: 'unauthenticated' })
    assert.equal((await tryRefresh(at.server, grace.refreshToken)).status, 401)
    assert.equal((await tryLogin(at.server, grace)).status, 200)
  })

  test('no password hints and no secret questions: nothing asks for them, nothing tells them [ASVS 6.4.2]', async () => {
    const document = await readDocument(at.server)
    const text = JSON.stringify(document)
    assert.match(text, /"current_password":\{/, 'the schemas are in there')
    assert.doesNotMatch(text, /"\w*(hint|question|reminder|security_answer)\w*":/)
    const columns = await at.place.query('select * from account')
    assert.deepEqual(
      Object.keys(columns[0] ?? {}).filter((name) => /hint|question|answer|reminder/.test(name)),
      [],
    )
  })

  test('nobody uses this power on the own account', async () => {
    const own = at.admin
    for (const body of [{ role: 'viewer' }, { disabled: true }, { password: otherPassword }, { remove_factors: true }, { role: 'admin' }])
      assertProblem(await patch(own, body), { status: 403, code: 'forbidden' })
    assertProblem(await remove(own), { status: 403, code: 'forbidden' })
    assert.equal((await get('/v1/users')).status, 200)
  })

  test('two admins who demote each other at the same moment: one of them stays', async () => {
    const [a, b] = [await addUser(at.server, at.admin, 'admin', 'pair-a'), await addUser(at.server, at.admin, 'admin', 'pair-b')]
    await kind.change(at.place, `update account set disabled_at = 1 where id = '${at.admin.subject}'`)
    try {
      const results = await Promise.all([patch(b, { role: 'viewer' }, a), patch(a, { role: 'viewer' }, b)])
      const statuses = results.map(({ status }) => status)
      assert.equal(statuses.filter((status) => status === 200).length, 1, statuses.join())
      assert.equal(statuses.filter((status) => [401, 403, 409].includes(status)).length, 1, statuses.join())
      const admins = await at.place.query(`select id from account where role = 'admin' and disabled_at is null`)
      assert.equal(admins.length, 1)
      const last = admins[0]?.['id'] === a.subject ? a : b
      assertProblem(await ask(at.server, { method: 'DELETE', target: '/v1/me', fields: last.fields }), { status: 409, code: 'conflict' })
    } finally {
      await kind.change(at.place, `update account set disabled_at = null where id = '${at.admin.subject}'`)
    }
  })
}

for (const kind of databases) describeUnless(kind.missing, `users on ${kind.name}`, () => suite(kind))
