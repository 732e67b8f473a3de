import assert from 'node:assert/strict'
import { test } from 'node:test'

import { addressOf } from '../../bench/detection/addresses.ts'
import { attackers, keepOn } from '../../bench/detection/attackers.ts'
import { crowd } from '../../bench/detection/crowd.ts'
import { intruders } from '../../bench/detection/intruders.ts'
import { openField } from '../../bench/detection/field.ts'
import { play, type Scenario } from '../../bench/detection/scenario.ts'

/** The short form of `npm run bench -- detection`: real servers, and what their logs tell. */
const named = (all: readonly Scenario[], part: string): Scenario => {
  const found = all.filter(({ name }) => name.includes(part))
  assert.equal(found.length, 1, `one scenario is about ${part}`)
  return found[0] as Scenario
}

const attacks = [
  named(attackers, 'a list of 300 names'),
  named(intruders, 'traversal: by hand'),
  named(intruders, '200 addresses of a /24'),
]

for (const scenario of attacks)
  test(`[ASVS 16.3.3] an attack leads to a decision of its rule, which is enforced: ${scenario.name}`, async () => {
    const { decided, refused } = await play(scenario, openField)
    const [first] = decided
    assert.ok(scenario.rules?.includes(first?.rule ?? ''), `decided by ${String(first?.rule)}`)
    assert.equal(first?.observed, false)
    assert.ok(refused > 0, 'nothing was refused')
  })

const harmless = [
  named(crowd, 'somebody who learns the API'),
  named(crowd, 'a moderator reads every page'),
  named(crowd, "a developer's page"),
]

for (const scenario of harmless)
  test(`good traffic leads to no decision: ${scenario.name}`, async () => {
    const { decided, requests } = await play(scenario, openField)
    assert.deepEqual(decided, [])
    assert.ok(requests > 10, 'it took place')
  })

test('a scenario is judged by what the server told: the same requests of somebody good are false', async () => {
  const swapped: Scenario = {
    name: 'swapped',
    label: 'good',
    run: (field) => keepOn(4, () => field.visitor(addressOf(7)).ask('/.git/config')),
  }
  assert.equal((await play(swapped, openField)).verdict, 'false')
})
