import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'

import { assertEnded, goodPassword, listSessions, logIn, logOut, refresh, tryLogin, tryRefresh } from '../support/accounts.ts'
import { databases } from '../support/databases.ts'
import { eventually } from '../support/deadline.ts'
import { auditOf, openLoginApp, openLoginScene, sceneStartMs } from '../support/login-app.ts'
import { describeUnless } from '../support/services.ts'

const sha256 = (text: string): string => createHash('sha256').update(text).digest('base64url')

const ada = { username: 'ada', password: goodPassword }
const grace = { username: 'grace', password: goodPassword }
const [minute, hour] = [60_000, 3_600_000]

const at = (i: number) => ({ address: `192.0.2.${i}`, prefix: `192.0.2.${i}` })

for (const kind of databases) {
  describeUnless(kind.missing, `sessions on ${kind.name}`, () => {
    test('a login opens a session: tokens that no cache keeps, an audited row, events without secrets', async () => {
      await using scene = await openLoginScene(kind)
      const { app, opened } = scene
      const account = await app.addAccount('ada')
      const answer = await tryLogin(app, ada, { fields: { 'User-Agent': 'tests' } })
      assert.equal(answer.status, 200, answer.body)
      assert.equal(answer.field('cache-control'), 'no-store')
      assert.equal(answer.field('set-cookie'), undefined)
      assert.deepEqual(Object.keys(answer.json()), ['access_token', 'token_type', 'expires_in', 'refresh_token'])
      const { reader } = opened.database
      const session = await reader.selectFrom('session').selectAll().executeTakeFirstOrThrow()
      assert.deepEqual(
        [session.account_id, session.amr, session.mfa, session.browser, session.client],
        [account.id, 'pwd', 0, 0, '127.0.0.1'],
      )
      assert.deepEqual(await auditOf(opened.database, 'session.create'), [{ target: session.id, actor: account.id, reason: undefined }])
      assert.equal((await app.parts.accounts.byId(account.id))?.lastLoginAt, 1_800_000_000_000)
      assert.deepEqual(
        app.events.map(({ event }) => event),
        ['authn_login_success', 'session_created', 'authn_token_created'],
      )
      assert.doesNotMatch(JSON.stringify(app.events), /fgr_|eyJ|kestrels/)
    })

    test('[ASVS 7.2.3] a refresh token has 256 random bits, and only its hash is stored', async () => {
      await using scene = await openLoginScene(kind)
      await scene.app.addAccount('ada')
      const tokens = [await logIn(scene.app, ada), await logIn(scene.app, ada)].map(({ refreshToken }) => refreshToken)
      assert.notEqual(tokens[0], tokens[1])
      for (const token of tokens) assert.match(token, /^fgr_[A-Za-z0-9_-]{43}$/)
      const stored = await scene.opened.database.reader.selectFrom('refresh_token').select('hash').execute()
      assert.deepEqual(new Set(stored.map(({ hash }) => hash)), new Set(tokens.map(sha256)))
    })

    test('[ASVS 10.4.5] a refresh gives new tokens for the same session, and the old refresh token is good for nothing', async () => {
      await using scene = await openLoginScene(kind)
      const { app } = scene
      await app.addAccount('ada')
      const first = await logIn(app, ada)
      const second = await refresh(app, first)
      assert.deepEqual([second.sid, second.subject], [first.sid, first.subject])
      assert.notEqual(second.refreshToken, first.refreshToken)
      assert.equal((await listSessions(app, second)).status, 200)
      const replayed = await tryRefresh(app, first.refreshToken)
      assert.equal(replayed.status, 401)
      await assertEnded(app, second)
      const reuse = app.events.filter(({ event }) => event === 'authn_token_reuse')
      assert.deepEqual(reuse.length, 1)
      assert.deepEqual(await auditOf(scene.opened.database, 'session.end'), [{ target: first.sid, actor: 'system', reason: 'token_reuse' }])
    })

    test('a refresh is no login: it makes none fresh', async () => {
      await using scene = await openLoginScene(kind)
      const { app, clock } = scene
      await app.addAccount('ada')
      const first = await logIn(app, ada)
      clock.advance(minute)
      const [session] = (await listSessions(app, await refresh(app, first))).json()['items'] as Record<string, unknown>[]
      const [opened, used] = [sceneStartMs, sceneStartMs + minute].map((ms) => new Date(ms).toISOString())
      assert.deepEqual([session?.['authenticated_at'], session?.['last_used_at']], [opened, used])
    })

    test('[ASVS 7.3.1] a session that is not refreshed ends, and with it what access token is left', async () => {
      await using scene = await openLoginScene(kind, { idleMs: 2 * minute })
      const { app, clock } = scene
      await app.addAccount('ada')
      let session = await logIn(app, ada)
      for (let time = 0; time < 5; time++) {
        clock.advance(2 * minute - 1000)
        session = await refresh(app, session)
      }
      clock.advance(2 * minute)
      await assertEnded(app, session)
      assert.ok(app.events.some(({ event }) => event === 'session_expired'))
    })

    test('[ASVS 7.3.2] [ASVS 10.4.8] no refreshing takes a session beyond its absolute end', async () => {
      await using scene = await openLoginScene(kind, { maxAgeMs: hour })
      const { app, clock } = scene
      await app.addAccount('ada')
      let session = await logIn(app, ada)
      for (let time = 0; time < 14; time++) {
        clock.advance(4 * minute + 15_000)
        session = await refresh(app, session)
      }
      const left = hour - 14 * (4 * minute + 15_000)
      assert.equal((await listSessions(app, session)).status, 200)
      clock.advance(left)
      await assertEnded(app, session)
    })

    for (const by of ['the refresh token', 'the access token', 'both'] as const)
      test(`[ASVS 7.4.1] logout by ${by}: both tokens are refused at once, and once more is no mistake`, async () => {
        await using scene = await openLoginScene(kind)
        const { app } = scene
        await app.addAccount('ada')
        const [session, other] = [await logIn(app, ada), await logIn(app, ada)]
        assert.equal((await listSessions(app, session)).status, 200)
        const body = by === 'the access token' ? {} : { refresh_token: session.refreshToken }
        const fields = by === 'the refresh token' ? {} : session.fields
        assert.equal((await logOut(app, body, fields)).status, 204)
        await assertEnded(app, session)
        assert.equal((await logOut(app, { refresh_token: session.refreshToken })).status, 204)
        assert.equal((await listSessions(app, other)).status, 200, 'the other session goes on')
        const ended = await auditOf(scene.opened.database, 'session.end')
        assert.deepEqual(ended, [{ target: session.sid, actor: session.subject, reason: 'logout' }])
      })

    test('a logout by a refresh token that was used before ends its session, one that shows nothing is told so', async () => {
      await using scene = await openLoginScene(kind)
      const { app } = scene
      await app.addAccount('ada')
      const first = await logIn(app, ada)
      const second = await refresh(app, first)
      assert.equal((await logOut(app, { refresh_token: first.refreshToken })).status, 204)
      await assertEnded(app, second)
      assert.equal((await logOut(app, {})).status, 401)
    })

    test('[ASVS 7.2.4] who logs in anew with the access token gets another session in place of that one', async () => {
      await using scene = await openLoginScene(kind)
      const { app } = scene
      await app.addAccount('ada')
      await app.addAccount('grace')
      const [former, other, foreign] = [await logIn(app, ada), await logIn(app, ada), await logIn(app, grace)]
      assert.equal((await tryLogin(app, ada, { fields: former.fields })).status, 200)
      await assertEnded(app, former)
      assert.equal((await tryLogin(app, ada, { fields: foreign.fields })).status, 200)
      for (const who of [other, foreign]) assert.equal((await listSessions(app, who)).status, 200)
    })

    test('what was ended on one instance is refused by another within a second', async () => {
      await using scene = await openLoginScene(kind)
      const { app, clock, opened } = scene
      const account = await app.addAccount('ada')
      await using second = await openLoginApp({ database: await opened.another(), clock })
      const [session, other] = [await logIn(app, ada), await logIn(app, ada)]
      assert.equal((await listSessions(second, session)).status, 200)
      assert.equal((await logOut(app, { refresh_token: session.refreshToken })).status, 204)
      await eventually(1000, 'the other instance has heard of it', async () => (await listSessions(second, session)).status === 401)
      assert.equal((await tryRefresh(second, session.refreshToken)).status, 401)
      assert.equal((await tryRefresh(second, other.refreshToken)).status, 200)
      assert.equal(account.username, 'ada')
    })

    test('a password that was right before the account was changed opens nothing', async () => {
      await using scene = await openLoginScene(kind)
      const { app, opened } = scene
      const account = await app.addAccount('ada')
      const { statements, changes, sessionStatements } = app.parts
      const by = [{ actor: 'system', action: 'user.update', target: account.id }]
      await changes.commit([statements.setPassword(account.id, account.passwordHash, 'changed')], by)
      const session = { id: 'late', accountId: account.id, epoch: account.epoch, amr: 'pwd', mfa: false, browser: false }
      const late = sessionStatements.open({ ...session, client: null, userAgent: null })
      assert.deepEqual(await opened.database.commit([late]), { result: 'conflict', statement: 0 })
      const pending = { hash: 'late', accountId: account.id, epoch: account.epoch, expiresAt: 1, amr: 'pwd', browser: false }
      assert.deepEqual(await opened.database.commit(sessionStatements.addPending(pending)), { result: 'conflict', statement: 0 })
    })

    test('a disabled account refreshes nothing', async () => {
      await using scene = await openLoginScene(kind)
      const { app } = scene
      const account = await app.addAccount('ada')
      const session = await logIn(app, ada)
      const by = [{ actor: 'system', action: 'user.update', target: account.id }]
      await app.parts.changes.commit([app.parts.statements.setDisabled(account.id, true)], by)
      await assertEnded(app, session)
      assert.equal((await tryLogin(app, ada)).status, 401)
    })

    test('known places: the twenty last used', async () => {
      await using scene = await openLoginScene(kind)
      const { app, clock, opened } = scene
      const account = await app.addAccount('ada')
      for (let i = 1; i <= 25; i++) {
        clock.advance(1)
        assert.equal((await opened.database.commit(app.parts.places.note(account.id, at(i)))).result, 'committed')
      }
      const known = await Promise.all(Array.from({ length: 25 }, (_, i) => app.parts.places.isKnown(account.id, at(i + 1))))
      assert.deepEqual(
        known,
        Array.from({ length: 25 }, (_, i) => i >= 5),
      )
      assert.equal(await app.parts.places.isKnown(undefined, at(25)), false)
      const stored = await opened.database.reader.selectFrom('known_place').select('place').execute()
      for (const { place } of stored) assert.doesNotMatch(place, /192/)
    })
  })
}
