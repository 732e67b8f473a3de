import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import type { Decision } from './decision.ts'
import { Offences } from './offences.ts'

const day = 24 * 3_600_000

let ids = 0
const decision = (parts: Partial<Decision> = {}): Decision =>
  ({ id: `d${++ids}`, scope: 'client', target: '203.0.113.7', createdAt: 0, observed: false, offence: 1, ...parts }) as Decision

const countOf = (offences: Offences): number => offences.count('client', '203.0.113.7')

test('each decision makes the next a further offence, for a week after the last one', () => {
  let now = 0
  const offences = new Offences(() => now)
  for (let i = 1; i <= 5; i++) {
    offences.note(decision({ createdAt: now, offence: countOf(offences) + 1 }))
    assert.equal(countOf(offences), i)
    now += 6 * day
  }
  now += 2 * day
  assert.equal(countOf(offences), 0)
  assert.equal(offences.count('client', '203.0.113.8'), 0)
  assert.equal(offences.count('account', '203.0.113.7'), 0)
})

test('one that is heard of again, from here and from a store, in whatever order, is one; two instances that decide at once saw one', () => {
  const made = [decision(), decision(), decision({ offence: 2 }), decision({ offence: 3, observed: true })]
  fc.assert(
    fc.property(fc.array(fc.nat(made.length - 1), { minLength: 8 }), (order) => {
      const offences = new Offences(() => 0)
      for (const index of [...order, 0, 1, 2, 3]) offences.note(made[index]!)
      assert.equal(countOf(offences), 2)
    }),
  )
})

test('a store that tells only of the newest tells how many there were', () => {
  const offences = new Offences(() => 0)
  offences.note(decision({ offence: 7 }))
  assert.equal(countOf(offences), 7)
})

test('one that a person lifts is none, also where it is heard of once more', () => {
  const offences = new Offences(() => 0)
  const [first, second] = [decision(), decision({ offence: 2 })]
  offences.note(first)
  offences.note(second)
  for (let i = 0; i < 3; i++) offences.forget(second.id)
  offences.note(second)
  assert.equal(countOf(offences), 1)
  offences.forget('unknown')
  offences.forget(first.id)
  assert.equal(countOf(offences), 0)
})
