import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { createApiKey, formatApiKey } from '../../src/credentials/api-key.ts'
import { createOpaqueToken } from '../../src/credentials/opaque-token.ts'
import { assertEnded, goodPassword, listSessions, logIn, logOut, refresh, send, tryLogin, tryRefresh } from '../support/accounts.ts'
import type { Answer } from '../support/attack.ts'
import { databases } from '../support/databases.ts'
import { auditOf, openLoginApp, openLoginScene } from '../support/login-app.ts'
import { describeUnless } from '../support/services.ts'

const ada = { username: 'ada', password: goodPassword }

const statusesOf = (answers: readonly Answer[]): Record<string, number> => {
  const counts: Record<string, number> = {}
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1
  return counts
}

/** All that a client sees but what is new in every answer. */
const seen = ({ status, body, fields }: Answer) => ({
  status,
  body: body.replace(/"request_id":"[^"]*"/, ''),
  fields: fields.filter(([name]) => !['date', 'ratelimit'].includes(name)),
})

for (const kind of databases) {
  describeUnless(kind.missing, `attacks on refresh tokens, ${kind.name}`, () => {
    for (const instances of [1, 2])
      test(`[ASVS 10.4.5] attack: 20 refreshes with one token at once, to ${instances} instance(s): at most one answer, and the session ends`, async () => {
        await using scene = await openLoginScene(kind)
        const { app, clock, opened } = scene
        await app.addAccount('ada')
        await using second = await openLoginApp({ database: await opened.another(), clock })
        const session = await logIn(app, ada)
        const other = await logIn(app, ada)
        const answers = await Promise.all(
          Array.from({ length: 20 }, (_, i) => tryRefresh(i % instances === 0 ? app : second, session.refreshToken)),
        )
        const counts = statusesOf(answers)
        assert.ok((counts['200'] ?? 0) <= 1 && (counts['200'] ?? 0) + (counts['401'] ?? 0) === 20, JSON.stringify(counts))
        const winner = answers.find(({ status }) => status === 200)?.json()
        const newest = String(winner?.['refresh_token'])
        for (const one of [app, second]) assert.equal((await tryRefresh(one, newest)).status, 401)
        await assertEnded(app, session)
        assert.equal((await listSessions(app, other)).status, 200, 'another session of the account goes on')
        const reuses = [...app.events, ...second.events].filter(({ event }) => event === 'authn_token_reuse')
        assert.equal(reuses.length, 1)
        assert.deepEqual(await auditOf(opened.database, 'session.end'), [{ target: session.sid, actor: 'system', reason: 'token_reuse' }])
      })

    test('[ASVS 10.4.5] attack: a stolen token is used first: the owner, who comes second, ends what the thief got', async () => {
      await using scene = await openLoginScene(kind)
      const { app } = scene
      await app.addAccount('ada')
      const owner = await logIn(app, ada)
      let thief = await refresh(app, owner)
      for (let time = 0; time < 3; time++) thief = await refresh(app, thief)
      assert.equal((await listSessions(app, thief)).status, 200)
      assert.equal((await tryRefresh(app, owner.refreshToken)).status, 401)
      await assertEnded(app, thief)
    })

    test('attack: the token of a session that has ended tells nothing, and ends nothing else', async () => {
      await using scene = await openLoginScene(kind)
      const { app } = scene
      await app.addAccount('ada')
      const [first, other] = [await logIn(app, ada), await logIn(app, ada)]
      const second = await refresh(app, first)
      assert.equal((await logOut(app, { refresh_token: second.refreshToken })).status, 204)
      const unknown = seen(await tryRefresh(app, createOpaqueToken('fgr').token))
      for (const token of [first.refreshToken, second.refreshToken, first.refreshToken])
        assert.deepEqual(seen(await tryRefresh(app, token)), unknown)
      assert.equal(unknown.status, 401)
      assert.equal(app.events.filter(({ event }) => event === 'authn_token_reuse').length, 0, 'it had ended before')
      assert.equal((await listSessions(app, other)).status, 200)
    })

    test('[ASVS 7.2.2] attack: no other credential does for a refresh token, a static key least of all', async () => {
      await using scene = await openLoginScene(kind)
      const { app, opened } = scene
      await app.addAccount('ada')
      const session = await logIn(app, ada)
      const [stored] = await opened.database.reader.selectFrom('refresh_token').selectAll().execute()
      const { refreshToken } = session
      const unknown = seen(await tryRefresh(app, createOpaqueToken('fgr').token))
      assert.equal(unknown.status, 401)
      for (const token of [
        session.accessToken.slice(0, 200),
        session.sid,
        formatApiKey(createApiKey()),
        createOpaqueToken('fgm').token,
        stored?.hash ?? '',
        `fgr_${stored?.hash ?? ''}`,
        refreshToken.replace('fgr_', 'fgm_'),
        refreshToken.replace('fgr_', 'FGR_'),
        refreshToken.slice(4),
        `${refreshToken}=`,
        `${refreshToken}\n`,
        ` ${refreshToken}`,
        refreshToken.slice(0, -1),
        `${refreshToken}A`,
      ])
        assert.deepEqual(seen(await tryRefresh(app, token)), unknown, token)
      // Nor the other way round.
      const asAccess = await listSessions(app, { fields: { Authorization: `Bearer ${refreshToken}` } })
      assert.equal(asAccess.status, 401)
      assert.equal((await tryRefresh(app, refreshToken)).status, 200, 'it was not used up')
    })

    test('attack: anything at all as a token is refused, and never a fault', async () => {
      await using scene = await openLoginScene(kind)
      const { app } = scene
      const anything = fc.oneof(fc.string({ minLength: 1, maxLength: 100, unit: 'binary' }), fc.base64String({ maxLength: 60 }))
      await fc.assert(
        fc.asyncProperty(
          fc.oneof(
            anything,
            anything.map((text) => `fgr_${text}`),
          ),
          async (token) => {
            const { status } = await tryRefresh(app, token)
            assert.ok(status === 401 || status === 400, String(status))
          },
        ),
        { numRuns: 100 },
      )
      for (const body of [{}, { refresh_token: null }, { refresh_token: ['x'] }, { refresh_token: 'x'.repeat(201) }, [], 'x', null])
        assert.ok([400, 401].includes((await send(app, 'POST', '/v1/auth/refresh', body)).status))
    })

    test('[ASVS 7.2.4] attack: a session that somebody planted before the login is not the one that is logged in', async () => {
      await using scene = await openLoginScene(kind)
      const { app } = scene
      await app.addAccount('ada')
      await app.addAccount('mallory')
      const planted = await logIn(app, { ...ada, username: 'mallory' })
      const fixed = await send(app, 'POST', '/v1/auth/login', { ...ada, refresh_token: planted.refreshToken, sid: planted.sid })
      assert.equal(fixed.status, 400)
      const cookie = { Cookie: `__Host-filmgate_session=${planted.refreshToken}`, Origin: `http://localhost` }
      const answer = await tryLogin(app, ada, { fields: cookie })
      assert.equal(answer.status, 200)
      assert.notEqual(answer.json()['refresh_token'], planted.refreshToken)
      await assertEnded(app, planted)
    })
  })
}
