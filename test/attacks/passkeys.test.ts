import assert from 'node:assert/strict'
import { test } from 'node:test'

import { bearer, claimsOf, goodPassword, loggedIn, type LoggedIn, logIn, refresh, send, tryLogin } from '../support/accounts.ts'
import { type Answer, ask } from '../support/attack.ts'
import { type Authenticator, cborList, cborMap, cborText, createAuthenticator, type Misbehaviour } from '../support/authenticator.ts'
import { databases, type OpenDatabase } from '../support/databases.ts'
import { type LoginApp, type LoginAppOptions, openLoginApp } from '../support/login-app.ts'
import { createManualClock, type ManualClock } from '../support/manual-clock.ts'
import { beginLogin, codeAt, enrolTotp, finishLogin, toldBy } from '../support/second-factor.ts'
import { describeUnless } from '../support/services.ts'

const ada = { username: 'ada', password: goodPassword }
const minute = 60_000
/** As Host says that the tests call the server. */
const origin = 'http://localhost'

interface Scene extends AsyncDisposable {
  readonly app: LoginApp
  readonly clock: ManualClock
  readonly opened: OpenDatabase
  /** Adds an account and logs in. */
  user(username?: string): Promise<LoggedIn>
}

type Fields = Readonly<Record<string, string>>

const creationOptions = (app: LoginApp, { fields }: Pick<LoggedIn, 'fields'>): Promise<Answer> =>
  ask(app, { method: 'POST', target: '/v1/me/passkeys/options', fields })

const addPasskey = (app: LoginApp, { fields }: Pick<LoggedIn, 'fields'>, credential: unknown, name = 'My laptop'): Promise<Answer> =>
  send(app, 'POST', '/v1/me/passkeys', { name, credential }, { fields })

const listed = async (app: LoginApp, { fields }: Pick<LoggedIn, 'fields'>): Promise<Readonly<Record<string, unknown>>[]> =>
  (await ask(app, { target: '/v1/me/passkeys', fields })).json()['items'] as Readonly<Record<string, unknown>>[]

const remove = (app: LoginApp, { fields }: Pick<LoggedIn, 'fields'>, id: unknown): Promise<Answer> =>
  ask(app, { method: 'DELETE', target: `/v1/me/passkeys/${String(id)}`, fields })

/** Adds it for real; the tokens of after it. */
const registered = async (app: LoginApp, who: LoggedIn, authenticator: Authenticator, name?: string) => {
  const options = (await creationOptions(app, who)).json()
  const answer = await addPasskey(app, who, authenticator.create(options), name)
  assert.equal(answer.status, 201, answer.body)
  return { who: await refresh(app, who), answer }
}

const loginOptions = async (app: LoginApp, mfaToken?: string, fields: Fields = {}): Promise<Readonly<Record<string, unknown>>> => {
  const answer = await send(app, 'POST', '/v1/auth/passkey/options', mfaToken === undefined ? {} : { mfa_token: mfaToken }, { fields })
  assert.equal(answer.status, 200, answer.body)
  return answer.json()
}

const verify = (app: LoginApp, credential: unknown, more: { fields?: Fields; from?: string } = {}): Promise<Answer> =>
  send(app, 'POST', '/v1/auth/passkey/verify', { credential }, more)

const logInWith = async (app: LoginApp, authenticator: Authenticator, wrong: Misbehaviour = {}): Promise<Answer> =>
  verify(app, authenticator.get(await loginOptions(app), wrong))

const refused = (answer: Answer, status: number, code: string): void => {
  assert.equal(answer.status, status, answer.body)
  assert.equal(answer.json()['code'], code)
}

const statuses = (answers: readonly Answer[]): number[] => answers.map(({ status }) => status).toSorted((a, b) => a - b)

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
  describeUnless(kind.missing, `passkeys on ${kind.name}`, () => {
    const open = async (options: Partial<LoginAppOptions> = {}): Promise<Scene> => {
      const opened = await kind.open()
      const clock = createManualClock(1_800_000_000_000)
      const app = await openLoginApp({ database: opened.database, clock, loginFailures: '1000 per hour', ...options })
      return {
        app,
        clock,
        opened,
        user: async (username = 'ada') => {
          await app.addAccount(username)
          return logIn(app, { username, password: goodPassword })
        },
        [Symbol.asyncDispose]: async () => {
          await app[Symbol.asyncDispose]()
          await opened[Symbol.asyncDispose]()
        },
      }
    }
    const withPasskey = async (scene: Scene, username = 'ada') => {
      const authenticator = createAuthenticator({ origin })
      const { who, answer } = await registered(scene.app, await scene.user(username), authenticator)
      return { authenticator, who, answer }
    }

    test('[ASVS 6.3.3] a passkey is added, logs in alone with more than one factor, and is listed with its last use', async () => {
      await using scene = await open()
      const { app, clock } = scene
      const { authenticator, who, answer } = await withPasskey(scene)
      const { id, recovery_codes: codes, ...rest } = answer.json()
      assert.deepEqual(rest, { name: 'My laptop', created_at: new Date(clock.epochMs()).toISOString(), last_used_at: null })
      assert.equal(answer.field('location'), `/v1/me/passkeys/${String(id)}`)
      assert.equal((codes as string[]).length, 10)
      assert.deepEqual(claimsOf(who.accessToken)['amr'], ['pwd', 'hwk', 'user', 'mfa'])
      clock.advance(minute)
      const session = loggedIn(ada, await logInWith(app, authenticator))
      assert.equal(session.subject, who.subject)
      assert.deepEqual(claimsOf(session.accessToken)['amr'], ['hwk', 'user', 'mfa'])
      assert.deepEqual(await listed(app, session), [{ id, ...rest, last_used_at: new Date(clock.epochMs()).toISOString() }])
    })

    test('the options ask for what is checked: user verification, a discoverable key, no attestation, no key twice', async () => {
      await using scene = await open()
      const { authenticator, who } = await withPasskey(scene)
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

    test('passkeys that are synchronised have no counter, and say that their key may be copied', async () => {
      await using scene = await open()
      const authenticator = createAuthenticator({ origin, counts: false, isSynced: true })
      await registered(scene.app, await scene.user(), authenticator)
      for (let i = 0; i < 3; i++) {
        const session = loggedIn(ada, await logInWith(scene.app, authenticator))
        assert.deepEqual(claimsOf(session.accessToken)['amr'], ['swk', 'user', 'mfa'])
      }
    })

    for (const [name, wrong] of Object.entries(misbehaviours)) {
      test(`${name}: no login, and no passkey is added`, async () => {
        await using scene = await open()
        const { app } = scene
        const { authenticator, who } = await withPasskey(scene)
        refused(await logInWith(app, authenticator, wrong), 401, 'unauthenticated')
        const another = createAuthenticator({ origin })
        const options = (await creationOptions(app, who)).json()
        refused(await addPasskey(app, who, another.create(options, wrong)), 400, 'validation_failed')
        assert.equal((await listed(app, who)).length, 1)
        assert.equal((await logInWith(app, authenticator)).status, 200)
      })
    }

    test('a signature of another key, of other data, or no signature at all logs nobody in', async () => {
      await using scene = await open()
      const { app } = scene
      const { authenticator } = await withPasskey(scene)
      refused(await logInWith(app, authenticator, { foreignKey: true }), 401, 'unauthenticated')
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
      for (const change of changes) refused(await verify(app, { ...rest, response: { ...response, ...change } }), 401, 'unauthenticated')
      assert.equal((await verify(app, { ...rest, response })).status, 200, 'as it was')
    })

    test('[ASVS 6.7.2] replay: an answer logs in once, not again, not in parallel', async () => {
      await using scene = await open()
      const { app, opened } = scene
      // Without a counter, which would refuse the second one anyway.
      const authenticator = createAuthenticator({ origin, counts: false })
      await registered(app, await scene.user(), authenticator)
      const assertion = authenticator.get(await loginOptions(app))
      const answers = await Promise.all(Array.from({ length: 8 }, () => verify(app, assertion)))
      assert.deepEqual(statuses(answers), [200, ...Array.from({ length: 7 }, () => 401)])
      refused(await verify(app, assertion), 401, 'unauthenticated')
      const spent = await opened.database.reader.selectFrom('spent_challenge').select('hash').execute()
      assert.equal(spent.length, 2, 'of the passkey that was added, and of the login')
    })

    test('[ASVS 6.7.2] a challenge is good for one answer of whatever passkey, and for five minutes', async () => {
      await using scene = await open()
      const { app, clock } = scene
      const [one, other] = [await withPasskey(scene, 'ada'), await withPasskey(scene, 'grace')]
      const options = await loginOptions(app)
      assert.equal((await verify(app, one.authenticator.get(options))).status, 200)
      refused(await verify(app, other.authenticator.get(options)), 401, 'unauthenticated')
      const old = await loginOptions(app)
      clock.advance(5 * minute)
      refused(await verify(app, one.authenticator.get(old)), 401, 'unauthenticated')
    })

    test('anonymous questions store nothing, however many', async () => {
      await using scene = await open()
      const { app, opened } = scene
      await Promise.all(Array.from({ length: 50 }, () => loginOptions(app)))
      for (const table of ['spent_challenge', 'pending_login', 'session'] as const)
        assert.deepEqual(await opened.database.reader.selectFrom(table).selectAll().execute(), [])
    })

    test('[ASVS 6.6.2] challenges of one purpose answer no other: adding, logging in, the second half of a login, another session', async () => {
      await using scene = await open()
      const { app } = scene
      const { authenticator, who } = await withPasskey(scene)
      const [first, second] = [await beginLogin(app, ada), await beginLogin(app, ada)]
      const [toAdd, toLogIn] = [(await creationOptions(app, who)).json(), await loginOptions(app)]
      const [forFirst, forSecond] = [await loginOptions(app, first), await loginOptions(app, second)]
      const answer = (options: Readonly<Record<string, unknown>>) => authenticator.get({ ...options, rpId: 'localhost' })
      for (const options of [toAdd, forFirst]) refused(await verify(app, answer(options)), 401, 'unauthenticated')
      for (const options of [toAdd, toLogIn, forSecond])
        refused(await finishLogin(app, first, 'passkey', answer(options)), 401, 'unauthenticated')
      const another = createAuthenticator({ origin })
      for (const options of [toLogIn, forFirst])
        refused(await addPasskey(app, who, another.create({ ...toAdd, challenge: options['challenge'] })), 400, 'validation_failed')
      // Made in one session, sent in another of the same account.
      const session = loggedIn(ada, await finishLogin(app, second, 'passkey', authenticator.get(forSecond)))
      refused(await addPasskey(app, session, another.create(toAdd)), 400, 'validation_failed')
      assert.equal((await addPasskey(app, who, another.create(toAdd))).status, 201)
    })

    test('as second factor: the password first, then a passkey of that account, which is asked once', async () => {
      await using scene = await open()
      const { app, opened } = scene
      const { authenticator, who } = await withPasskey(scene)
      assert.deepEqual((await tryLogin(app, ada)).json()['methods'], ['passkey', 'recovery_code'])
      const token = await beginLogin(app, ada)
      refused(await finishLogin(app, token, 'passkey', authenticator.get({ rpId: 'localhost', challenge: 'AAAA' })), 401, 'unauthenticated')
      const options = await loginOptions(app, token)
      assert.deepEqual(options['allowCredentials'], [{ type: 'public-key', id: authenticator.id, transports: ['internal', 'hybrid'] }])
      refused(await finishLogin(app, token, 'passkey', authenticator.get(options, { foreignKey: true })), 401, 'unauthenticated')
      refused(await finishLogin(app, token, 'passkey', authenticator.get(options)), 401, 'unauthenticated')
      const { attempts } = await opened.database.reader
        .selectFrom('pending_login')
        .select('attempts')
        .orderBy('attempts', 'desc')
        .executeTakeFirstOrThrow()
      assert.equal(attempts, 3, 'what answers nothing that was asked costs an attempt, too')
      const session = loggedIn(ada, await finishLogin(app, token, 'passkey', authenticator.get(await loginOptions(app, token))))
      assert.deepEqual([session.subject, claimsOf(session.accessToken)['amr']], [who.subject, ['pwd', 'hwk', 'user', 'mfa']])
    })

    test("another account's passkey finishes no login, is not removed, not seen, and not added twice", async () => {
      await using scene = await open()
      const { app } = scene
      const [one, other] = [await withPasskey(scene, 'ada'), await withPasskey(scene, 'grace')]
      const token = await beginLogin(app, ada)
      const options = await loginOptions(app, token)
      refused(await finishLogin(app, token, 'passkey', other.authenticator.get(options)), 401, 'unauthenticated')
      const [theirs] = await listed(app, other.who)
      const [unknown, foreign] = [await remove(app, one.who, 'A'.repeat(22)), await remove(app, one.who, theirs?.['id'])]
      assert.deepEqual([foreign.status, toldBy(foreign)], [404, toldBy(unknown)])
      assert.equal((await listed(app, other.who)).length, 1)
      // The same credential for two accounts: whose login would it be?
      const stolen = other.authenticator.create((await creationOptions(app, one.who)).json())
      refused(await addPasskey(app, one.who, stolen), 409, 'conflict')
    })

    test('the authenticator must say whose passkey it is, and that must be its owner', async () => {
      await using scene = await open()
      const { app } = scene
      const { authenticator } = await withPasskey(scene)
      await scene.user('grace')
      const account = await app.parts.accounts.byUsername('grace')
      for (const userHandle of [null, '', Buffer.from(account?.id ?? '').toString('base64url')])
        refused(await logInWith(app, authenticator, { userHandle }), 401, 'unauthenticated')
    })

    test('a copied authenticator: a counter that does not grow is refused and told', async () => {
      await using scene = await open()
      const { app } = scene
      const { authenticator } = await withPasskey(scene)
      assert.equal((await logInWith(app, authenticator, { counter: 10 })).status, 200)
      for (const counter of [10, 9, 1, 0]) refused(await logInWith(app, authenticator, { counter }), 401, 'unauthenticated')
      const told = app.events.filter((event) => event.event === 'authn_login_fail' && /counter/.test(event.reason))
      assert.equal(told.length, 4)
      const answers = await Promise.all(Array.from({ length: 5 }, () => logInWith(app, authenticator, { counter: 11 })))
      assert.deepEqual(statuses(answers), [200, 401, 401, 401, 401])
    })

    test('what is refused is refused alike, whether there is such a passkey, and leaves nothing', async () => {
      await using scene = await open()
      const { app, opened } = scene
      const { authenticator, who } = await withPasskey(scene)
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
      await using scene = await open({ loginFailures: '10 per 15 minutes' })
      const { app } = scene
      const { authenticator } = await withPasskey(scene)
      for (let i = 0; i < 10; i++) refused(await logInWith(app, authenticator, { foreignKey: true }), 401, 'unauthenticated')
      refused(await logInWith(app, authenticator), 429, 'quota_exceeded')
      refused(await tryLogin(app, ada), 429, 'quota_exceeded')
      const stranger = createAuthenticator({ origin })
      const from = { fields: { 'X-Forwarded-For': '192.0.2.9' } }
      const guess = async () => verify(app, stranger.get(await loginOptions(app)), from)
      for (let i = 0; i < 10; i++) refused(await guess(), 401, 'unauthenticated')
      refused(await guess(), 429, 'quota_exceeded')
    })

    test('attestation that nobody asked for, with certificates that would be followed to wherever they say, is refused', async () => {
      await using scene = await open()
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
        refused(await addPasskey(app, who, createAuthenticator({ origin }).create(options, wrong)), 400, 'validation_failed')
      }
      assert.deepEqual(await listed(app, who), [])
    })

    test('garbage in place of CBOR is refused, and never an error of ours', async () => {
      await using scene = await open()
      const { app } = scene
      const who = await scene.user()
      const { response, ...rest } = createAuthenticator({ origin }).create((await creationOptions(app, who)).json())
      const bytes = Buffer.from(response.attestationObject, 'base64url')
      const deep = Buffer.concat([Buffer.alloc(5000, 0x81), Buffer.from([0])])
      const huge = Buffer.from([0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])
      const garbage = [deep, huge, Buffer.from([0xa0]), Buffer.from([0xff]), ...[1, 10, 50, 100, 150].map((end) => bytes.subarray(0, end))]
      for (const attestationObject of garbage) {
        const credential = { ...rest, response: { ...response, attestationObject: attestationObject.toString('base64url') } }
        refused(await addPasskey(app, who, credential), 400, 'validation_failed')
      }
    })

    test('what browsers add to a credential is no mistake; what is not of its shape is', async () => {
      await using scene = await open()
      const { app } = scene
      const who = await scene.user()
      const made = createAuthenticator({ origin }).create((await creationOptions(app, who)).json())
      for (const wrong of [{}, null, 'x', [], { ...made, type: 'password' }, { ...made, id: 'not base64!' }, { ...made, response: {} }])
        refused(await addPasskey(app, who, wrong), 400, 'validation_failed')
      for (const name of ['', ' ', 'x'.repeat(65), 'a\u0000b', '\u202eevil'])
        refused(await addPasskey(app, who, made, name), 400, 'validation_failed')
      refused(await addPasskey(app, who, { ...made, id: 'AAAA', rawId: 'AAAA' }), 400, 'validation_failed')
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
      await using scene = await open()
      const { app } = scene
      const [other, mine] = [await scene.user(), await logIn(app, ada)]
      const authenticator = createAuthenticator({ origin })
      const { who } = await registered(app, mine, authenticator)
      assert.equal((await ask(app, { target: '/v1/me/passkeys', fields: other.fields })).status, 401)
      const second = loggedIn(ada, await logInWith(app, authenticator))
      const [passkey] = await listed(app, who)
      assert.equal((await remove(app, who, passkey?.['id'])).status, 204)
      assert.equal((await ask(app, { target: '/v1/me/passkeys', fields: second.fields })).status, 401)
      refused(await logInWith(app, authenticator), 401, 'unauthenticated')
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
      await using scene = await open({ requireMfaFor: ['viewer'] })
      const { app, clock } = scene
      const { who: withOne } = await withPasskey(scene)
      const [passkey] = await listed(app, withOne)
      refused(await remove(app, withOne, passkey?.['id']), 409, 'conflict')
      const { who } = await enrolTotp(app, withOne, clock.epochMs())
      const answers = await Promise.all([
        remove(app, who, passkey?.['id']),
        ask(app, { method: 'DELETE', target: '/v1/me/totp', fields: who.fields }),
      ])
      assert.deepEqual(statuses(answers), [204, 409])
      assert.equal((await tryLogin(app, ada)).json()['mfa_required'], true)
    })

    test('twenty passkeys and no more, also in parallel', async () => {
      await using scene = await open()
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
      refused(await creationOptions(app, who), 409, 'conflict')
      refused(await addPasskey(app, who, made[0]), 409, 'conflict')
      assert.equal((await listed(app, who)).length, 20)
    })

    test('[ASVS 6.3.4] half a login, a key that is none, and nobody see no passkeys', async () => {
      await using scene = await open()
      const { app } = scene
      await withPasskey(scene)
      const token = await beginLogin(app, ada)
      for (const fields of [bearer(token), bearer('fg_x'), {}])
        assert.equal((await ask(app, { target: '/v1/me/passkeys', fields })).status, 401)
    })

    test('the name that passkeys are bound to comes from the configuration, never from Host', async () => {
      await using scene = await open({ publicOrigin: 'https://films.example' })
      const { app } = scene
      const who = await scene.user()
      const authenticator = createAuthenticator({ origin: 'https://films.example' })
      for (const Host of ['localhost', 'films.example', 'evil.example', '127.0.0.1']) {
        const answer = await ask(app, { method: 'POST', target: '/v1/me/passkeys/options', fields: { ...who.fields, Host } })
        assert.deepEqual(answer.json()['rp'], { id: 'films.example', name: 'Filmgate' }, Host)
        assert.equal((await loginOptions(app, undefined, { Host }))['rpId'], 'films.example')
      }
      const local = createAuthenticator({ origin: 'http://localhost' })
      refused(await addPasskey(app, who, local.create((await creationOptions(app, who)).json())), 400, 'validation_failed')
      await registered(app, who, authenticator)
      assert.equal((await logInWith(app, authenticator)).status, 200)
    })

    test('where there is no name, there are no passkeys, and it is said why', async () => {
      for (const [publicOrigin, hosts] of [
        ['', ['127.0.0.1:3000', 'evil.example', 'localhost.evil.example', 'localhost:99999x', '[::1]']],
        ['https://192.0.2.7', ['localhost']],
        ['https://[2001:db8::1]', ['localhost']],
      ] as const) {
        await using scene = await open({ publicOrigin })
        const who = await scene.user()
        for (const Host of hosts) {
          const answer = await ask(scene.app, { method: 'POST', target: '/v1/me/passkeys/options', fields: { ...who.fields, Host } })
          refused(answer, 409, 'conflict')
          assert.match(String(answer.json()['detail']), /server\.public_url/)
          refused(await send(scene.app, 'POST', '/v1/auth/passkey/options', {}, { fields: { Host } }), 409, 'conflict')
        }
      }
    })

    test('a passkey beside an authenticator app: either finishes a login, and the app can go', async () => {
      await using scene = await open()
      const { app, clock } = scene
      const { authenticator, who: first } = await withPasskey(scene)
      const { who, secret } = await enrolTotp(app, first, clock.epochMs())
      clock.advance(30_000)
      assert.deepEqual((await tryLogin(app, ada)).json()['methods'], ['totp', 'passkey', 'recovery_code'])
      assert.equal((await finishLogin(app, await beginLogin(app, ada), 'totp', codeAt(secret, clock.epochMs()))).status, 200)
      assert.equal((await ask(app, { method: 'DELETE', target: '/v1/me/totp', fields: who.fields })).status, 204)
      assert.deepEqual((await tryLogin(app, ada)).json()['methods'], ['passkey', 'recovery_code'])
      assert.equal((await logInWith(app, authenticator)).status, 200)
    })

    test('browser mode: a passkey login from another page is refused, from our own it sets the cookie', async () => {
      await using scene = await open()
      const { app } = scene
      const { authenticator } = await withPasskey(scene)
      const attempt = async (fields: Fields) =>
        send(app, 'POST', '/v1/auth/passkey/verify', { credential: authenticator.get(await loginOptions(app)), browser: true }, { fields })
      refused(await attempt({ Origin: 'https://evil.example' }), 403, 'forbidden')
      const answer = await attempt({ Origin: origin, 'Sec-Fetch-Site': 'same-origin' })
      assert.equal(answer.status, 200, answer.body)
      assert.match(answer.field('set-cookie') ?? '', /^__Host-/)
      assert.equal(answer.json()['refresh_token'], undefined)
    })
  })
}
