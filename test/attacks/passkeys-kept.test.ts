import assert from 'node:assert/strict'
import { test } from 'node:test'

import { loggedIn, logIn, refresh, send, tryLogin } from '../support/accounts.ts'
import { ask } from '../support/attack.ts'
import { cborList, cborMap, cborText, createAuthenticator, type Misbehaviour } from '../support/authenticator.ts'
import { databases } from '../support/databases.ts'
import {
  ada,
  addPasskey,
  assertRefused,
  assertUnauthenticated,
  creationOptions,
  loginOptions,
  logInWith,
  openFactorScene,
  origin,
  passkeysOf,
  registered,
  removePasskey,
  statuses,
} from '../support/factor-scene.ts'
import { beginLogin, codeAt, enrolTotp, finishLogin, toldBy } from '../support/second-factor.ts'
import { describeUnless } from '../support/services.ts'

for (const kind of databases) {
  describeUnless(kind.missing, `passkeys of an account on ${kind.name}`, () => {
    test('the options ask for what is checked: user verification, a discoverable key, no attestation, no key twice', async () => {
      await using scene = await openFactorScene(kind)
      const { authenticator, who } = await scene.withPasskey()
      const { challenge, ...options } = (await creationOptions(scene.app, who)).json()
      assert.match(String(challenge), /^[\w-]{86}$/)
      assert.deepEqual(options, {
        rp: { id: 'localhost', name: 'Filmgate' },
        user: { id: Buffer.from(who.subject).toString('base64url'), name: 'ada', displayName: 'ada' },
        pubKeyCredParams: [-8, -7, -257].map((alg) => ({ type: 'public-key', alg })),
        timeout: 300_000,
        excludeCredentials: [{ type: 'public-key', id: authenticator.id, transports: ['internal', 'hybrid'] }],
        authenticatorSelection: { residentKey: 'required', requireResidentKey: true, userVerification: 'required' },
        attestation: 'none',
      })
      const { challenge: question, ...asked } = await loginOptions(scene.app)
      assert.match(String(question), /^[\w-]{86}$/)
      assert.deepEqual(asked, { rpId: 'localhost', timeout: 300_000, userVerification: 'required', allowCredentials: [] })
    })

    test("another account's passkey finishes no login, is not removed, not seen, and not added twice", async () => {
      await using scene = await openFactorScene(kind)
      const { app } = scene
      const [one, other] = [await scene.withPasskey('ada'), await scene.withPasskey('grace')]
      const token = await beginLogin(app, ada)
      const options = await loginOptions(app, token)
      assertUnauthenticated(await finishLogin(app, token, 'passkey', other.authenticator.get(options)))
      const [theirs] = await passkeysOf(app, other.who)
      const [unknown, foreign] = [await removePasskey(app, one.who, 'A'.repeat(22)), await removePasskey(app, one.who, theirs?.['id'])]
      assert.deepEqual([foreign.status, toldBy(foreign)], [404, toldBy(unknown)])
      assert.equal((await passkeysOf(app, other.who)).length, 1)
      // The same credential for two accounts: whose login would it be?
      const stolen = other.authenticator.create((await creationOptions(app, one.who)).json())
      assertRefused(await addPasskey(app, one.who, stolen), 409, 'conflict')
    })

    test('attestation that nobody asked for, with certificates that would be followed to wherever they say, is refused', async () => {
      await using scene = await openFactorScene(kind)
      const { app } = scene
      const who = await scene.user()
      const certificates = cborMap([[cborText('x5c'), cborList([])]])
      for (const wrong of [
        { format: 'packed', statement: certificates },
        { format: 'fido-u2f', statement: certificates },
        { format: 'tpm', statement: certificates },
        { format: 'android-safetynet' },
        { format: 'apple' },
        { format: 'unheard-of' },
        { format: 'none', statement: certificates },
        { format: 'packed' },
      ] satisfies Misbehaviour[]) {
        const options = (await creationOptions(app, who)).json()
        assertRefused(await addPasskey(app, who, createAuthenticator({ origin }).create(options, wrong)), 400, 'validation_failed')
      }
      assert.deepEqual(await passkeysOf(app, who), [])
    })

    test('garbage in place of CBOR is refused, and never an error of ours', async () => {
      await using scene = await openFactorScene(kind)
      const { app } = scene
      const who = await scene.user()
      const { response, ...rest } = createAuthenticator({ origin }).create((await creationOptions(app, who)).json())
      const bytes = Buffer.from(response.attestationObject, 'base64url')
      const deep = Buffer.concat([Buffer.alloc(5000, 0x81), Buffer.from([0])])
      const huge = Buffer.from([0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])
      const garbage = [deep, huge, Buffer.from([0xa0]), Buffer.from([0xff]), ...[1, 10, 50, 100, 150].map((end) => bytes.subarray(0, end))]
      for (const attestationObject of garbage) {
        const credential = { ...rest, response: { ...response, attestationObject: attestationObject.toString('base64url') } }
        assertRefused(await addPasskey(app, who, credential), 400, 'validation_failed')
      }
    })

    test('what browsers add to a credential is no mistake; what is not of its shape is', async () => {
      await using scene = await openFactorScene(kind)
      const { app } = scene
      const who = await scene.user()
      const made = createAuthenticator({ origin }).create((await creationOptions(app, who)).json())
      for (const wrong of [{}, null, 'x', [], { ...made, type: 'password' }, { ...made, id: 'not base64!' }, { ...made, response: {} }])
        assertRefused(await addPasskey(app, who, wrong), 400, 'validation_failed')
      for (const name of ['', ' ', 'x'.repeat(65), 'a\u0000b', '\u202eevil'])
        assertRefused(await addPasskey(app, who, made, name), 400, 'validation_failed')
      assertRefused(await addPasskey(app, who, { ...made, id: 'AAAA', rawId: 'AAAA' }), 400, 'validation_failed')
      const asBrowsers = { ...made, authenticatorAttachment: 'platform', clientExtensionResults: { credProps: { rk: true } } }
      const response = {
        ...made.response,
        publicKeyAlgorithm: -7,
        publicKey: 'AAAA',
        authenticatorData: 'AAAA',
        transports: ['internal', 'x y'],
      }
      assert.equal((await addPasskey(app, who, { ...asBrowsers, response }, 'Ada’s phone 📱')).status, 201)
      const stored = await scene.opened.database.reader.selectFrom('passkey').select(['transports', 'name']).execute()
      assert.deepEqual(stored, [{ transports: 'internal', name: 'Ada’s phone 📱' }])
    })

    test('[ASVS 7.4.3] a passkey that comes or goes ends all other sessions', async () => {
      await using scene = await openFactorScene(kind)
      const { app } = scene
      const [other, mine] = [await scene.user(), await logIn(app, ada)]
      const authenticator = createAuthenticator({ origin })
      const { who } = await registered(app, mine, authenticator)
      assert.equal((await ask(app, { target: '/v1/me/passkeys', fields: other.fields })).status, 401)
      const second = loggedIn(ada, await logInWith(app, authenticator))
      const [passkey] = await passkeysOf(app, who)
      assert.equal((await removePasskey(app, who, passkey?.['id'])).status, 204)
      assert.equal((await ask(app, { target: '/v1/me/passkeys', fields: second.fields })).status, 401)
      assertUnauthenticated(await logInWith(app, authenticator))
      await logIn(app, ada)
      const { reader } = scene.opened.database
      assert.deepEqual(await reader.selectFrom('recovery_code').selectAll().execute(), [], 'they stand for no factor any more')
      const audited = await reader
        .selectFrom('audit')
        .select(['action', 'details'])
        .where('action', 'like', 'passkey%')
        .orderBy('seq')
        .execute()
      assert.deepEqual(
        audited,
        ['passkey.add', 'passkey.remove'].map((action) => ({ action, details: JSON.stringify({ passkey: passkey?.['id'] }) })),
      )
    })

    test('the last factor of a role that needs one stays, also when both of two are removed at once', async () => {
      await using scene = await openFactorScene(kind, { requireMfaFor: ['viewer'] })
      const { app, clock } = scene
      const { who: withOne } = await scene.withPasskey()
      const [passkey] = await passkeysOf(app, withOne)
      assertRefused(await removePasskey(app, withOne, passkey?.['id']), 409, 'conflict')
      const { who } = await enrolTotp(app, withOne, clock.epochMs())
      const answers = await Promise.all([
        removePasskey(app, who, passkey?.['id']),
        ask(app, { method: 'DELETE', target: '/v1/me/totp', fields: who.fields }),
      ])
      assert.deepEqual(statuses(answers), [204, 409])
      assert.equal((await tryLogin(app, ada)).json()['mfa_required'], true)
    })

    test('twenty passkeys and no more, also in parallel', async () => {
      await using scene = await openFactorScene(kind)
      const { app, opened } = scene
      let who = await scene.user()
      for (let i = 0; i < 18; i++) ({ who } = await registered(app, who, createAuthenticator({ origin }), `Key ${i}`))
      const made = await Promise.all(
        Array.from({ length: 4 }, async () => createAuthenticator({ origin }).create((await creationOptions(app, who)).json())),
      )
      const answers = await Promise.all(made.map((credential) => addPasskey(app, who, credential)))
      assert.ok(
        answers.every(({ status }) => [201, 401, 409].includes(status)),
        JSON.stringify(answers.map(({ body }) => body)),
      )
      const count = async () => (await opened.database.reader.selectFrom('passkey').select('id').execute()).length
      assert.ok((await count()) <= 20)
      who = await refresh(app, who)
      while ((await count()) < 20) ({ who } = await registered(app, who, createAuthenticator({ origin })))
      assertRefused(await creationOptions(app, who), 409, 'conflict')
      assertRefused(await addPasskey(app, who, made[0]), 409, 'conflict')
      assert.equal((await passkeysOf(app, who)).length, 20)
    })

    test('the name that passkeys are bound to comes from the configuration, never from Host', async () => {
      await using scene = await openFactorScene(kind, { publicOrigin: 'https://films.example' })
      const { app } = scene
      const who = await scene.user()
      const authenticator = createAuthenticator({ origin: 'https://films.example' })
      for (const Host of ['localhost', 'films.example', 'evil.example', '127.0.0.1']) {
        const answer = await ask(app, { method: 'POST', target: '/v1/me/passkeys/options', fields: { ...who.fields, Host } })
        assert.deepEqual(answer.json()['rp'], { id: 'films.example', name: 'Filmgate' }, Host)
        assert.equal((await loginOptions(app, undefined, { Host }))['rpId'], 'films.example')
      }
      const local = createAuthenticator({ origin: 'http://localhost' })
      assertRefused(await addPasskey(app, who, local.create((await creationOptions(app, who)).json())), 400, 'validation_failed')
      await registered(app, who, authenticator)
      assert.equal((await logInWith(app, authenticator)).status, 200)
    })

    test('where there is no name, there are no passkeys, and it is said why', async () => {
      for (const [publicOrigin, hosts] of [
        ['', ['127.0.0.1:3000', 'evil.example', 'localhost.evil.example', 'localhost:99999x', '[::1]']],
        ['https://192.0.2.7', ['localhost']],
        ['https://[2001:db8::1]', ['localhost']],
      ] as const) {
        await using scene = await openFactorScene(kind, { publicOrigin })
        const who = await scene.user()
        for (const Host of hosts) {
          const answer = await ask(scene.app, { method: 'POST', target: '/v1/me/passkeys/options', fields: { ...who.fields, Host } })
          assertRefused(answer, 409, 'conflict')
          assert.match(String(answer.json()['detail']), /server\.public_url/)
          assertRefused(await send(scene.app, 'POST', '/v1/auth/passkey/options', {}, { fields: { Host } }), 409, 'conflict')
        }
      }
    })

    test('a passkey beside an authenticator app: either finishes a login, and the app can go', async () => {
      await using scene = await openFactorScene(kind)
      const { app, clock } = scene
      const { authenticator, who: first } = await scene.withPasskey()
      const { who, secret } = await enrolTotp(app, first, clock.epochMs())
      clock.advance(30_000)
      assert.deepEqual((await tryLogin(app, ada)).json()['methods'], ['totp', 'passkey', 'recovery_code'])
      assert.equal((await finishLogin(app, await beginLogin(app, ada), 'totp', codeAt(secret, clock.epochMs()))).status, 200)
      assert.equal((await ask(app, { method: 'DELETE', target: '/v1/me/totp', fields: who.fields })).status, 204)
      assert.deepEqual((await tryLogin(app, ada)).json()['methods'], ['passkey', 'recovery_code'])
      assert.equal((await logInWith(app, authenticator)).status, 200)
    })
  })
}
