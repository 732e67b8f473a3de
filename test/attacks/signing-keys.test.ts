import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'

import { createPrivateJwk, importSigningKey } from '../../src/credentials/signing-key.ts'
import { seal } from '../../src/credentials/sealed.ts'
import { statement } from '../../src/db/unit.ts'
import { databases } from '../support/databases.ts'
import { eventually } from '../support/deadline.ts'
import { createManualClock } from '../support/manual-clock.ts'
import { countReads, issue, kidOf, kids, openKeys, rows, sealingKey, startMs, verifiesByJwks } from '../support/signing-keys.ts'

for (const kind of databases) {
  describe(`the keys that sign access tokens (${kind.name})`, { skip: kind.missing }, () => {
    test('the first start makes one, and what is stored is of no use without the master key', async () => {
      await using opened = await kind.open()
      const clock = createManualClock(startMs)
      const keys = await openKeys(opened.database, { clock })
      const token = await issue(keys, clock)
      const [row, ...more] = await rows(opened.database)
      assert.ok(row !== undefined && more.length === 0)
      assert.equal(row.kid, kidOf(token))
      assert.doesNotMatch(JSON.stringify(row), /"d\\?":/)
      assert.ok(await verifiesByJwks(keys, token, clock))
      for (const published of (await keys.jwks()).keys)
        assert.deepEqual(Object.keys(published).toSorted(), ['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y'])
      keys.close()

      const again = await openKeys(opened.database, { clock })
      assert.deepEqual(await kids(again), [row.kid])
      again.close()
    })

    test('unknown ids cannot be used to hammer the database: it is asked once a second, however many come', async () => {
      await using opened = await kind.open()
      const clock = createManualClock(startMs)
      const keys = await openKeys(opened.database, { clock })
      const known = kidOf(await issue(keys, clock))
      await eventually(10_000, 'announcements are heard', () => opened.database.channel.isUp())
      await keys.jwks()
      clock.advance(1000)
      const counted = countReads(opened.database)
      // Each is a reason to read of its own, such as the one of the key that was just made.
      let heard = 0
      opened.database.channel.subscribe('signing_keys_changed', () => heard++)
      const flood = () => Promise.all(Array.from({ length: 500 }, () => keys.keyOf(randomBytes(32).toString('base64url'))))
      assert.deepEqual(new Set(await flood()), new Set([undefined]))
      await flood()
      for (let i = 0; i < 100; i++) assert.ok(await keys.keyOf(known), 'a known id asks nobody')
      assert.ok(counted.reads >= 1 && counted.reads <= 1 + heard, `${counted.reads} reads`)
      clock.advance(1000)
      await flood()
      assert.ok(counted.reads >= 2 && counted.reads <= 2 + heard, `${counted.reads} reads`)
      keys.close()
    })

    test('another master key: the keys are not used, somebody is told, and a new one signs', async () => {
      await using opened = await kind.open()
      const clock = createManualClock(startMs)
      const before = await openKeys(opened.database, { clock })
      const [first = ''] = await kids(before)
      before.close()
      const warnings: string[] = []
      const keys = await openKeys(opened.database, { clock, sealingKey: randomBytes(32), warn: (text) => void warnings.push(text) })
      assert.match(warnings.join('\n'), /another master key/)
      const [kid, ...more] = await kids(keys)
      assert.ok(kid !== undefined && kid !== first && more.length === 0)
      assert.equal(await keys.keyOf(first), undefined)
      assert.equal(kidOf(await issue(keys, clock)), kid)
      keys.close()
    })

    test('whoever can write to the table, but has no master key, cannot make tokens', async () => {
      await using opened = await kind.open()
      const clock = createManualClock(startMs)
      const first = await openKeys(opened.database, { clock })
      const [genuine] = await rows(opened.database)
      assert.ok(genuine)
      first.close()
      const jwk = await createPrivateJwk()
      const { publicJwk } = await importSigningKey(jwk)
      const forged = { created_at: 1, active_at: 1, public_jwk: JSON.stringify(publicJwk) }
      // A key of their own, sealed with another key; the genuine one under their id and with their public half; no seal at all.
      const attempts = [
        { ...forged, kid: publicJwk.kid, generation: 101, sealed_private: seal(randomBytes(32), publicJwk.kid, jwk) },
        { ...forged, kid: 'B'.repeat(43), generation: 102, sealed_private: genuine.sealed_private },
        { ...forged, kid: 'C'.repeat(43), generation: 103, sealed_private: jwk },
        { ...forged, kid: 'D'.repeat(43), generation: 104, sealed_private: '' },
        // Sealed rightly for another id than its own: only who has the master key could, and it still is no key of that id.
        { ...forged, kid: 'E'.repeat(43), generation: 105, sealed_private: seal(sealingKey, 'E'.repeat(43), jwk) },
      ]
      const { reader, commit } = opened.database
      for (const values of attempts)
        assert.equal((await commit([statement(reader.insertInto('signing_key').values(values).compile(), 1)])).result, 'committed')
      const swap = reader.updateTable('signing_key').set({ public_jwk: forged.public_jwk }).where('kid', '=', genuine.kid)
      assert.equal((await commit([statement(swap.compile(), 1)])).result, 'committed')

      const keys = await openKeys(opened.database, { clock })
      assert.deepEqual(await kids(keys), [genuine.kid])
      for (const { kid } of attempts) assert.equal(await keys.keyOf(kid), undefined)
      const token = await issue(keys, clock)
      assert.equal(kidOf(token), genuine.kid)
      assert.ok(await verifiesByJwks(keys, token, clock), 'with the genuine public key')
      keys.close()
    })
  })
}
