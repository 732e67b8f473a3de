import assert from 'node:assert/strict'
import { test } from 'node:test'

import { statement } from '../../src/db/unit.ts'

import { bearer, claimsOf, loggedIn, type LoggedIn, logIn, send, tryLogin, tryRefresh } from '../support/accounts.ts'
import { ask } from '../support/attack.ts'
import { databases } from '../support/databases.ts'
import { ada, anyPasskey, assertRefused, assertUnauthenticated, grace, meTotp, openFactorScene } from '../support/factor-scene.ts'
import { beginLogin, codeAt, enrolTotp, finishLogin } from '../support/second-factor.ts'
import { describeUnless } from '../support/services.ts'

const minute = 60_000

for (const kind of databases) {
  describeUnless(kind.missing, `changes of second factors on ${kind.name}`, () => {
    test('[ASVS 7.4.3] a new factor ends all other sessions and the access token of before, and raises the one that it was made in', async () => {
      await using scene = await openFactorScene(kind)
      const { app, clock, opened } = scene
      await app.addAccount('ada')
      const [other, mine] = [await logIn(app, ada), await logIn(app, ada)]
      const { who, recoveryCodes } = await enrolTotp(app, mine, clock.epochMs())
      assert.equal(who.sid, mine.sid)
      for (const old of [other, mine]) assert.equal((await meTotp(app, old)).status, 401)
      assert.equal((await tryRefresh(app, other.refreshToken)).status, 401)
      assert.deepEqual((await meTotp(app, who)).json(), { enabled: true, recovery_codes_left: 10 })
      assert.deepEqual(claimsOf(who.accessToken)['amr'], ['pwd', 'otp', 'mfa'])
      assert.equal(recoveryCodes.length, 10)
      const audited = await opened.database.reader.selectFrom('audit').select(['action', 'target', 'actor', 'details']).execute()
      assert.deepEqual(
        audited.filter(({ action }) => action.startsWith('totp')),
        [{ action: 'totp.add', target: who.subject, actor: who.subject, details: '{}' }],
      )
      const change = app.events.find(({ event }) => event === 'authz_change')
      assert.deepEqual(change && { ...change, requestId: '' }, {
        event: 'authz_change',
        requestId: '',
        client: '127.0.0.1',
        subject: who.subject,
        by: who.subject,
        change: 'totp.add',
      })
    })

    test('what is set up but not confirmed is no factor; the last secret that was shown is the one to confirm', async () => {
      await using scene = await openFactorScene(kind)
      const { app, clock } = scene
      await app.addAccount('ada')
      const who = await logIn(app, ada)
      const [first, second] = [await meTotp(app, who, 'POST'), await meTotp(app, who, 'POST')].map((answer) =>
        String(answer.json()['secret']),
      )
      assert.deepEqual((await meTotp(app, who)).json(), { enabled: false, recovery_codes_left: 0 })
      await logIn(app, ada)
      const confirm = (code: string) => send(app, 'PUT', '/v1/me/totp', { code }, { fields: who.fields })
      assertRefused(await confirm(codeAt(first ?? '', clock.epochMs())), 400, 'validation_failed', '/code')
      assert.equal((await confirm(codeAt(second ?? '', clock.epochMs()))).status, 200)
      assert.equal((await tryLogin(app, ada)).json()['mfa_required'], true)
    })

    test('a confirmed secret cannot be replaced or confirmed again, and is never shown again', async () => {
      await using scene = await openFactorScene(kind)
      const { app } = scene
      const { who, secret } = await scene.enrolled()
      assertRefused(await meTotp(app, who, 'POST'), 409, 'conflict')
      const again = await send(app, 'PUT', '/v1/me/totp', { code: scene.codeNow(secret) }, { fields: who.fields })
      assertRefused(again, 409, 'conflict')
      assert.doesNotMatch((await meTotp(app, who)).body, new RegExp(secret))
    })

    test('database read: neither the secret nor a recovery code stands in it, and a sealed secret opens in no other row', async () => {
      await using scene = await openFactorScene(kind)
      const { app, opened } = scene
      const { secret, recoveryCodes } = await scene.enrolled()
      const { reader, commit } = opened.database
      const stored = [
        await reader.selectFrom('account').selectAll().execute(),
        await reader.selectFrom('recovery_code').selectAll().execute(),
      ]
      const dump = JSON.stringify([stored, app.events, await reader.selectFrom('audit').selectAll().execute()])
      for (const text of [secret, ...recoveryCodes, ...recoveryCodes.map((code) => code.replaceAll('-', ''))])
        assert.ok(!dump.includes(text))
      // Who can write the database gives another account the factor of one's own.
      const { totp_secret: sealed } = await reader.selectFrom('account').select('totp_secret').executeTakeFirstOrThrow()
      await app.addAccount('grace')
      const planted = reader.updateTable('account').set({ totp_secret: sealed, totp_confirmed_at: 1 }).where('username', '=', 'grace')
      await commit([statement(planted.compile(), 1)])
      const token = await beginLogin(app, grace)
      assert.equal((await finishLogin(app, token, 'totp', scene.codeNow(secret))).status, 500)
    })

    test('new recovery codes make the old ones worth nothing [ASVS 7.4.3]', async () => {
      await using scene = await openFactorScene(kind)
      const { app } = scene
      const { who, secret, recoveryCodes } = await scene.enrolled()
      const other = loggedIn(ada, await finishLogin(app, await beginLogin(app, ada), 'totp', scene.codeNow(secret)))
      const answer = await ask(app, { method: 'POST', target: '/v1/me/totp/recovery-codes', fields: who.fields })
      assert.equal(answer.status, 200, answer.body)
      assert.equal((await meTotp(app, other)).status, 401)
      const fresh = answer.json()['recovery_codes'] as string[]
      assert.equal(new Set([...fresh, ...recoveryCodes]).size, 20)
      assertUnauthenticated(await finishLogin(app, await beginLogin(app, ada), 'recovery_code', recoveryCodes[0]))
      assert.equal((await finishLogin(app, await beginLogin(app, ada), 'recovery_code', fresh[0])).status, 200)
    })

    test('[ASVS 6.4.3] a reset password is no way around the second factor', async () => {
      await using scene = await openFactorScene(kind)
      const { app } = scene
      const { who } = await scene.enrolled()
      const { passwordHash } = (await app.parts.accounts.byId(who.subject)) ?? {}
      const reset = app.parts.statements.setPassword(who.subject, passwordHash ?? '', passwordHash ?? '')
      await app.parts.changes.commit([reset], [{ actor: 'system', action: 'user.password', target: who.subject }])
      assert.equal((await tryLogin(app, ada)).json()['mfa_required'], true)
    })

    test('[ASVS 7.5.1] an open session that is not fresh changes no factor, and neither does one without the second factor', async () => {
      await using scene = await openFactorScene(kind)
      const { app, clock, opened } = scene
      const { who, secret } = await scene.enrolled()
      const routes = [
        ['POST', '/v1/me/totp'],
        ['PUT', '/v1/me/totp'],
        ['DELETE', '/v1/me/totp'],
        ['POST', '/v1/me/totp/recovery-codes'],
        ['POST', '/v1/me/passkeys/options'],
        ['POST', '/v1/me/passkeys'],
        ['DELETE', `/v1/me/passkeys/${'a'.repeat(22)}`],
      ] as const
      const refused = async (fields: LoggedIn['fields'], reason: RegExp): Promise<void> => {
        for (const [method, target] of routes) {
          const body = method === 'PUT' ? { code: '123456' } : target === '/v1/me/passkeys' ? anyPasskey : undefined
          const answer = body === undefined ? await ask(app, { method, target, fields }) : await send(app, method, target, body, { fields })
          assertUnauthenticated(answer)
          assert.match(answer.field('www-authenticate') ?? '', reason, `${method} ${target}`)
        }
      }
      // As a login would leave it that did not see the new factor in time.
      const { reader, commit } = opened.database
      const setMfa = (mfa: number) => commit([statement(reader.updateTable('session').set({ mfa }).where('id', '=', who.sid).compile(), 1)])
      await setMfa(0)
      await refused(who.fields, /insufficient_user_authentication.*second factor/)
      await setMfa(1)
      // Access tokens live five minutes: the login must be older than that, the token not.
      clock.advance(4 * minute)
      const later = await tryRefresh(app, who.refreshToken)
      clock.advance(2 * minute)
      await refused(bearer(String(later.json()['access_token'])), /insufficient_user_authentication/)
      assert.deepEqual((await tryLogin(app, ada)).json()['methods'], ['totp', 'recovery_code'])
      const fresh = loggedIn(ada, await finishLogin(app, await beginLogin(app, ada), 'totp', scene.codeNow(secret)))
      assert.equal((await meTotp(app, fresh, 'DELETE')).status, 204)
    })

    test('[ASVS 7.4.3] removing the app ends all other sessions; its codes and the recovery codes log nobody in any more', async () => {
      await using scene = await openFactorScene(kind)
      const { app, clock, opened } = scene
      const { who, secret } = await scene.enrolled()
      const other = loggedIn(ada, await finishLogin(app, await beginLogin(app, ada), 'totp', scene.codeNow(secret)))
      assert.equal((await meTotp(app, who, 'DELETE')).status, 204)
      assert.deepEqual([(await meTotp(app, who)).status, (await meTotp(app, other)).status], [200, 401])
      assertRefused(await meTotp(app, who, 'DELETE'), 404, 'not_found')
      await logIn(app, ada)
      const { reader } = opened.database
      assert.deepEqual(await reader.selectFrom('recovery_code').selectAll().execute(), [])
      const account = await reader.selectFrom('account').selectAll().executeTakeFirstOrThrow()
      assert.deepEqual([account.totp_secret, account.totp_confirmed_at, account.totp_step], [null, null, null])
      // A new secret begins anew, in whatever step.
      await enrolTotp(app, await logIn(app, ada), clock.epochMs())
    })

    test('the last factor of a role that needs one stays', async () => {
      await using scene = await openFactorScene(kind, { requireMfaFor: ['viewer'] })
      const { app } = scene
      const { who } = await scene.enrolled()
      assertRefused(await meTotp(app, who, 'DELETE'), 409, 'conflict')
      assert.equal((await tryLogin(app, ada)).json()['mfa_required'], true)
    })

    test('confirming twice at once: one set of recovery codes', async () => {
      await using scene = await openFactorScene(kind)
      const { app, clock, opened } = scene
      await app.addAccount('ada')
      const who = await logIn(app, ada)
      const secret = String((await meTotp(app, who, 'POST')).json()['secret'])
      const confirm = () => send(app, 'PUT', '/v1/me/totp', { code: codeAt(secret, clock.epochMs()) }, { fields: who.fields })
      const answers = await Promise.all(Array.from({ length: 5 }, confirm))
      assert.equal(answers.filter(({ status }) => status === 200).length, 1)
      const codes = await opened.database.reader.selectFrom('recovery_code').select('hash').execute()
      assert.equal(codes.length, 10)
    })

    test('a login that races with the new factor leaves no session without it', async () => {
      await using scene = await openFactorScene(kind)
      const { app, clock, opened } = scene
      await app.addAccount('ada')
      const who = await logIn(app, ada)
      const secret = String((await meTotp(app, who, 'POST')).json()['secret'])
      const confirm = send(app, 'PUT', '/v1/me/totp', { code: codeAt(secret, clock.epochMs()) }, { fields: who.fields })
      await Promise.all([confirm, ...Array.from({ length: 8 }, () => tryLogin(app, ada))])
      assert.equal((await confirm).status, 200)
      const { reader } = opened.database
      const left = await reader.selectFrom('session').select(['id', 'mfa']).where('revoked_at', 'is', null).execute()
      assert.deepEqual(left, [{ id: who.sid, mfa: 1 }])
    })
  })
}
