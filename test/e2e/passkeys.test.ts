import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import type { CDPSession, Page } from 'playwright-core'

import { claimsOf } from '../support/accounts.ts'
import { describeUnless, servicesMissing } from '../support/services.ts'
import { type AccountScene, call, openAccountScene } from './account-scene.ts'
import { visit } from './browser.ts'

/** What docs/second-factor.md tells app developers to write. */
const createIn = (page: Page, options: unknown): Promise<unknown> =>
  page.evaluate(async (given) => {
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(given as PublicKeyCredentialCreationOptionsJSON)
    const credential = (await navigator.credentials.create({ publicKey })) as PublicKeyCredential
    const json: unknown = credential.toJSON()
    return json
  }, options)

const getIn = (page: Page, options: unknown): Promise<unknown> =>
  page.evaluate(async (given) => {
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(given as PublicKeyCredentialRequestOptionsJSON)
    const credential = (await navigator.credentials.get({ publicKey })) as PublicKeyCredential
    const json: unknown = credential.toJSON()
    return json
  }, options)

interface Device {
  readonly cdp: CDPSession
  readonly authenticatorId: string
}

/** Chromium's own software authenticator, behind the same code of the browser as a real one (CDP, domain WebAuthn). */
const addDevice = async (page: Page): Promise<Device> => {
  const cdp = await page.context().newCDPSession(page)
  await cdp.send('WebAuthn.enable')
  const { authenticatorId } = await cdp.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      ctap2Version: 'ctap2_1',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  })
  return { cdp, authenticatorId }
}

describeUnless(servicesMissing('chromium'), 'passkeys in a real browser', () => {
  let scene: AccountScene
  before(async () => {
    scene = await openAccountScene()
  })
  after(() => scene?.[Symbol.asyncDispose]())

  test('added, used to log in without a name, used as second factor, refused when its key is copied or nobody is verified', async () => {
    await using at = await visit(scene.browser, scene.url)
    const { page } = at
    const { cdp, authenticatorId } = await addDevice(page)
    const token = scene.admin.accessToken
    const creation = await call(page, { route: '/v1/me/passkeys/options', token })
    assert.equal(creation.status, 200, JSON.stringify(creation.body))
    const credential = await createIn(page, creation.body)
    const added = await call(page, { route: '/v1/me/passkeys', body: { name: 'This browser', credential }, token })
    assert.equal(added.status, 201, JSON.stringify(added.body))
    const { credentials } = await cdp.send('WebAuthn.getCredentials', { authenticatorId })
    const [kept] = credentials
    assert.ok(kept)
    assert.deepEqual(
      [credentials.length, kept.isResidentCredential, kept.rpId, Buffer.from(kept.userHandle ?? '', 'base64').toString()],
      [1, true, 'localhost', scene.admin.subject],
    )

    const question = await call(page, { route: '/v1/auth/passkey/options', body: {} })
    const assertion = await getIn(page, question.body)
    const login = await call(page, { route: '/v1/auth/passkey/verify', body: { credential: assertion } })
    assert.equal(login.status, 200, JSON.stringify(login.body))
    const claims = claimsOf(String(login.body['access_token']))
    assert.deepEqual([claims['sub'], (claims['amr'] as string[]).includes('mfa')], [scene.admin.subject, true])
    const replay = await call(page, { route: '/v1/auth/passkey/verify', body: { credential: assertion } })
    assert.equal(replay.status, 401)

    const { username, password } = scene.admin
    const half = await call(page, { route: '/v1/auth/login', body: { username, password } })
    const { mfa_token: mfaToken, methods } = half.body
    assert.deepEqual(methods, ['passkey', 'recovery_code'])
    const asked = await call(page, { route: '/v1/auth/passkey/options', body: { mfa_token: mfaToken } })
    const code = await getIn(page, asked.body)
    const whole = await call(page, { route: '/v1/auth/mfa', body: { mfa_token: mfaToken, method: 'passkey', code } })
    assert.equal(whole.status, 200, JSON.stringify(whole.body))

    // A copy of the key in another authenticator, which is behind.
    await cdp.send('WebAuthn.removeVirtualAuthenticator', { authenticatorId })
    const copy = await addDevice(page)
    await copy.cdp.send('WebAuthn.addCredential', { authenticatorId: copy.authenticatorId, credential: { ...kept, signCount: 0 } })
    const logIn = async (): Promise<number> => {
      const { body } = await call(page, { route: '/v1/auth/passkey/options', body: {} })
      return (await call(page, { route: '/v1/auth/passkey/verify', body: { credential: await getIn(page, body) } })).status
    }
    assert.equal(await logIn(), 401)
    await scene.server.logged((record) => record['event'] === 'authn_login_fail' && /counter/.test(String(record['reason'])))

    // The browser itself refuses where nobody is verified: it was asked for that.
    await copy.cdp.send('WebAuthn.setUserVerified', { authenticatorId: copy.authenticatorId, isUserVerified: false })
    await assert.rejects(logIn(), /NotAllowedError/)
  })

  test('attack: a page of another name cannot ask for our passkeys, and options for a name that is not its own make none', async () => {
    await using at = await visit(scene.browser, scene.server.url)
    const { page } = at
    await addDevice(page)
    const refused = await call(page, { route: '/v1/auth/passkey/options', body: {} })
    assert.equal(refused.status, 409, JSON.stringify(refused.body))
    // An address: the browser lets it ask for no name at all.
    const options = { challenge: 'AAAA', rpId: 'localhost', userVerification: 'required', allowCredentials: [] }
    await assert.rejects(getIn(page, options), /SecurityError/)
  })
})
