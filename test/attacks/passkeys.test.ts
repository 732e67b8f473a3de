import assert from 'node:assert/strict'
import { test } from 'node:test'

import { bearer, claimsOf, loggedIn, send, tryLogin } from '../support/accounts.ts'
import { ask } from '../support/attack.ts'
import { createAuthenticator, type Misbehaviour } from '../support/authenticator.ts'
import { databases } from '../support/databases.ts'
import {
  ada,
  addPasskey,
  assertRefused,
  assertUnauthenticated,
  creationOptions,
  type Fields,
  loginOptions,
  logInWith,
  openFactorScene,
  origin,
  passkeysOf,
  registered,
  statuses,
  verifyPasskey,
} from '../support/factor-scene.ts'
import { beginLogin, finishLogin, toldBy } from '../support/second-factor.ts'
import { describeUnless } from '../support/services.ts'

const minute = 60_000
/** What an authenticator, or the page that asks it, can get wrong for both ceremonies. */
const misbehaviours: Readonly<Record<string, Misbehaviour>> = {
  'another site asked (phishing)': { origin: 'http://localhost.evil.example' },
  'another port of the same host asked': { origin: 'http://localhost:8080' },
  'it was asked for another relying party': { rpId: 'evil.example' },
  'it answers a challenge that is not ours': { challenge: Buffer.alloc(64, 1).toString('base64url') },
  'it answers no challenge': { challenge: '' },
  'nobody was there': { userPresent: false },
  'nobody was verified': { userVerified: false },
  'it says what the other ceremony says': { type: 'webauthn.unknown' },
  'it was asked in a frame of another site': { crossOrigin: true },
}

for (const kind of databases) {
  describeUnless(kind.missing, `logins with passkeys on ${kind.name}`, () => {
    test('[ASVS 6.3.3] a passkey is added, logs in alone with more than one factor, and is listed with its last use', async () => {
      await using scene = await openFactorScene(kind)
      const { app, clock } = scene
      const { authenticator, who, answer } = await scene.withPasskey()
      const { id, recovery_codes: codes, ...rest } = answer.json()
      assert.deepEqual(rest, { name: 'My laptop', created_at: new Date(clock.epochMs()).toISOString(), last_used_at: null })
      assert.equal(answer.field('location'), `/v1/me/passkeys/${String(id)}`)
      assert.equal((codes as string[]).length, 10)
      assert.deepEqual(claimsOf(who.accessToken)['amr'], ['pwd', 'hwk', 'user', 'mfa'])
      clock.advance(minute)
      const session = loggedIn(ada, await logInWith(app, authenticator))
      assert.equal(session.subject, who.subject)
      assert.deepEqual(claimsOf(session.accessToken)['amr'], ['hwk', 'user', 'mfa'])
      assert.deepEqual(await passkeysOf(app, session), [{ id, ...rest, last_used_at: new Date(clock.epochMs()).toISOString() }])
    })

    test('passkeys that are synchronised have no counter, and say that their key may be copied', async () => {
      await using scene = await openFactorScene(kind)
      const authenticator = createAuthenticator({ origin, counts: false, isSynced: true })
      const { who } = await registered(scene.app, await scene.user(), authenticator)
      assert.deepEqual(claimsOf(who.accessToken)['amr'], ['pwd', 'swk', 'user', 'mfa'])
      for (let i = 0; i < 3; i++) {
        const session = loggedIn(ada, await logInWith(scene.app, authenticator))
        assert.deepEqual(claimsOf(session.accessToken)['amr'], ['swk', 'user', 'mfa'])
      }
    })

    for (const [name, wrong] of Object.entries(misbehaviours)) {
      test(`${name}: no login, and no passkey is added`, async () => {
        await using scene = await openFactorScene(kind)
        const { app } = scene
        const { authenticator, who } = await scene.withPasskey()
        assertUnauthenticated(await logInWith(app, authenticator, wrong))
        const another = createAuthenticator({ origin })
        const options = (await creationOptions(app, who)).json()
        assertRefused(await addPasskey(app, who, another.create(options, wrong)), 400, 'validation_failed')
        assert.equal((await passkeysOf(app, who)).length, 1)
        assert.equal((await logInWith(app, authenticator)).status, 200)
      })
    }

    test('a signature of another key, of other data, or no signature at all logs nobody in', async () => {
      await using scene = await openFactorScene(kind)
      const { app } = scene
      const { authenticator } = await scene.withPasskey()
      assertUnauthenticated(await logInWith(app, authenticator, { foreignKey: true }))
      const { response, ...rest } = authenticator.get(await loginOptions(app))
      const changes: Readonly<Record<string, string>>[] = [
        { signature: 'AA' },
        { signature: response.signature.slice(0, -4) },
        { signature: Buffer.alloc(72).toString('base64url') },
        { authenticatorData: response.authenticatorData.replace(/.$/, (letter) => (letter === 'A' ? 'E' : 'A')) },
        { authenticatorData: 'AA' },
        { authenticatorData: Buffer.from('{}').toString('base64url') },
        { clientDataJSON: Buffer.from('{}').toString('base64url') },
        { clientDataJSON: Buffer.from('not json').toString('base64url') },
        { clientDataJSON: Buffer.from('null').toString('base64url') },
      ]
      for (const change of changes) assertUnauthenticated(await verifyPasskey(app, { ...rest, response: { ...response, ...change } }))
      assert.equal((await verifyPasskey(app, { ...rest, response })).status, 200, 'as it was')
    })

    test('[ASVS 6.7.2] replay: an answer logs in once, not again, not in parallel', async () => {
      await using scene = await openFactorScene(kind)
      const { app, opened } = scene
      // Without a counter, which would refuse the second one anyway.
      const authenticator = createAuthenticator({ origin, counts: false })
      await registered(app, await scene.user(), authenticator)
      const assertion = authenticator.get(await loginOptions(app))
      const answers = await Promise.all(Array.from({ length: 8 }, () => verifyPasskey(app, assertion)))
      assert.deepEqual(statuses(answers), [200, ...Array.from({ length: 7 }, () => 401)])
      assertUnauthenticated(await verifyPasskey(app, assertion))
      const spent = await opened.database.reader.selectFrom('spent_challenge').select('hash').execute()
      assert.equal(spent.length, 2, 'of the passkey that was added, and of the login')
    })

    test('[ASVS 6.7.2] a challenge is good for one answer of whatever passkey, and for five minutes', async () => {
      await using scene = await openFactorScene(kind)
      const { app, clock } = scene
      const [one, other] = [await scene.withPasskey('ada'), await scene.withPasskey('grace')]
      const options = await loginOptions(app)
      assert.equal((await verifyPasskey(app, one.authenticator.get(options))).status, 200)
      assertUnauthenticated(await verifyPasskey(app, other.authenticator.get(options)))
      const old = await loginOptions(app)
      clock.advance(5 * minute)
      assertUnauthenticated(await verifyPasskey(app, one.authenticator.get(old)))
    })

    test('anonymous questions store nothing, however many', async () => {
      await using scene = await openFactorScene(kind)
      const { app, opened } = scene
      await Promise.all(Array.from({ length: 50 }, () => loginOptions(app)))
      for (const table of ['spent_challenge', 'pending_login', 'session'] as const)
        assert.deepEqual(await opened.database.reader.selectFrom(table).selectAll().execute(), [])
    })

    test('[ASVS 6.6.2] challenges of one purpose answer no other: adding, logging in, the second half of a login, another session', async () => {
      await using scene = await openFactorScene(kind)
      const { app } = scene
      const { authenticator, who } = await scene.withPasskey()
      const [first, second] = [await beginLogin(app, ada), await beginLogin(app, ada)]
      const [toAdd, toLogIn] = [(await creationOptions(app, who)).json(), await loginOptions(app)]
      const [forFirst, forSecond] = [await loginOptions(app, first), await loginOptions(app, second)]
      const answer = (options: Readonly<Record<string, unknown>>) => authenticator.get({ ...options, rpId: 'localhost' })
      for (const options of [toAdd, forFirst]) assertUnauthenticated(await verifyPasskey(app, answer(options)))
      for (const options of [toAdd, toLogIn, forSecond]) assertUnauthenticated(await finishLogin(app, first, 'passkey', answer(options)))
      const another = createAuthenticator({ origin })
      for (const options of [toLogIn, forFirst])
        assertRefused(await addPasskey(app, who, another.create({ ...toAdd, challenge: options['challenge'] })), 400, 'validation_failed')
      // Made in one session, sent in another of the same account.
      const session = loggedIn(ada, await finishLogin(app, second, 'passkey', authenticator.get(forSecond)))
      assertRefused(await addPasskey(app, session, another.create(toAdd)), 400, 'validation_failed')
      assert.equal((await addPasskey(app, who, another.create(toAdd))).status, 201)
    })

    test('as second factor: the password first, then a passkey of that account, which is asked once', async () => {
      await using scene = await openFactorScene(kind)
      const { app, opened } = scene
      const { authenticator, who } = await scene.withPasskey()
      assert.deepEqual((await tryLogin(app, ada)).json()['methods'], ['passkey', 'recovery_code'])
      const token = await beginLogin(app, ada)
      assertUnauthenticated(await finishLogin(app, token, 'passkey', authenticator.get({ rpId: 'localhost', challenge: 'AAAA' })))
      const options = await loginOptions(app, token)
      assert.deepEqual(options['allowCredentials'], [{ type: 'public-key', id: authenticator.id, transports: ['internal', 'hybrid'] }])
      assertUnauthenticated(await finishLogin(app, token, 'passkey', authenticator.get(options, { foreignKey: true })))
      assertUnauthenticated(await finishLogin(app, token, 'passkey', authenticator.get(options)))
      const { attempts } = await opened.database.reader
        .selectFrom('pending_login')
        .select('attempts')
        .orderBy('attempts', 'desc')
        .executeTakeFirstOrThrow()
      assert.equal(attempts, 3, 'what answers nothing that was asked costs an attempt, too')
      const session = loggedIn(ada, await finishLogin(app, token, 'passkey', authenticator.get(await loginOptions(app, token))))
      assert.deepEqual([session.subject, claimsOf(session.accessToken)['amr']], [who.subject, ['pwd', 'hwk', 'user', 'mfa']])
    })

    test('the authenticator must say whose passkey it is, and that must be its owner', async () => {
      await using scene = await openFactorScene(kind)
      const { app } = scene
      const { authenticator } = await scene.withPasskey()
      await scene.user('grace')
      const account = await app.parts.accounts.byUsername('grace')
      for (const userHandle of [null, '', Buffer.from(account?.id ?? '').toString('base64url')])
        assertUnauthenticated(await logInWith(app, authenticator, { userHandle }))
    })

    test('a copied authenticator: a counter that does not grow is refused and told', async () => {
      await using scene = await openFactorScene(kind)
      const { app } = scene
      const { authenticator } = await scene.withPasskey()
      assert.equal((await logInWith(app, authenticator, { counter: 10 })).status, 200)
      for (const counter of [10, 9, 1, 0]) assertUnauthenticated(await logInWith(app, authenticator, { counter }))
      const told = app.events.filter((event) => event.event === 'authn_login_fail' && /counter/.test(event.reason))
      assert.equal(told.length, 4)
      const answers = await Promise.all(Array.from({ length: 5 }, () => logInWith(app, authenticator, { counter: 11 })))
      assert.deepEqual(statuses(answers), [200, 401, 401, 401, 401])
    })

    test('what is refused is refused alike, whether there is such a passkey, and leaves nothing', async () => {
      await using scene = await openFactorScene(kind)
      const { app, opened } = scene
      const { authenticator, who } = await scene.withPasskey()
      const stranger = createAuthenticator({ origin })
      stranger.create({ rp: { id: 'localhost' }, user: { id: Buffer.from(who.subject).toString('base64url') }, challenge: '' })
      const answers = [await logInWith(app, stranger), await logInWith(app, authenticator, { foreignKey: true })]
      const entry = { actor: 'system', action: 'user.disable', target: who.subject }
      await app.parts.changes.commit([app.parts.statements.setDisabled(who.subject, true)], [entry])
      answers.push(await logInWith(app, authenticator))
      assert.equal(new Set(answers.map((answer) => JSON.stringify(toldBy(answer)))).size, 1)
      assert.deepEqual(statuses(answers), [401, 401, 401])
      const sessions = await opened.database.reader.selectFrom('session').select('id').execute()
      assert.deepEqual(sessions, [{ id: who.sid }])
    })

    test('[ASVS 6.6.3] guessing: wrong passkeys are counted as wrong passwords are, and for passkeys that nobody has, too', async () => {
      await using scene = await openFactorScene(kind, { loginFailures: '10 per 15 minutes' })
      const { app } = scene
      const { authenticator } = await scene.withPasskey()
      for (let i = 0; i < 10; i++) assertUnauthenticated(await logInWith(app, authenticator, { foreignKey: true }))
      assertRefused(await logInWith(app, authenticator), 429, 'quota_exceeded')
      assertRefused(await tryLogin(app, ada), 429, 'quota_exceeded')
      const stranger = createAuthenticator({ origin })
      const from = { 'X-Forwarded-For': '192.0.2.9' }
      const guess = async () => verifyPasskey(app, stranger.get(await loginOptions(app)), from)
      for (let i = 0; i < 10; i++) assertUnauthenticated(await guess())
      assertRefused(await guess(), 429, 'quota_exceeded')
    })

    test('[ASVS 6.3.4] half a login, a key that is none, and nobody see no passkeys', async () => {
      await using scene = await openFactorScene(kind)
      const { app } = scene
      await scene.withPasskey()
      const token = await beginLogin(app, ada)
      for (const fields of [bearer(token), bearer('fg_x'), {}])
        assert.equal((await ask(app, { target: '/v1/me/passkeys', fields })).status, 401)
    })

    test('browser mode: a passkey login from another page is refused, from our own it sets the cookie', async () => {
      await using scene = await openFactorScene(kind)
      const { app } = scene
      const { authenticator } = await scene.withPasskey()
      const attempt = async (fields: Fields) =>
        send(app, 'POST', '/v1/auth/passkey/verify', { credential: authenticator.get(await loginOptions(app)), browser: true }, { fields })
      assertRefused(await attempt({ Origin: 'https://evil.example' }), 403, 'forbidden')
      const answer = await attempt({ Origin: origin, 'Sec-Fetch-Site': 'same-origin' })
      assert.equal(answer.status, 200, answer.body)
      assert.match(answer.field('set-cookie') ?? '', /^__Host-/)
      assert.equal(answer.json()['refresh_token'], undefined)
    })
  })
}
