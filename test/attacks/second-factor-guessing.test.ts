import assert from 'node:assert/strict'
import { test } from 'node:test'

import { createFactorStatements } from '../../src/api/accounts/factors/factors.ts'

import { bearer, loggedIn, logIn, send, tryLogin, tryRefresh } from '../support/accounts.ts'
import { ask } from '../support/attack.ts'
import { databases } from '../support/databases.ts'
import { ada, anyPasskey, assertRefused, assertUnauthenticated, meTotp, openFactorScene } from '../support/factor-scene.ts'
import { beginLogin, finishLogin, toldBy, wrongCodeAt } from '../support/second-factor.ts'
import { describeUnless } from '../support/services.ts'

const step = 30_000
const minute = 60_000

for (const kind of databases) {
  describeUnless(kind.missing, `half a login on ${kind.name}`, () => {
    test('[ASVS 6.6.3] guessing: five wrong codes end a login, of whatever method, and then the right one is refused', async () => {
      await using scene = await openFactorScene(kind)
      const { app, clock } = scene
      const { secret } = await scene.enrolled()
      const token = await beginLogin(app, ada)
      const wrong = wrongCodeAt(secret, clock.epochMs())
      for (const [method, code] of [
        ['totp', wrong],
        ['recovery_code', 'aaaa-aaaa-aaaa-aaaa-aaaa-aaaa'],
        ['totp', 'garbage'],
        ['recovery_code', 'garbage'],
        ['totp', wrong],
      ] as const)
        assertUnauthenticated(await finishLogin(app, token, method, code))
      const ended = await finishLogin(app, token, 'totp', scene.codeNow(secret))
      assertUnauthenticated(ended)
      assert.match(String(ended.json()['detail']), /Log in again/)
      loggedIn(ada, await finishLogin(app, await beginLogin(app, ada), 'totp', scene.codeNow(secret)))
    })

    test('[ASVS 6.6.3] guessing in parallel: of forty codes at once for one login no more than five are looked at', async () => {
      await using scene = await openFactorScene(kind)
      const { app, clock, opened } = scene
      const { secret } = await scene.enrolled()
      const token = await beginLogin(app, ada)
      const wrong = wrongCodeAt(secret, clock.epochMs())
      const answers = await Promise.all(Array.from({ length: 40 }, () => finishLogin(app, token, 'totp', wrong)))
      assert.ok(answers.every(({ status }) => status === 401))
      const { attempts } = await opened.database.reader.selectFrom('pending_login').select('attempts').executeTakeFirstOrThrow()
      assert.equal(attempts, 5)
      const looked = app.events.filter((event) => event.event === 'authn_login_fail' && event.reason === 'wrong code')
      assert.equal(looked.length, 5)
    })

    test('[ASVS 6.6.3] guessing: the count of wrong codes outlives the login, and right passwords in between do not clear it', async () => {
      await using scene = await openFactorScene(kind, { loginFailures: '10 per 15 minutes' })
      const { app, clock } = scene
      const { secret } = await scene.enrolled()
      const wrong = wrongCodeAt(secret, clock.epochMs())
      for (let i = 0; i < 10; i++) assertUnauthenticated(await finishLogin(app, await beginLogin(app, ada), 'totp', wrong))
      const refused = await tryLogin(app, ada)
      assertRefused(refused, 429, 'quota_exceeded')
      clock.advance(15 * minute)
      const done = await finishLogin(app, await beginLogin(app, ada), 'totp', scene.codeNow(secret))
      assert.equal(done.status, 200, done.body)
    })

    test('[ASVS 6.3.4] a login that is half done opens no other route', async () => {
      await using scene = await openFactorScene(kind)
      const { app } = scene
      await scene.enrolled()
      const token = await beginLogin(app, ada)
      const fields = bearer(token)
      for (const [method, target] of [
        ['GET', '/v1/me/totp'],
        ['POST', '/v1/me/totp'],
        ['DELETE', '/v1/me/totp'],
        ['POST', '/v1/me/totp/recovery-codes'],
        ['GET', '/v1/me/passkeys'],
        ['POST', '/v1/me/passkeys/options'],
        ['GET', '/v1/auth/sessions'],
      ] as const)
        assert.equal((await ask(app, { method, target, fields })).status, 401, `${method} ${target}`)
      assert.equal((await tryRefresh(app, token)).status, 401)
      assert.equal((await tryRefresh(app, token.replace('fgm_', 'fgr_'))).status, 401)
    })

    test('a token that is unknown, expired, finished or tried too often is refused in the same words', async () => {
      await using scene = await openFactorScene(kind)
      const { app, clock } = scene
      const { who, secret } = await scene.enrolled()
      const [expired, finished, tried] = [await beginLogin(app, ada), await beginLogin(app, ada), await beginLogin(app, ada)]
      assert.equal((await finishLogin(app, finished, 'totp', scene.codeNow(secret))).status, 200)
      for (let i = 0; i < 5; i++) await finishLogin(app, tried, 'totp', wrongCodeAt(secret, clock.epochMs()))
      const refused = async (token: string) => toldBy(await finishLogin(app, token, 'totp', scene.codeNow(secret)))
      clock.advance(step)
      const known = [await refused(finished), await refused(tried)]
      clock.advance(5 * minute - step)
      for (const token of [expired, `fgm_${'A'.repeat(43)}`, who.refreshToken, who.accessToken.slice(0, 60), 'x', finished])
        known.push(await refused(token))
      assert.equal(new Set(known.map((one) => JSON.stringify(one))).size, 1, JSON.stringify(known))
      assert.equal((known[0] as { status: number }).status, 401)
    })

    test('half a login is over when the factors or the password change, and when the account is disabled', async () => {
      await using scene = await openFactorScene(kind)
      const { app, clock, opened } = scene
      const { who, secret } = await scene.enrolled()
      const { parts } = app
      const entry = { actor: 'system', action: 'test', target: who.subject }
      const dead = async (change: () => Promise<unknown>): Promise<void> => {
        const token = await beginLogin(app, ada)
        await change()
        clock.advance(step)
        assertUnauthenticated(await finishLogin(app, token, 'totp', scene.codeNow(secret)))
      }
      const endAll = () => parts.sessions.endAll(who.subject)
      const account = await parts.accounts.byId(who.subject)
      const hash = account?.passwordHash ?? ''
      await dead(() => parts.changes.commit([parts.statements.setPassword(who.subject, hash, hash), ...endAll()], [entry]))
      // [ASVS 6.4.3] A new password is no way around the factor.
      assert.equal((await tryLogin(app, ada)).json()['mfa_required'], true)
      await dead(() => parts.changes.commit([parts.statements.setDisabled(who.subject, true)], [entry]))
      await parts.changes.commit([parts.statements.setDisabled(who.subject, false)], [entry])
      const factors = createFactorStatements(opened.database, clock.epochMs)
      await dead(() => parts.changes.commit([...factors.removeAll(who.subject), ...endAll()], [entry]))
      // For somebody who lost everything: the password is enough again, and no recovery code is left over.
      const again = await logIn(app, ada)
      assert.deepEqual((await meTotp(app, again)).json(), { enabled: false, recovery_codes_left: 0 })
      assert.deepEqual(await opened.database.reader.selectFrom('recovery_code').selectAll().execute(), [])
    })

    test('a code of another kind than its method is told as a mistake, and costs no attempt', async () => {
      await using scene = await openFactorScene(kind)
      const { app, opened } = scene
      await scene.enrolled()
      const token = await beginLogin(app, ada)
      for (const [method, code] of [
        ['totp', anyPasskey.credential],
        ['passkey', '123456'],
      ] as const)
        assertRefused(await finishLogin(app, token, method, code), 400, 'validation_failed', '/code')
      for (const body of [
        {},
        { mfa_token: token, method: 'totp' },
        { mfa_token: token, method: 'sms', code: '123456' },
        { mfa_token: token, method: 'totp', code: 123_456 },
      ])
        assert.equal((await send(app, 'POST', '/v1/auth/mfa', body)).status, 400)
      const { attempts } = await opened.database.reader.selectFrom('pending_login').select('attempts').executeTakeFirstOrThrow()
      assert.equal(attempts, 0)
    })
  })
}
