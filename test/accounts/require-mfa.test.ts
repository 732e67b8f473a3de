import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { addUser, bearer, claimAdmin, goodPassword, loggedIn, type LoggedIn, logIn, refresh, send, tryLogin } from '../support/accounts.ts'
import { ask, assertProblem } from '../support/attack.ts'
import { databases } from '../support/databases.ts'
import { assertDescribed, readDocument } from '../support/openapi.ts'
import { beginLogin, codeAt, enrolTotp, finishLogin } from '../support/second-factor.ts'
import { raisedLimits, startServer, type TestServer } from '../support/server.ts'

const required = { FILMGATE_AUTH_REQUIRE_MFA_FOR: 'admin' }
const forbidden = { status: 403, code: 'forbidden' } as const

const get = (server: TestServer, { fields }: Pick<LoggedIn, 'fields'>, target: string) => ask(server, { target, fields })
const addFilm = (server: TestServer, { fields }: Pick<LoggedIn, 'fields'>) =>
  send(server, 'POST', '/add_film', { name: 'Moana' }, { fields })

for (const kind of databases) {
  describe(`auth.require_mfa_for on ${kind.name}`, { skip: kind.missing }, () => {
    test('[ASVS 6.3.3] an admin without a second factor logs in, sets one up, and only then is an admin', async () => {
      await using place = await kind.place()
      await using server = await startServer({ dataDir: place.dataDir, env: { ...place.env, ...required }, toml: raisedLimits })
      const document = await readDocument(server)
      const ada = await claimAdmin(server)
      const asked = { name: 'deploy', scopes: ['films:write', 'users:read'] }
      const made = await send(server, 'POST', '/v1/keys', asked, { fields: ada.fields })
      assertProblem(made, forbidden)

      // What everybody may, and what it takes to set a factor up: nothing else.
      assert.equal((await get(server, ada, '/v1/films/1')).status, 200)
      assert.equal((await get(server, ada, '/v1/me')).status, 200)
      for (const target of ['/v1/users', '/v1/audit', '/v1/limits']) assertProblem(await get(server, ada, target), forbidden)
      assertProblem(await addFilm(server, ada), forbidden)
      const eve = { username: 'eve', password: goodPassword, role: 'admin' }
      assertProblem(await send(server, 'POST', '/v1/users', eve, { fields: ada.fields }), forbidden)

      const { who, secret } = await enrolTotp(server, ada, Date.now())
      const state = await get(server, who, '/v1/me/totp')
      assertDescribed(document, 'GET /v1/me/totp', state)
      assert.deepEqual(state.json(), { enabled: true, recovery_codes_left: 10 })
      assert.equal((await get(server, who, '/v1/users')).status, 200)
      assert.equal((await addFilm(server, who)).status, 201)
      assertProblem(await ask(server, { method: 'DELETE', target: '/v1/me/totp', fields: who.fields }), { status: 409, code: 'conflict' })

      const ed = await addUser(server, who, 'editor')
      assert.equal((await addFilm(server, ed)).status, 201, 'of other roles nothing is asked')
      const token = await beginLogin(server, ada)
      // The code of now is spent; the next one is good already.
      const again = loggedIn(ada, await finishLogin(server, token, 'totp', codeAt(secret, Date.now() + 30_000)))
      assert.equal((await get(server, again, '/v1/users')).status, 200)
    })

    test('keys of an admin work while there is a factor; whoever loses it loses the rights at once, and gets them back with another', async () => {
      await using place = await kind.place()
      await using server = await startServer({ dataDir: place.dataDir, env: { ...place.env, ...required }, toml: raisedLimits })
      const { who: ada } = await enrolTotp(server, await claimAdmin(server), Date.now())
      const grace = await addUser(server, ada, 'admin', 'grace')
      assertProblem(await get(server, grace, '/v1/users'), forbidden)
      const { who } = await enrolTotp(server, grace, Date.now())
      const asked = { name: 'deploy', scopes: ['films:write'] }
      const made = await send(server, 'POST', '/v1/keys', asked, { fields: who.fields })
      assert.equal(made.status, 201, made.body)
      const key = { fields: bearer(String(made.json()['key'])) }
      assert.equal((await addFilm(server, key)).status, 201)

      const removed = await send(server, 'PATCH', `/v1/users/${grace.subject}`, { remove_factors: true }, { fields: ada.fields })
      assert.equal(removed.status, 200, removed.body)
      assert.equal((await get(server, who, '/v1/me')).status, 401, 'her sessions ended')
      assertProblem(await addFilm(server, key), forbidden)
      const anew = await logIn(server, grace)
      assertProblem(await get(server, anew, '/v1/users'), forbidden)
      const { who: back } = await enrolTotp(server, anew, Date.now())
      assert.equal((await get(server, back, '/v1/users')).status, 200)
      assert.equal((await addFilm(server, key)).status, 201)
    })

    test('[ASVS 6.3.4] a refresh does not make two factors of one, and a role that is given later needs them, too', async () => {
      await using place = await kind.place()
      await using server = await startServer({ dataDir: place.dataDir, env: { ...place.env, ...required }, toml: raisedLimits })
      const { who: ada } = await enrolTotp(server, await claimAdmin(server), Date.now())
      const ed = await addUser(server, ada, 'editor')
      const promoted = await send(server, 'PATCH', `/v1/users/${ed.subject}`, { role: 'admin' }, { fields: ada.fields })
      assert.equal(promoted.status, 200, promoted.body)
      const later = await refresh(server, ed)
      assertProblem(await get(server, later, '/v1/users'), forbidden)
      assertProblem(await addFilm(server, later), forbidden)
      assert.equal((await tryLogin(server, ed)).json()['mfa_required'], undefined)
    })
  })
}
