import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { databases } from '../../../../test/support/databases.ts'
import { createManualClock } from '../../../../test/support/manual-clock.ts'
import { describeUnless } from '../../../../test/support/services.ts'
import type { Commit } from '../../../db/unit.ts'
import { createApiKeyRepository } from './api-keys.ts'
import { createKeyUses } from './key-uses.ts'

const hour = 3_600_000
const ids = ['aaaaaaaaaaaa', 'bbbbbbbbbbbb']

for (const kind of databases) {
  describeUnless(kind.missing, `when keys were last used, on ${kind.name}`, () => {
    test('once an hour, behind the requests, all keys in one unit, and not twice from two instances', async () => {
      await using opened = await kind.open()
      const { database } = opened
      const clock = createManualClock(1_000 * hour)
      const keys = createApiKeyRepository(database, clock.epochMs)
      for (const id of ids) await keys.add({ id, subject: 'starter', name: id, secretHash: 'x', permissions: new Set() })
      let commits = 0
      const commit: Commit = (unit) => {
        commits++
        return database.commit(unit)
      }
      const uses = createKeyUses({ reader: database.reader, commit }, clock.epochMs, clock)
      const usedAt = async () => Promise.all(ids.map(async (id) => (await keys.byId(id))?.lastUsedAt))

      for (let i = 0; i < 1000; i++) for (const id of ids) uses.note(id)
      assert.deepEqual([commits, await usedAt()], [0, [null, null]], 'nothing is written on the way of a request')
      const first = clock.epochMs()
      clock.advance(10_000)
      await uses.close()
      assert.deepEqual([commits, await usedAt()], [1, [first, first]])

      clock.advance(hour / 2)
      uses.note('aaaaaaaaaaaa')
      const other = createKeyUses({ reader: database.reader, commit }, clock.epochMs, clock)
      other.note('aaaaaaaaaaaa')
      await Promise.all([uses.close(), other.close()])
      assert.deepEqual(await usedAt(), [first, first], 'within the hour it stays, whoever asks')

      clock.advance(hour / 2)
      uses.note('aaaaaaaaaaaa')
      await uses.close()
      assert.deepEqual(await usedAt(), [clock.epochMs(), first])
    })
  })
}

describe('storage that cannot write', () => {
  for (const [what, failing] of [
    ['says so', () => Promise.resolve({ result: 'unavailable', reason: 'full' } as const)],
    ['throws', () => Promise.reject(new Error('gone'))],
  ] as const) {
    test(`${what}: nobody notices, and the next use is noted anew`, async () => {
      await using opened = await databases[0]!.open()
      const clock = createManualClock(1_000 * hour)
      let tries = 0
      const commit: Commit = () => {
        tries++
        return failing()
      }
      const uses = createKeyUses({ reader: opened.database.reader, commit }, clock.epochMs, clock)
      for (const expected of [1, 2]) {
        uses.note('aaaaaaaaaaaa')
        await uses.close()
        assert.equal(tries, expected)
      }
    })
  }
})

test('what is remembered is bounded, and a clock that was set back does not end the noting', async () => {
  await using opened = await databases[0]!.open()
  const clock = createManualClock(1_000 * hour)
  let now = clock.epochMs()
  let noted = 0
  const commit: Commit = (unit) => {
    noted += unit.length
    return Promise.resolve({ result: 'committed', rows: [] })
  }
  const uses = createKeyUses({ reader: opened.database.reader, commit }, () => now, clock)
  for (let i = 0; i <= 10_000; i++) uses.note(`key ${i}`)
  await uses.close()
  assert.equal(noted, 10_001)
  uses.note('key 1')
  await uses.close()
  assert.equal(noted, 10_001, 'remembered')
  uses.note('key 0')
  await uses.close()
  assert.equal(noted, 10_002, 'forgotten')
  now -= 2 * hour
  uses.note('key 1')
  await uses.close()
  assert.equal(noted, 10_003)
})
