import assert from 'node:assert/strict'
import { test } from 'node:test'

import { loggedIn, tryLogin } from '../support/accounts.ts'
import { databases } from '../support/databases.ts'
import { ada, assertUnauthenticated, loginOptions, openFactorScene, verifyPasskey } from '../support/factor-scene.ts'
import { beginLogin, finishLogin, toldBy } from '../support/second-factor.ts'
import { describeUnless } from '../support/services.ts'

const abroad = { fields: { 'X-Forwarded-For': '203.0.113.5' } }

for (const kind of databases) {
  describeUnless(kind.missing, `an account that a decision is about, on ${kind.name}`, () => {
    test('[ASVS 6.3.1] from elsewhere no password is right, and its answer is that for a name that nobody has', async () => {
      const shut = new Set<string>()
      await using scene = await openFactorScene(kind, { isShut: (id) => shut.has(id) })
      const { app } = scene
      shut.add((await scene.user()).subject)
      const right = await tryLogin(app, ada, abroad)
      assertUnauthenticated(right)
      const wrong = await tryLogin(app, { username: 'ada', password: 'some other words of length' }, abroad)
      const nobody = await tryLogin(app, { username: 'nobody', password: ada.password }, abroad)
      assert.deepEqual([toldBy(right), toldBy(wrong)], [toldBy(nobody), toldBy(nobody)])
      loggedIn(ada, await tryLogin(app, ada))
      shut.clear()
      loggedIn(ada, await tryLogin(app, ada, abroad))
    })

    test('nor a code, though the first half of the login was taken from where it is at home; and the code is not used up', async () => {
      const shut = new Set<string>()
      await using scene = await openFactorScene(kind, { isShut: (id) => shut.has(id) })
      const { app } = scene
      const { secret, who, recoveryCodes } = await scene.enrolled()
      const token = await beginLogin(app, ada)
      shut.add(who.subject)
      assertUnauthenticated(await finishLogin(app, token, 'totp', scene.codeNow(secret), abroad))
      assertUnauthenticated(await finishLogin(app, token, 'recovery_code', recoveryCodes[0], abroad))
      loggedIn(ada, await finishLogin(app, token, 'totp', scene.codeNow(secret)))
      loggedIn(ada, await finishLogin(app, await beginLogin(app, ada), 'recovery_code', recoveryCodes[0]))
    })

    test('nor a passkey', async () => {
      const shut = new Set<string>()
      await using scene = await openFactorScene(kind, { isShut: (id) => shut.has(id) })
      const { app } = scene
      const { authenticator, who } = await scene.withPasskey()
      shut.add(who.subject)
      assertUnauthenticated(await verifyPasskey(app, authenticator.get(await loginOptions(app)), abroad.fields))
      const home = await verifyPasskey(app, authenticator.get(await loginOptions(app)))
      assert.equal(home.status, 200, home.body)
    })
  })
}
