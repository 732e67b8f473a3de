import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import fc from 'fast-check'

import { Budget } from './http2-budget.ts'

describe('a budget', () => {
  test('lets a burst through at once, and one more not', () => {
    const budget = new Budget({ burst: 100, perSecond: 10 }, 0)
    for (let i = 0; i < 100; i++) assert.ok(budget.spend(1, 0))
    assert.ok(!budget.spend(1, 0))
  })

  test('is never too small for whoever keeps to its rate', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 5000 }), { maxLength: 200 }), (pauses) => {
        const budget = new Budget({ burst: 1, perSecond: 1 }, 0)
        let nowMs = 0
        for (const pause of pauses) {
          nowMs += pause
          // As much as the pause forgives, no more.
          assert.ok(budget.spend(Math.min(1, pause / 1000), nowMs))
        }
      }),
    )
  })

  test('no rest saves anything up: in any span no more than the burst and what the span forgives', () => {
    const step = fc.record({ pauseMs: fc.integer({ min: 0, max: 100_000 }), amount: fc.integer({ min: 0, max: 50 }) })
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const budget = new Budget({ burst: 100, perSecond: 10 }, 0)
        const passed: { atMs: number; amount: number }[] = []
        let nowMs = 0
        for (const { pauseMs, amount } of steps) {
          nowMs += pauseMs
          if (!budget.spend(amount, nowMs)) return
          passed.push({ atMs: nowMs, amount })
          for (const { atMs } of passed) {
            const spent = passed.filter((one) => one.atMs >= atMs).reduce((sum, one) => sum + one.amount, 0)
            assert.ok(spent <= 100 + ((nowMs - atMs) * 10) / 1000 + 1e-6)
          }
        }
      }),
    )
  })

  test('what is given back is no credit', () => {
    const budget = new Budget({ burst: 10, perSecond: 1 }, 0)
    assert.ok(budget.spend(-1_000_000, 0))
    assert.ok(!budget.spend(11, 0))
  })
})
