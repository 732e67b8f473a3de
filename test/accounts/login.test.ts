import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { type AccountServer, openAccountServer } from '../support/account-server.ts'
import { addUser, listSessions, logIn, send, tryLogin, tryRefresh } from '../support/accounts.ts'
import { ask, assertLogged, assertProblem } from '../support/attack.ts'
import { databases } from '../support/databases.ts'
import { raisedLimits } from '../support/server.ts'
import { describeUnless } from '../support/services.ts'

const refused = { status: 401, code: 'unauthenticated' }

for (const kind of databases) {
  describeUnless(kind.missing, `logins through the whole server, on ${kind.name}`, () => {
    const toml = `${raisedLimits}\n[auth]\naccount_failures = "3 per hour"\n`
    let at: AccountServer
    before(async () => {
      at = await openAccountServer(kind, { toml })
    })
    after(() => at?.[Symbol.asyncDispose]())

    test('each refusal is a whole problem, logged without what was sent', async () => {
      const wrong = await tryLogin(at.server, { username: 'ada', password: 'not the password of ada' })
      assertProblem(wrong, refused)
      assert.match(wrong.field('www-authenticate') ?? '', /^Bearer /)
      await assertLogged(at.server, wrong, 'unauthenticated')
      assertProblem(await tryRefresh(at.server, 'fgr_nothing'), refused)
      const foreign = { fields: { Cookie: '__Host-filmgate_session=fgr_x', Origin: 'https://evil.example' } }
      assertProblem(await send(at.server, 'POST', '/v1/auth/refresh', {}, foreign), { status: 403, code: 'forbidden' })
      assertProblem(await listSessions(at.server, { fields: {} }), refused)
      assert.ok(!JSON.stringify(at.server.log()).includes('not the password of ada'))
    })

    test('[ASVS 6.3.1] by default ten wrong guesses in a quarter of an hour are looked at, of each client', async () => {
      const { username } = at.admin
      for (let i = 0; i < 10; i++) {
        const answer = await tryLogin(at.server, { username: `user-${i}`, password: 'x' }, { from: '127.0.0.9' })
        assertProblem(answer, refused)
      }
      const limited = await tryLogin(at.server, { username, password: at.admin.password }, { from: '127.0.0.9' })
      assertProblem(limited, { status: 429, code: 'quota_exceeded' })
      const seconds = Number(limited.field('retry-after'))
      assert.ok(seconds > 0 && seconds <= 900, String(seconds))
    })

    test('[ASVS 6.1.1] whom strangers keep out of a new place goes on at the known one, and an operator lets the name start anew', async () => {
      const user = await addUser(at.server, at.admin, 'viewer', 'grace')
      for (let i = 0; i < 3; i++)
        assertProblem(await tryLogin(at.server, { ...user, password: 'x' }, { from: `127.0.1.${i + 1}` }), refused)
      const away = { from: '127.0.1.99' }
      assertProblem(await tryLogin(at.server, user, away), { status: 429, code: 'quota_exceeded' })
      await logIn(at.server, user)
      await at.server.logged((record) => record['event'] === 'authn_login_lock' && record['subject'] === user.subject)
      const reset = await ask(at.server, { method: 'DELETE', target: '/v1/limits/@grace', fields: at.admin.fields })
      assert.equal(reset.status, 204, reset.body)
      await logIn(at.server, user, away)
    })

    test('ten slips of one person at one place: an operator lets the client, and the client for that name, start anew', async () => {
      const [user, there] = [await addUser(at.server, at.admin, 'viewer', 'dora'), { from: '127.0.0.12' }]
      await logIn(at.server, user, there)
      for (let i = 0; i < 10; i++) assertProblem(await tryLogin(at.server, { ...user, password: 'x' }, there), refused)
      for (const identity of ['127.0.0.12', '127.0.0.12@dora']) {
        assertProblem(await tryLogin(at.server, user, there), { status: 429, code: 'quota_exceeded' })
        const reset = await ask(at.server, { method: 'DELETE', target: `/v1/limits/${identity}`, fields: at.admin.fields })
        assert.equal(reset.status, 204, reset.body)
      }
      await logIn(at.server, user, there)
    })

    test('[ASVS 7.2.2] an API key opens no session, and neither sees nor ends any', async () => {
      const made = await send(
        at.server,
        'POST',
        '/v1/keys',
        { name: 'robot', scopes: ['users:read', 'users:write'] },
        { fields: at.admin.fields },
      )
      assert.equal(made.status, 201, made.body)
      const key = String(made.json()['key'])
      const fields = { Authorization: `Bearer ${key}` }
      assertProblem(await tryRefresh(at.server, key), refused)
      assertProblem(await send(at.server, 'POST', '/v1/auth/logout', {}, { fields }), refused)
      for (const [method, target] of [
        ['GET', '/v1/auth/sessions'],
        ['GET', `/v1/auth/sessions?user=${at.admin.subject}`],
        ['DELETE', '/v1/auth/sessions'],
        ['DELETE', `/v1/auth/sessions/${at.admin.sid}`],
      ] as const)
        assertProblem(await ask(at.server, { method, target, fields }), { status: 403, code: 'forbidden' })
      assert.equal((await listSessions(at.server, at.admin)).status, 200)
    })
  })
}
