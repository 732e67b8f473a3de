import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { createLimitFields } from './fields.ts'
import { parseLimits } from './notation.ts'
import { totalQuotas } from './policies.ts'
import type { Quota } from './store.ts'

const quota = (text: string): Quota => ({ scope: 'test', windows: parseLimits(text) })

/** A list of strings with integer parameters, as Structured Fields writes it (RFC 9651 sections 3.1 and 3.1.2). */
const parseItems = (field: string): (readonly [name: string, parameters: Record<string, number>])[] =>
  field.split(', ').map((item) => {
    const [, name = '', rest = ''] =
      /^"([\x20\x21\x23-\x5b\x5d-\x7e]+)"((?:;[a-z-]+=\d{1,15})+)$/.exec(item) ?? assert.fail(`${item} is no item`)
    const parameters = rest
      .slice(1)
      .split(';')
      .map((one) => one.split('='))
    return [name, Object.fromEntries(parameters.map(([key = '', value]) => [key, Number(value)]))]
  })

test('the policy says each window: its quota, and its length in seconds (draft-ietf-httpapi-ratelimit-headers-11 section 3)', () => {
  const { policy } = createLimitFields([quota('200 per day; 50 per hour; 1 per second')])
  assert.equal(policy, '"day";q=200;w=86400, "hour";q=50;w=3600, "second";q=1;w=1')
  assert.equal(
    createLimitFields([...totalQuotas('20 per 15 minutes').plain, quota('1 per year')]).policy,
    '"total-15-minutes";q=20;w=900, "year";q=1;w=31536000',
  )
})

test('a rate says its burst in a parameter of ours, and a network what all of it gets', () => {
  assert.equal(createLimitFields([quota('10 per second burst 20')]).policy, '"second-rate";q=10;w=1;filmgate-burst=20')
  assert.equal(createLimitFields(totalQuotas('20 per second').guarded).policy, '"total-second";q=20;w=1, "network-second";q=640;w=1')
})

test('the field says what is left, and for how many seconds, never fewer than it is (section 4)', () => {
  const quotas = [quota('50 per hour; 1 per second')]
  const states = (quotas[0]?.windows ?? []).map((window, i) => ({ window, remaining: i, resetMs: [3_599_001, 0.5][i] ?? 0 }))
  const fields = createLimitFields(quotas)
  assert.equal(
    fields.rateLimit({ allowed: true, states, violated: [], retryAfterMs: 0, delayMs: 0, at: 0 }),
    '"hour";r=0;t=3600, "second";r=1;t=1',
  )
})

test('both fields are Structured Fields, name the same windows, and give back their numbers', () => {
  const unit = fc.constantFrom('second', 'minute', 'hour', 'day', 'month', 'year')
  const limit = fc.record({ count: fc.integer({ min: 1, max: 1_000_000_000 }), amount: fc.integer({ min: 1, max: 100 }), unit })
  const limits = fc.uniqueArray(limit, {
    minLength: 1,
    maxLength: 5,
    selector: (one) => parseLimits(`1 per ${one.amount} ${one.unit}`)[0]?.windowMs,
  })
  fc.assert(
    fc.property(limits, fc.double({ min: 0, max: 1e12, noNaN: true }), fc.nat(), (all, resetMs, remaining) => {
      const quotas = [quota(all.map(({ count, amount, unit: name }) => `${count} per ${amount} ${name}`).join(';'))]
      const windows = quotas[0]?.windows ?? []
      const fields = createLimitFields(quotas)
      const states = windows.map((window) => ({ window, remaining, resetMs }))
      assert.deepEqual(
        parseItems(fields.policy),
        windows.map(({ name, limit: q, windowMs }) => [name, { q, w: windowMs / 1000 }]),
      )
      const expected = windows.map(({ name }) => [name, { r: remaining, t: Math.ceil(resetMs / 1000) }])
      assert.deepEqual(parseItems(fields.rateLimit({ allowed: true, states, violated: [], retryAfterMs: 0, delayMs: 0, at: 0 })), expected)
    }),
  )
})
