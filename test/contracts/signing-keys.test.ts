import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { databases, openAt } from '../support/databases.ts'
import { eventually } from '../support/deadline.ts'
import { createManualClock } from '../support/manual-clock.ts'
import { decode } from '../support/token-forge.ts'
import { countReads, day, hour, issue, kidOf, kids, minute, openKeys, rows, startMs, verifiesByJwks } from '../support/signing-keys.ts'

for (const kind of databases) {
  describe(`signing keys (${kind.name})`, { skip: kind.missing }, () => {
    test('two instances that start at once agree on one', async () => {
      await using opened = await kind.open()
      const other = await opened.another()
      const clock = createManualClock(startMs)
      const [one, two] = await Promise.all([openKeys(opened.database, { clock }), openKeys(other, { clock })])
      assert.equal((await rows(opened.database)).length, 1)
      assert.equal(kidOf(await issue(one, clock)), kidOf(await issue(two, clock)))
      for (const keys of [one, two]) keys.close()
    })

    test('by schedule: published an hour before it signs, one for all instances; old tokens live through the overlap', async () => {
      await using opened = await kind.open()
      const other = await opened.another()
      const clock = createManualClock(startMs)
      const [one, two] = await Promise.all([openKeys(opened.database, { clock }), openKeys(other, { clock })])
      const [first = ''] = await kids(one)

      clock.advance(30 * day - hour - 1)
      assert.deepEqual(await kids(one), [first], 'not yet')
      clock.advance(1)
      await eventually(10_000, 'both publish the next key', async () => (await kids(one)).length === 2 && (await kids(two)).length === 2)
      const [, second = ''] = await kids(one)
      assert.deepEqual(await kids(two), [first, second])
      assert.equal((await rows(opened.database)).length, 2)

      clock.advance(hour - 1)
      const last = await issue(one, clock)
      assert.equal(kidOf(last), first, 'the old one still signs')
      clock.advance(1)
      for (const keys of [one, two]) assert.equal(kidOf(await issue(keys, clock)), second, 'now the new one signs')

      // Times in tokens are in whole seconds.
      clock.advance(5 * minute - 2000)
      for (const keys of [one, two]) {
        assert.ok((await keys.keyOf(first)) !== undefined, 'until its last token has expired')
        assert.ok(await verifiesByJwks(keys, last, clock))
      }
      clock.advance(minute + 2000)
      for (const keys of [one, two]) {
        assert.equal(await keys.keyOf(first), undefined, 'and no longer')
        assert.deepEqual(await kids(keys), [second])
        keys.close()
      }
      assert.equal(clock.timers, 0)
    })

    test('by hand: published, then signing; every rotation is in the audit trail and nothing secret with it', async () => {
      await using opened = await kind.open()
      const clock = createManualClock(startMs)
      const keys = await openKeys(opened.database, { clock })
      const [first = ''] = await kids(keys)
      const second = await keys.rotate({ actor: 'cli', now: false })
      assert.equal(second.activeAt, startMs + hour)
      assert.equal(kidOf(await issue(keys, clock)), first)
      const third = await keys.rotate({ actor: 'u1', now: true })
      assert.equal(kidOf(await issue(keys, clock)), third.kid)
      // The one that was to sign in an hour never does: there is a newer one.
      clock.advance(hour)
      assert.equal(kidOf(await issue(keys, clock)), third.kid)
      const audit = await opened.database.reader.selectFrom('audit').selectAll().orderBy('seq').execute()
      assert.deepEqual(
        audit.map(({ actor, action, target }) => [actor, action, target]),
        [
          ['system', 'signing_key.create', first],
          ['cli', 'signing_key.create', second.kid],
          ['u1', 'signing_key.create', third.kid],
        ],
      )
      const stored = await rows(opened.database)
      for (const { sealed_private: sealed } of stored) assert.ok(!JSON.stringify(audit).includes(sealed))
      keys.close()
    })

    test('ten rotations at once, on two instances: ten keys, the same order for both', async () => {
      await using opened = await kind.open()
      const other = await opened.another()
      const clock = createManualClock(startMs)
      const [one, two] = await Promise.all([openKeys(opened.database, { clock }), openKeys(other, { clock })])
      const made = await Promise.all(Array.from({ length: 10 }, (_, i) => (i % 2 === 0 ? one : two).rotate({ actor: 'cli', now: true })))
      assert.equal(new Set(made.map(({ kid }) => kid)).size, 10)
      assert.deepEqual(
        (await rows(opened.database)).map(({ generation }) => generation),
        Array.from({ length: 11 }, (_, i) => i + 1),
      )
      await eventually(10_000, 'both know them all', async () => (await kids(one)).join() === (await kids(two)).join())
      assert.equal(kidOf(await issue(one, clock)), kidOf(await issue(two, clock)))
      for (const keys of [one, two]) keys.close()
    })

    test('a token that another instance signed just now with a key that was made just now', async () => {
      await using opened = await kind.open()
      const other = await opened.another()
      const clock = createManualClock(startMs)
      const [one, two] = await Promise.all([openKeys(opened.database, { clock }), openKeys(other, { clock })])
      clock.advance(1000)
      await one.rotate({ actor: 'cli', now: true })
      assert.ok((await two.keyOf(kidOf(await issue(one, clock)))) !== undefined)
      for (const keys of [one, two]) keys.close()
    })

    test('taken back: the old keys are gone here at once and soon elsewhere, the new one signs', async () => {
      await using opened = await kind.open()
      const other = await opened.another()
      const clock = createManualClock(startMs)
      const [one, two] = await Promise.all([openKeys(opened.database, { clock }), openKeys(other, { clock })])
      const [first = ''] = await kids(one)
      const { kid } = await one.rotate({ actor: 'cli', now: false, withdrawOld: true })
      assert.deepEqual(await kids(one), [kid])
      assert.equal(kidOf(await issue(one, clock)), kid)
      await eventually(10_000, 'the other has heard', async () => (await kids(two)).join() === kid)
      for (const keys of [one, two]) {
        assert.equal(await keys.keyOf(first), undefined)
        keys.close()
      }
      assert.equal((await rows(opened.database)).length, 1)
    })

    test('a schedule that meets a database that fails tries again a minute later', async () => {
      await using place = await kind.place()
      await using opened = await openAt(place)
      const clock = createManualClock(startMs)
      const keys = await openKeys(opened.database, { clock })
      const counted = countReads(opened.database)
      await kind.change(place, 'alter table signing_key rename to gone')
      clock.advance(30 * day - hour)
      await eventually(10_000, 'it was tried', () => counted.reads > 0 && clock.timers === 1)
      assert.equal((await kids(keys)).length, 1)
      await kind.change(place, 'alter table gone rename to signing_key')
      clock.advance(minute)
      await eventually(10_000, 'it worked', async () => (await kids(keys)).length === 2)
      keys.close()
    })

    test('no token lives longer than its session', async () => {
      await using opened = await kind.open()
      const clock = createManualClock(startMs)
      const keys = await openKeys(opened.database, { clock })
      const facts = { subject: 'u1', sessionId: 's1', epoch: 0, authenticatedAt: startMs, amr: ['pwd'], role: 'viewer' } as const
      const { token, expiresInSeconds } = await keys.issuer.issue({ ...facts, notAfter: startMs + 20_500 })
      assert.equal(expiresInSeconds, 20)
      assert.equal(decode(token, 1)['exp'], startMs / 1000 + 20)
      keys.close()
    })
  })
}
