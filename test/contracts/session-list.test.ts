import assert from 'node:assert/strict'
import { test } from 'node:test'

import { maxSessions } from '../../src/api/accounts/sessions/session-statements.ts'
import { assertEnded, goodPassword, listSessions, type LoggedIn, logIn, refresh } from '../support/accounts.ts'
import { type Answer, ask, exchange } from '../support/attack.ts'
import { databases } from '../support/databases.ts'
import { auditOf, type LoginApp, openLoginScene } from '../support/login-app.ts'
import { describeUnless } from '../support/services.ts'

const ada = { username: 'ada', password: goodPassword }
const grace = { username: 'grace', password: goodPassword }
const [minute, day] = [60_000, 86_400_000]

const idsOf = async (app: LoginApp, who: LoggedIn): Promise<unknown[]> =>
  ((await listSessions(app, who)).json()['items'] as { id: string }[]).map(({ id }) => id)

const endSession = (app: LoginApp, { fields }: LoggedIn, id: string): Promise<Answer> =>
  ask(app, { method: 'DELETE', target: `/v1/auth/sessions/${id}`, fields })

for (const kind of databases) {
  describeUnless(kind.missing, `lists of sessions on ${kind.name}`, () => {
    test('[ASVS 7.5.2] [ASVS 10.4.9] everybody sees and ends the own sessions', async () => {
      await using scene = await openLoginScene(kind)
      const { app, clock } = scene
      await app.addAccount('ada')
      await app.addAccount('grace')
      const foreign = await logIn(app, grace)
      const first = await logIn(app, ada)
      clock.advance(minute)
      const second = await logIn(app, ada)
      const listed = (await listSessions(app, second)).json()['items']
      assert.deepEqual(listed, [
        { ...described(second.sid, 1_800_000_060_000), current: true },
        { ...described(first.sid, 1_800_000_000_000), current: false },
      ])
      assert.equal((await endSession(app, second, first.sid)).status, 204)
      await assertEnded(app, first)
      assert.deepEqual(await idsOf(app, second), [second.sid])
      // Ended, somebody else's, nobody's: one answer.
      const answers = await Promise.all([first.sid, foreign.sid, 'A'.repeat(22)].map((id) => endSession(app, second, id)))
      for (const answer of answers) assert.equal(answer.status, 404)
      assert.equal(new Set(answers.map(({ body }) => body.replace(/"request_id":"[^"]*"/, ''))).size, 1)
      assert.equal((await listSessions(app, foreign)).status, 200)
    })

    test('[ASVS 7.5.2] logging out everywhere else', async () => {
      await using scene = await openLoginScene(kind)
      const { app } = scene
      await app.addAccount('ada')
      await app.addAccount('grace')
      const foreign = await logIn(app, grace)
      const others = [await logIn(app, ada), await logIn(app, ada)]
      const own = await logIn(app, ada)
      assert.equal((await ask(app, { method: 'DELETE', target: '/v1/auth/sessions', fields: own.fields })).status, 204)
      for (const other of others) await assertEnded(app, other)
      for (const who of [own, foreign]) assert.equal((await listSessions(app, who)).status, 200)
    })

    test('[ASVS 7.4.5] an admin sees and ends one or all sessions of somebody else, others do not', async () => {
      await using scene = await openLoginScene(kind)
      const { app } = scene
      const account = await app.addAccount('ada')
      await app.addAccount('grace', 'admin')
      await app.addAccount('mary', 'moderator')
      const [admin, moderator] = [await logIn(app, grace), await logIn(app, { ...grace, username: 'mary' })]
      const sessions = [await logIn(app, ada), await logIn(app, ada), await logIn(app, ada)]
      const [first] = sessions
      assert.ok(first)
      const query = `?user=${account.id}`
      for (const [method, target] of [
        ['GET', `/v1/auth/sessions${query}`],
        ['DELETE', `/v1/auth/sessions${query}`],
        ['GET', `/v1/auth/sessions?user=u${'a'.repeat(20)}`],
      ] as const)
        assert.equal((await ask(app, { method, target, fields: moderator.fields })).status, 403)
      assert.equal((await endSession(app, moderator, first.sid)).status, 404)

      const listed = (await listSessions(app, admin, query)).json()['items'] as { id: string; current: boolean }[]
      assert.deepEqual(new Set(listed.map(({ id }) => id)), new Set(sessions.map(({ sid }) => sid)))
      assert.ok(listed.every(({ current }) => !current))
      assert.equal((await endSession(app, admin, first.sid)).status, 204)
      await assertEnded(app, first)
      assert.equal((await ask(app, { method: 'DELETE', target: `/v1/auth/sessions${query}`, fields: admin.fields })).status, 204)
      for (const session of sessions) await assertEnded(app, session)
      assert.equal((await listSessions(app, admin)).status, 200)
      assert.equal((await listSessions(app, admin, `?user=u${'a'.repeat(20)}`)).status, 404)
      const ended = await auditOf(scene.opened.database, 'session.end')
      assert.ok(ended.every(({ actor }) => actor === admin.subject))
      assert.equal(ended.length, 3)
    })

    test('[ASVS 7.1.2] of more than a hundred sessions the one that was not used for longest ends', async () => {
      await using scene = await openLoginScene(kind)
      const { app, clock, opened } = scene
      const account = await app.addAccount('ada')
      const oldest = await logIn(app, ada)
      clock.advance(minute)
      const second = await logIn(app, ada)
      clock.advance(minute)
      const fill = Array.from({ length: maxSessions - 2 }, (_, i) =>
        app.parts.sessionStatements.open({
          id: `filling-${String(i).padStart(14, '0')}`,
          accountId: account.id,
          epoch: account.epoch,
          amr: 'pwd',
          mfa: false,
          browser: false,
          client: null,
          userAgent: null,
        }),
      )
      assert.equal((await opened.database.commit(fill)).result, 'committed')
      clock.advance(minute)
      const used = await refresh(app, oldest)
      const logins = await Promise.all([logIn(app, ada), logIn(app, ada), logIn(app, ada)])
      const ids = await idsOf(app, used)
      assert.equal(ids.length, maxSessions)
      for (const { sid } of [used, ...logins]) assert.ok(ids.includes(sid))
      await assertEnded(app, second)
      const ended = await auditOf(opened.database, 'session.end')
      assert.equal(ended.length, 3)
      assert.ok(ended.some(({ target, reason }) => target === second.sid && reason === 'too_many'))
    })

    test('what a client called itself is cut, and shown so that it cannot pass for something else', async () => {
      await using scene = await openLoginScene(kind)
      const { app } = scene
      await app.addAccount('ada')
      // C1 controls travel in a field as the bytes 0x80 to 0x9f; CSI is one.
      const userAgent = `\\ ${Buffer.from([0x9b]).toString('latin1')}31m ${'x'.repeat(300)}`
      const body = JSON.stringify(ada)
      const head = `POST /v1/auth/login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n`
      const bytes = Buffer.from(`${head}User-Agent: ${userAgent}\r\nContent-Length: ${body.length}\r\n\r\n${body}`, 'latin1')
      const [answer] = (await exchange(app.port, bytes, { answers: 1 })).answers
      assert.equal(answer?.status, 200)
      const all = (await listSessions(app, await logIn(app, ada))).json()['items'] as { user_agent: string | null }[]
      assert.ok(all.some(({ user_agent: shown }) => shown === `\\\\ \\u{9b}31m ${'x'.repeat(193)}`))
    })
  })
}

const described = (id: string, at: number) => ({
  id,
  created_at: new Date(at).toISOString(),
  authenticated_at: new Date(at).toISOString(),
  last_used_at: new Date(at).toISOString(),
  expires_at: new Date(at + 30 * day).toISOString(),
  methods: ['pwd'],
  mfa: false,
  browser: false,
  client: '127.0.0.1',
  user_agent: null,
})
