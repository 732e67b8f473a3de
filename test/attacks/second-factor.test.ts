import assert from 'node:assert/strict'
import { test } from 'node:test'

import { createFactorStatements } from '../../src/api/accounts/factors.ts'
import { statement } from '../../src/db/unit.ts'
import { bearer, claimsOf, goodPassword, loggedIn, type LoggedIn, logIn, send, tryLogin, tryRefresh } from '../support/accounts.ts'
import { type Answer, ask, type ExpectedProblem } from '../support/attack.ts'
import { databases, type OpenDatabase } from '../support/databases.ts'
import { type LoginApp, type LoginAppOptions, openLoginApp } from '../support/login-app.ts'
import { createManualClock, type ManualClock } from '../support/manual-clock.ts'
import { beginLogin, codeAt, type Enrolled, enrolTotp, finishLogin, toldBy, wrongCodeAt } from '../support/second-factor.ts'
import { describeUnless } from '../support/services.ts'

const ada = { username: 'ada', password: goodPassword }
const grace = { username: 'grace', password: goodPassword }
const step = 30_000
const minute = 60_000
const unauthenticated = { status: 401, code: 'unauthenticated' } as const

interface Scene extends AsyncDisposable {
  readonly app: LoginApp
  readonly clock: ManualClock
  readonly opened: OpenDatabase
  /** Adds an account, logs in, sets up an authenticator app, and waits for its next code. */
  enrolled(username?: string): Promise<Enrolled>
}

const meTotp = (app: LoginApp, who: Pick<LoggedIn, 'fields'>, method = 'GET'): Promise<Answer> =>
  ask(app, { method, target: '/v1/me/totp', fields: who.fields })

const statuses = (answers: readonly Answer[]): number[] => answers.map(({ status }) => status).toSorted((a, b) => a - b)

/** The refusals of the layers alone: this app has no security headers. */
const assertRefused = (answer: Answer, { status, code, pointer }: ExpectedProblem): void => {
  assert.equal(answer.status, status, answer.body)
  const { code: told, errors = [] } = answer.json()
  assert.equal(told, code, answer.body)
  if (pointer !== undefined)
    assert.deepEqual(
      (errors as { pointer: string }[]).map((error) => error.pointer),
      [pointer],
    )
}

for (const kind of databases) {
  describeUnless(kind.missing, `second factors on ${kind.name}`, () => {
    const open = async (options: Partial<LoginAppOptions> = {}): Promise<Scene> => {
      const opened = await kind.open()
      const clock = createManualClock(1_800_000_000_000)
      const app = await openLoginApp({ database: opened.database, clock, loginFailures: '1000 per hour', ...options })
      return {
        app,
        clock,
        opened,
        enrolled: async (username = 'ada') => {
          await app.addAccount(username)
          const done = await enrolTotp(app, await logIn(app, { username, password: goodPassword }), clock.epochMs())
          clock.advance(step)
          return done
        },
        [Symbol.asyncDispose]: async () => {
          await app[Symbol.asyncDispose]()
          await opened[Symbol.asyncDispose]()
        },
      }
    }
    const codeNow = ({ clock }: Scene, secret: string): string => codeAt(secret, clock.epochMs())

    test('[ASVS 6.3.3] a login takes the password and a code, and only then opens a session', async () => {
      await using scene = await open()
      const { app, opened } = scene
      const { secret } = await scene.enrolled()
      const { reader } = opened.database
      const count = async () => (await reader.selectFrom('session').select('id').execute()).length
      const before = await count()
      const answer = await tryLogin(app, ada)
      assert.deepEqual(Object.keys(answer.json()), ['mfa_required', 'mfa_token', 'methods'])
      assert.deepEqual(answer.json()['methods'], ['totp', 'recovery_code'])
      assert.equal(answer.field('set-cookie'), undefined)
      assert.equal(await count(), before)
      const done = await finishLogin(app, String(answer.json()['mfa_token']), 'totp', codeNow(scene, secret))
      const who = loggedIn(ada, done)
      assert.equal(await count(), before + 1)
      assert.deepEqual(claimsOf(who.accessToken)['amr'], ['pwd', 'otp', 'mfa'])
      const row = await reader.selectFrom('session').selectAll().where('id', '=', who.sid).executeTakeFirstOrThrow()
      assert.deepEqual([row.amr, row.mfa], ['pwd otp mfa', 1])
    })

    test('[ASVS 7.4.3] a new factor ends all other sessions and the access token of before, and raises the one that it was made in', async () => {
      await using scene = await open()
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
      await using scene = await open()
      const { app, clock } = scene
      await app.addAccount('ada')
      const who = await logIn(app, ada)
      const [first, second] = [await meTotp(app, who, 'POST'), await meTotp(app, who, 'POST')].map((answer) =>
        String(answer.json()['secret']),
      )
      assert.deepEqual((await meTotp(app, who)).json(), { enabled: false, recovery_codes_left: 0 })
      await logIn(app, ada)
      const confirm = (code: string) => send(app, 'PUT', '/v1/me/totp', { code }, { fields: who.fields })
      assertRefused(await confirm(codeAt(first ?? '', clock.epochMs())), { status: 400, code: 'validation_failed', pointer: '/code' })
      assert.equal((await confirm(codeAt(second ?? '', clock.epochMs()))).status, 200)
      assert.equal((await tryLogin(app, ada)).json()['mfa_required'], true)
    })

    test('a confirmed secret cannot be replaced or confirmed again, and is never shown again', async () => {
      await using scene = await open()
      const { app } = scene
      const { who, secret } = await scene.enrolled()
      assertRefused(await meTotp(app, who, 'POST'), { status: 409, code: 'conflict' })
      const again = await send(app, 'PUT', '/v1/me/totp', { code: codeNow(scene, secret) }, { fields: who.fields })
      assertRefused(again, { status: 409, code: 'conflict' })
      assert.doesNotMatch((await meTotp(app, who)).body, new RegExp(secret))
    })

    test('database read: neither the secret nor a recovery code stands in it, and a sealed secret opens in no other row', async () => {
      await using scene = await open()
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
      assert.equal((await finishLogin(app, token, 'totp', codeNow(scene, secret))).status, 500)
    })

    test('[ASVS 6.5.1] replay: a code that was used is refused in its step, in the next, and after another login', async () => {
      await using scene = await open()
      const { app, clock } = scene
      const { secret } = await scene.enrolled()
      const code = codeNow(scene, secret)
      loggedIn(ada, await finishLogin(app, await beginLogin(app, ada), 'totp', code))
      for (const wait of [0, step]) {
        clock.advance(wait)
        assertRefused(await finishLogin(app, await beginLogin(app, ada), 'totp', code), unauthenticated)
      }
      loggedIn(ada, await finishLogin(app, await beginLogin(app, ada), 'totp', codeNow(scene, secret)))
    })

    test('[ASVS 6.5.1] replay: the code that confirmed the app logs nobody in', async () => {
      await using scene = await open()
      const { app, clock } = scene
      await app.addAccount('ada')
      const { secret } = await enrolTotp(app, await logIn(app, ada), clock.epochMs())
      assertRefused(await finishLogin(app, await beginLogin(app, ada), 'totp', codeNow(scene, secret)), unauthenticated)
    })

    test('[ASVS 6.5.1] an overheard code of the step before is worth nothing once a later one was used', async () => {
      await using scene = await open()
      const { app, clock } = scene
      const { secret } = await scene.enrolled()
      const overheard = codeNow(scene, secret)
      clock.advance(step)
      loggedIn(ada, await finishLogin(app, await beginLogin(app, ada), 'totp', codeNow(scene, secret)))
      assertRefused(await finishLogin(app, await beginLogin(app, ada), 'totp', overheard), unauthenticated)
    })

    test('[ASVS 6.5.1] in parallel: one code in ten logins opens one session; ten codes for one login open one', async () => {
      await using scene = await open()
      const { app, opened } = scene
      const { secret } = await scene.enrolled()
      const { reader } = opened.database
      const live = async () => (await reader.selectFrom('session').select('id').where('revoked_at', 'is', null).execute()).length
      const before = await live()
      const tokens = await Promise.all(Array.from({ length: 10 }, () => beginLogin(app, ada)))
      const code = codeNow(scene, secret)
      const answers = await Promise.all(tokens.map((token) => finishLogin(app, token, 'totp', code)))
      assert.deepEqual(statuses(answers), [200, ...Array.from({ length: 9 }, () => 401)])
      assert.equal(await live(), before + 1)
      scene.clock.advance(step)
      const [token = ''] = await Promise.all([beginLogin(app, ada)])
      const again = await Promise.all(Array.from({ length: 10 }, () => finishLogin(app, token, 'totp', codeNow(scene, secret))))
      assert.deepEqual(statuses(again), [200, ...Array.from({ length: 9 }, () => 401)])
      assert.equal(await live(), before + 2)
    })

    test('[ASVS 6.5.1] a recovery code logs in once: not again, not in parallel, in whatever spelling', async () => {
      await using scene = await open()
      const { app } = scene
      const { recoveryCodes } = await scene.enrolled()
      const [first = '', second = ''] = recoveryCodes
      const who = loggedIn(ada, await finishLogin(app, await beginLogin(app, ada), 'recovery_code', first))
      assert.deepEqual(claimsOf(who.accessToken)['amr'], ['pwd', 'otp', 'mfa'])
      for (const spelling of [first, first.toUpperCase(), first.replaceAll('-', '')])
        assertRefused(await finishLogin(app, await beginLogin(app, ada), 'recovery_code', spelling), unauthenticated)
      const tokens = await Promise.all(Array.from({ length: 6 }, () => beginLogin(app, ada)))
      const answers = await Promise.all(tokens.map((token) => finishLogin(app, token, 'recovery_code', second)))
      assert.deepEqual(statuses(answers), [200, 401, 401, 401, 401, 401])
      assert.equal((await meTotp(app, who)).json()['recovery_codes_left'], 8)
      const used = await scene.opened.database.reader
        .selectFrom('audit')
        .select('target')
        .where('action', '=', 'recovery_code.use')
        .execute()
      assert.deepEqual(used, [{ target: who.subject }, { target: who.subject }])
    })

    test('new recovery codes make the old ones worth nothing [ASVS 7.4.3]', async () => {
      await using scene = await open()
      const { app } = scene
      const { who, secret, recoveryCodes } = await scene.enrolled()
      const other = loggedIn(ada, await finishLogin(app, await beginLogin(app, ada), 'totp', codeNow(scene, secret)))
      const answer = await ask(app, { method: 'POST', target: '/v1/me/totp/recovery-codes', fields: who.fields })
      assert.equal(answer.status, 200, answer.body)
      assert.equal((await meTotp(app, other)).status, 401)
      const fresh = answer.json()['recovery_codes'] as string[]
      assert.equal(new Set([...fresh, ...recoveryCodes]).size, 20)
      assertRefused(await finishLogin(app, await beginLogin(app, ada), 'recovery_code', recoveryCodes[0]), unauthenticated)
      assert.equal((await finishLogin(app, await beginLogin(app, ada), 'recovery_code', fresh[0])).status, 200)
    })

    test('[ASVS 6.5.5] clock: a code is good for its step and one to either side, by the clock of the server', async () => {
      await using scene = await open()
      const { app, clock } = scene
      const { secret } = await scene.enrolled()
      // The confirming code was of the step before: start where none of these is older than it.
      clock.advance(10 * step)
      for (const [drift, status] of [
        [-3, 401],
        [-2, 401],
        [2, 401],
        [3, 401],
        [-1, 200],
        [0, 200],
        [1, 200],
      ] as const) {
        const answer = await finishLogin(app, await beginLogin(app, ada), 'totp', codeAt(secret, clock.epochMs() + drift * step))
        assert.equal(answer.status, status, String(drift))
      }
    })

    test('[ASVS 6.6.2] a code, a recovery code and a token of one account finish no login of another', async () => {
      await using scene = await open()
      const { app } = scene
      const [one, other] = [await scene.enrolled('ada'), await scene.enrolled('grace')]
      const token = await beginLogin(app, grace)
      assertRefused(await finishLogin(app, token, 'totp', codeNow(scene, one.secret)), unauthenticated)
      assertRefused(await finishLogin(app, token, 'recovery_code', one.recoveryCodes[0]), unauthenticated)
      assertRefused(await finishLogin(app, await beginLogin(app, ada), 'totp', codeNow(scene, other.secret)), unauthenticated)
      const done = loggedIn(grace, await finishLogin(app, token, 'totp', codeNow(scene, other.secret)))
      assert.equal(done.subject, other.who.subject, 'two wrong codes did not end it')
    })

    test('[ASVS 6.6.3] guessing: five wrong codes end a login, of whatever method, and then the right one is refused', async () => {
      await using scene = await open()
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
        assertRefused(await finishLogin(app, token, method, code), unauthenticated)
      const ended = await finishLogin(app, token, 'totp', codeNow(scene, secret))
      assertRefused(ended, unauthenticated)
      assert.match(String(ended.json()['detail']), /Log in again/)
      loggedIn(ada, await finishLogin(app, await beginLogin(app, ada), 'totp', codeNow(scene, secret)))
    })

    test('[ASVS 6.6.3] guessing in parallel: of forty codes at once for one login no more than five are looked at', async () => {
      await using scene = await open()
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
      await using scene = await open({ loginFailures: '10 per 15 minutes' })
      const { app, clock } = scene
      const { secret } = await scene.enrolled()
      const wrong = wrongCodeAt(secret, clock.epochMs())
      for (let i = 0; i < 10; i++) assertRefused(await finishLogin(app, await beginLogin(app, ada), 'totp', wrong), unauthenticated)
      const refused = await tryLogin(app, ada)
      assertRefused(refused, { status: 429, code: 'quota_exceeded' })
      clock.advance(15 * minute)
      const done = await finishLogin(app, await beginLogin(app, ada), 'totp', codeNow(scene, secret))
      assert.equal(done.status, 200, done.body)
    })

    test('[ASVS 6.3.4] a login that is half done opens no other route', async () => {
      await using scene = await open()
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
      await using scene = await open()
      const { app, clock } = scene
      const { who, secret } = await scene.enrolled()
      const [expired, finished, tried] = [await beginLogin(app, ada), await beginLogin(app, ada), await beginLogin(app, ada)]
      assert.equal((await finishLogin(app, finished, 'totp', codeNow(scene, secret))).status, 200)
      for (let i = 0; i < 5; i++) await finishLogin(app, tried, 'totp', wrongCodeAt(secret, clock.epochMs()))
      const refused = async (token: string) => toldBy(await finishLogin(app, token, 'totp', codeNow(scene, secret)))
      clock.advance(step)
      const known = [await refused(finished), await refused(tried)]
      clock.advance(5 * minute - step)
      for (const token of [expired, `fgm_${'A'.repeat(43)}`, who.refreshToken, who.accessToken.slice(0, 60), 'x', finished])
        known.push(await refused(token))
      assert.equal(new Set(known.map((one) => JSON.stringify(one))).size, 1, JSON.stringify(known))
      assert.equal((known[0] as { status: number }).status, 401)
    })

    test('half a login is over when the factors or the password change, and when the account is disabled', async () => {
      await using scene = await open()
      const { app, clock, opened } = scene
      const { who, secret } = await scene.enrolled()
      const { parts } = app
      const entry = { actor: 'system', action: 'test', target: who.subject }
      const dead = async (change: () => Promise<unknown>): Promise<void> => {
        const token = await beginLogin(app, ada)
        await change()
        clock.advance(step)
        assertRefused(await finishLogin(app, token, 'totp', codeNow(scene, secret)), unauthenticated)
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

    test('[ASVS 6.4.3] a reset password is no way around the second factor', async () => {
      await using scene = await open()
      const { app } = scene
      const { who } = await scene.enrolled()
      const { passwordHash } = (await app.parts.accounts.byId(who.subject)) ?? {}
      const reset = app.parts.statements.setPassword(who.subject, passwordHash ?? '', passwordHash ?? '')
      await app.parts.changes.commit([reset], [{ actor: 'system', action: 'user.password', target: who.subject }])
      assert.equal((await tryLogin(app, ada)).json()['mfa_required'], true)
    })

    test('[ASVS 7.5.1] an open session that is not fresh changes no factor, and neither does one without the second factor', async () => {
      await using scene = await open()
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
          assertRefused(answer, unauthenticated)
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
      const fresh = loggedIn(ada, await finishLogin(app, await beginLogin(app, ada), 'totp', codeNow(scene, secret)))
      assert.equal((await meTotp(app, fresh, 'DELETE')).status, 204)
    })

    test('[ASVS 7.4.3] removing the app ends all other sessions; its codes and the recovery codes log nobody in any more', async () => {
      await using scene = await open()
      const { app, clock, opened } = scene
      const { who, secret } = await scene.enrolled()
      const other = loggedIn(ada, await finishLogin(app, await beginLogin(app, ada), 'totp', codeNow(scene, secret)))
      assert.equal((await meTotp(app, who, 'DELETE')).status, 204)
      assert.deepEqual([(await meTotp(app, who)).status, (await meTotp(app, other)).status], [200, 401])
      assertRefused(await meTotp(app, who, 'DELETE'), { status: 404, code: 'not_found' })
      await logIn(app, ada)
      const { reader } = opened.database
      assert.deepEqual(await reader.selectFrom('recovery_code').selectAll().execute(), [])
      const account = await reader.selectFrom('account').selectAll().executeTakeFirstOrThrow()
      assert.deepEqual([account.totp_secret, account.totp_confirmed_at, account.totp_step], [null, null, null])
      // A new secret begins anew, in whatever step.
      await enrolTotp(app, await logIn(app, ada), clock.epochMs())
    })

    test('the last factor of a role that needs one stays', async () => {
      await using scene = await open({ requireMfaFor: ['viewer'] })
      const { app } = scene
      const { who } = await scene.enrolled()
      assertRefused(await meTotp(app, who, 'DELETE'), { status: 409, code: 'conflict' })
      assert.equal((await tryLogin(app, ada)).json()['mfa_required'], true)
    })

    test('confirming twice at once: one set of recovery codes', async () => {
      await using scene = await open()
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
      await using scene = await open()
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

    test('a code of another kind than its method is told as a mistake, and costs no attempt', async () => {
      await using scene = await open()
      const { app, opened } = scene
      await scene.enrolled()
      const token = await beginLogin(app, ada)
      for (const [method, code] of [
        ['totp', anyPasskey.credential],
        ['passkey', '123456'],
      ] as const)
        assertRefused(await finishLogin(app, token, method, code), { status: 400, code: 'validation_failed', pointer: '/code' })
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

const anyPasskey = {
  name: 'x',
  credential: {
    id: 'AAAA',
    rawId: 'AAAA',
    type: 'public-key',
    response: { clientDataJSON: 'e30', attestationObject: 'oA', authenticatorData: 'AA', signature: 'AA' },
  },
}
