import assert from 'node:assert/strict'
import { test } from 'node:test'

import { assertEnded, claimAdmin, listSessions, refresh, tryRefresh } from '../support/accounts.ts'
import { databases } from '../support/databases.ts'
import { startServer } from '../support/server.ts'
import { describeUnless } from '../support/services.ts'

for (const kind of databases) {
  describeUnless(kind.missing, `refresh tokens and restarts on ${kind.name}`, () => {
    test('[ASVS 10.4.5] attack: a used refresh token is replayed after the server was killed: it is remembered, and ends the session', async () => {
      await using place = await kind.place()
      const options = { dataDir: place.dataDir, env: place.env }
      await using before = await startServer(options)
      const first = await claimAdmin(before)
      const second = await refresh(before, first)
      await before.kill('SIGKILL')
      await place.left()

      await using after = await startServer(options)
      assert.equal((await listSessions(after, second)).status, 200, 'the session itself survives')
      assert.equal((await tryRefresh(after, first.refreshToken)).status, 401)
      await assertEnded(after, second)
      const event = await after.logged((record) => record['event'] === 'authn_token_reuse')
      assert.deepEqual([event['subject'], event['session']], [first.subject, first.sid])
      const lines = JSON.stringify([...before.log(), ...after.log()])
      for (const secret of [first.refreshToken, second.refreshToken, first.accessToken, second.accessToken, first.password])
        assert.ok(!lines.includes(secret), '[ASVS 10.1.1] no token is ever in the log')
    })
  })
}
