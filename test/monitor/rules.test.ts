import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { allRules } from '../../src/serve/rules.ts'
import { abuseFixtures } from './fixtures/abuse.ts'
import { credentialFixtures } from './fixtures/credentials.ts'
import { good } from './fixtures/good.ts'
import { inputFixtures } from './fixtures/input.ts'
import { nameFixtures } from './fixtures/names.ts'
import { probingFixtures } from './fixtures/probing.ts'
import { serviceFixtures } from './fixtures/service.ts'
import type { Fixture, Sequence } from './fixtures/traffic.ts'
import { play } from './play.ts'

const groups = [credentialFixtures, probingFixtures, inputFixtures, nameFixtures, abuseFixtures, serviceFixtures]
const fixtures = new Map<string, Fixture>(groups.flatMap((group) => Object.entries(group)))

const decidedOn = async (sequence: Sequence): Promise<readonly string[]> => {
  const { decisions } = await play(sequence)
  return [...new Set(decisions.map(({ rule }) => rule ?? ''))].toSorted()
}

test('every rule has its fixtures, and every fixture its rule', () => {
  assert.equal(
    fixtures.size,
    groups.reduce((sum, group) => sum + Object.keys(group).length, 0),
    'no rule is in two files',
  )
  assert.deepEqual([...fixtures.keys()].toSorted(), allRules.map(({ name }) => name).toSorted())
})

describe('good traffic leads to no decision', () => {
  for (const sequence of Object.values(good)) {
    test(`${sequence.kind}: ${sequence.name}`, async () => {
      assert.deepEqual(await decidedOn(sequence), [])
    })
  }
})

for (const [rule, { fires, quiet }] of fixtures) {
  describe(rule, () => {
    test('is held against at least three attacks, and five sequences of different kinds that are none', () => {
      assert.ok(fires.length >= 3)
      assert.ok(quiet.length >= 5)
      assert.ok(new Set(quiet.map(({ kind }) => kind)).size >= 4)
    })
    for (const sequence of fires) {
      test(`decides, and no other rule does: ${sequence.name}`, async () => {
        assert.deepEqual(await decidedOn(sequence), [rule])
      })
    }
    for (const sequence of quiet) {
      test(`does not decide: ${sequence.kind}, ${sequence.name}`, async () => {
        assert.deepEqual(await decidedOn(sequence), sequence.others ?? [])
      })
    }
  })
}
