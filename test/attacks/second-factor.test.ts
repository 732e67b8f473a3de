import assert from 'node:assert/strict'
import { test } from 'node:test'

import { claimsOf, loggedIn, logIn, tryLogin } from '../support/accounts.ts'
import { databases } from '../support/databases.ts'
import { ada, assertUnauthenticated, grace, meTotp, openFactorScene, statuses } from '../support/factor-scene.ts'
import { beginLogin, codeAt, enrolTotp, finishLogin } from '../support/second-factor.ts'
import { describeUnless } from '../support/services.ts'

const step = 30_000

for (const kind of databases) {
  describeUnless(kind.missing, `codes of second factors on ${kind.name}`, () => {
    test('[ASVS 6.3.3] a login takes the password and a code, and only then opens a session', async () => {
      await using scene = await openFactorScene(kind)
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
      const done = await finishLogin(app, String(answer.json()['mfa_token']), 'totp', scene.codeNow(secret))
      const who = loggedIn(ada, done)
      assert.equal(await count(), before + 1)
      assert.deepEqual(claimsOf(who.accessToken)['amr'], ['pwd', 'otp', 'mfa'])
      const row = await reader.selectFrom('session').selectAll().where('id', '=', who.sid).executeTakeFirstOrThrow()
      assert.deepEqual([row.amr, row.mfa], ['pwd otp mfa', 1])
    })

    test('[ASVS 6.5.1] replay: a code that was used is refused in its step, in the next, and after another login', async () => {
      await using scene = await openFactorScene(kind)
      const { app, clock } = scene
      const { secret } = await scene.enrolled()
      const code = scene.codeNow(secret)
      loggedIn(ada, await finishLogin(app, await beginLogin(app, ada), 'totp', code))
      for (const wait of [0, step]) {
        clock.advance(wait)
        assertUnauthenticated(await finishLogin(app, await beginLogin(app, ada), 'totp', code))
      }
      loggedIn(ada, await finishLogin(app, await beginLogin(app, ada), 'totp', scene.codeNow(secret)))
    })

    test('[ASVS 6.5.1] replay: the code that confirmed the app logs nobody in', async () => {
      await using scene = await openFactorScene(kind)
      const { app, clock } = scene
      await app.addAccount('ada')
      const { secret } = await enrolTotp(app, await logIn(app, ada), clock.epochMs())
      assertUnauthenticated(await finishLogin(app, await beginLogin(app, ada), 'totp', scene.codeNow(secret)))
    })

    test('[ASVS 6.5.1] an overheard code of the step before is worth nothing once a later one was used', async () => {
      await using scene = await openFactorScene(kind)
      const { app, clock } = scene
      const { secret } = await scene.enrolled()
      const overheard = scene.codeNow(secret)
      clock.advance(step)
      loggedIn(ada, await finishLogin(app, await beginLogin(app, ada), 'totp', scene.codeNow(secret)))
      assertUnauthenticated(await finishLogin(app, await beginLogin(app, ada), 'totp', overheard))
    })

    test('[ASVS 6.5.1] in parallel: one code in ten logins opens one session; ten codes for one login open one', async () => {
      await using scene = await openFactorScene(kind)
      const { app, opened } = scene
      const { secret } = await scene.enrolled()
      const { reader } = opened.database
      const live = async () => (await reader.selectFrom('session').select('id').where('revoked_at', 'is', null).execute()).length
      const before = await live()
      const tokens = await Promise.all(Array.from({ length: 10 }, () => beginLogin(app, ada)))
      const code = scene.codeNow(secret)
      const answers = await Promise.all(tokens.map((token) => finishLogin(app, token, 'totp', code)))
      assert.deepEqual(statuses(answers), [200, ...Array.from({ length: 9 }, () => 401)])
      assert.equal(await live(), before + 1)
      scene.clock.advance(step)
      const token = await beginLogin(app, ada)
      const again = await Promise.all(Array.from({ length: 10 }, () => finishLogin(app, token, 'totp', scene.codeNow(secret))))
      assert.deepEqual(statuses(again), [200, ...Array.from({ length: 9 }, () => 401)])
      assert.equal(await live(), before + 2)
    })

    test('[ASVS 6.5.1] a recovery code logs in once: not again, not in parallel, in whatever spelling', async () => {
      await using scene = await openFactorScene(kind)
      const { app } = scene
      const { recoveryCodes } = await scene.enrolled()
      const [first = '', second = ''] = recoveryCodes
      const who = loggedIn(ada, await finishLogin(app, await beginLogin(app, ada), 'recovery_code', first))
      assert.deepEqual(claimsOf(who.accessToken)['amr'], ['pwd', 'otp', 'mfa'])
      for (const spelling of [first, first.toUpperCase(), first.replaceAll('-', '')])
        assertUnauthenticated(await finishLogin(app, await beginLogin(app, ada), 'recovery_code', spelling))
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

    test('[ASVS 6.5.5] clock: a code is good for its step and one to either side, by the clock of the server', async () => {
      await using scene = await openFactorScene(kind)
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
      await using scene = await openFactorScene(kind)
      const { app } = scene
      const [one, other] = [await scene.enrolled('ada'), await scene.enrolled('grace')]
      const token = await beginLogin(app, grace)
      assertUnauthenticated(await finishLogin(app, token, 'totp', scene.codeNow(one.secret)))
      assertUnauthenticated(await finishLogin(app, token, 'recovery_code', one.recoveryCodes[0]))
      assertUnauthenticated(await finishLogin(app, await beginLogin(app, ada), 'totp', scene.codeNow(other.secret)))
      const done = loggedIn(grace, await finishLogin(app, token, 'totp', scene.codeNow(other.secret)))
      assert.equal(done.subject, other.who.subject, 'two wrong codes did not end it')
    })
  })
}
