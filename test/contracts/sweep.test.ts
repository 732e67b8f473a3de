import assert from 'node:assert/strict'
import { test } from 'node:test'

import { openSweep } from '../../src/api/accounts/sweep.ts'
import { statement } from '../../src/db/unit.ts'
import { goodPassword, logIn, logOut, refresh, tryRefresh } from '../support/accounts.ts'
import { databases } from '../support/databases.ts'
import { eventually } from '../support/deadline.ts'
import { openLoginScene } from '../support/login-app.ts'
import { describeUnless } from '../support/services.ts'

const ada = { username: 'ada', password: goodPassword }
const [minute, day] = [60_000, 86_400_000]

for (const kind of databases) {
  describeUnless(kind.missing, `the sweep on ${kind.name}`, () => {
    test('deletes what is good for nothing, and nothing else', async () => {
      await using scene = await openLoginScene(kind, { maxAgeMs: 30 * day, idleMs: 14 * day })
      const { app, clock, opened } = scene
      const { database } = opened
      const account = await app.addAccount('ada')
      const [idle, ended] = [await logIn(app, ada), await logIn(app, ada)]
      let kept = await logIn(app, ada)
      await logOut(app, { refresh_token: ended.refreshToken })
      const { reader } = database
      const rows = [
        reader.insertInto('spent_challenge').values({ hash: 'old', expires_at: clock.epochMs() + day }),
        reader.insertInto('spent_challenge').values({ hash: 'new', expires_at: clock.epochMs() + 60 * day }),
        reader.insertInto('claim_code').values({ hash: 'old', expires_at: clock.epochMs() + day }),
      ].map((query) => statement(query.compile()))
      const pending = { accountId: account.id, epoch: account.epoch, amr: 'pwd', browser: false }
      const { sessionStatements } = app.parts
      await database.commit([...rows, ...sessionStatements.addPending({ ...pending, hash: 'old', expiresAt: clock.epochMs() + minute })])
      const warnings: string[] = []
      const sweep = openSweep({
        database,
        epochMs: clock.epochMs,
        idleMs: 14 * day,
        timers: clock,
        warn: (word) => void warnings.push(word),
      })

      const left = async () => ({
        sessions: (await reader.selectFrom('session').select('id').execute()).map(({ id }) => id).toSorted(),
        tokens: (await reader.selectFrom('refresh_token').select('hash').execute()).length,
        others: (await reader.selectFrom('spent_challenge').select('hash').execute()).map(({ hash }) => hash),
        claims: (await reader.selectFrom('claim_code').select('hash').execute()).length,
        pending: (await reader.selectFrom('pending_login').select('hash').execute()).length,
      })
      assert.equal(await sweep.run(), 0)
      clock.advance(2 * minute)
      assert.equal(await sweep.run(), 1, 'the pending login')
      clock.advance(10 * day)
      kept = await refresh(app, kept)
      // By the timer, this time: it is set anew when the sweep before has ended.
      await eventually(10_000, 'the timer is set', () => clock.timers === 1)
      clock.advance(10 * minute)
      await eventually(10_000, 'the ended session has gone', async () => (await left()).sessions.length === 2)
      assert.deepEqual((await left()).sessions, [idle.sid, kept.sid].toSorted())
      clock.advance(5 * day)
      await sweep.run()
      assert.deepEqual(await left(), { sessions: [kept.sid], tokens: 2, others: ['new'], claims: 0, pending: 0 })
      assert.equal((await tryRefresh(app, kept.refreshToken)).status, 200)
      sweep.close()
      assert.deepEqual(warnings, [])
      assert.equal(clock.timers, 0)
    })

    test('keeps API keys for 90 days after they ended', async () => {
      await using scene = await openLoginScene(kind)
      const { app, clock, opened } = scene
      const { reader, commit } = opened.database
      const account = await app.addAccount('ada')
      const [now, key] = [clock.epochMs(), { subject: account.id, name: 'a key', secret_hash: 'x', scopes: 'votes:write', created_at: 1 }]
      const rows = [
        { ...key, id: 'revoked', revoked_at: now, expires_at: null, last_used_at: null },
        { ...key, id: 'expired', revoked_at: null, expires_at: now, last_used_at: null },
        { ...key, id: 'good', revoked_at: null, expires_at: null, last_used_at: null },
      ]
      await commit(rows.map((row) => statement(reader.insertInto('api_key').values(row).compile())))
      const sweep = openSweep({ database: opened.database, epochMs: clock.epochMs, idleMs: day, timers: clock, warn: assert.fail })
      clock.advance(89 * day)
      assert.equal(await sweep.run(), 0)
      clock.advance(day)
      assert.equal(await sweep.run(), 2)
      assert.deepEqual(await reader.selectFrom('api_key').select('id').execute(), [{ id: 'good' }])
      sweep.close()
    })

    test('goes on until nothing is left of what one statement cannot hold', async () => {
      await using scene = await openLoginScene(kind)
      const { clock, opened } = scene
      const { reader, commit } = opened.database
      const hashes = Array.from({ length: 1200 }, (_, i) => `hash-${i}`)
      const insert = (hash: string) => reader.insertInto('spent_challenge').values({ hash, expires_at: clock.epochMs() }).compile()
      assert.equal((await commit(hashes.map((hash) => statement(insert(hash))))).result, 'committed')
      const sweep = openSweep({ database: opened.database, epochMs: clock.epochMs, idleMs: day, timers: clock, warn: assert.fail })
      assert.equal(await sweep.run(), 1200)
      assert.equal(await sweep.run(), 0)
      sweep.close()
    })

    test('one that is closed while it runs asks the store for nothing more', async () => {
      await using scene = await openLoginScene(kind)
      const { clock, opened } = scene
      const { reader, commit } = opened.database
      let commits = 0
      const closing: typeof commit = (unit) => {
        commits++
        sweep.close()
        return commit(unit)
      }
      const database = { reader, commit: closing }
      const sweep = openSweep({ database, epochMs: clock.epochMs, idleMs: day, timers: clock, warn: assert.fail })
      clock.advance(10 * minute)
      await sweep.run()
      assert.deepEqual([commits, clock.timers], [1, 0])
    })
  })
}
