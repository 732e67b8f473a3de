import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import fc from 'fast-check'

import { type QuotaWindow, readQuota, secondsToWait, tightest } from './rate-limit.ts'

const answer = (rateLimit: string, policy: string): Headers => new Headers({ RateLimit: rateLimit, 'RateLimit-Policy': policy })

const film = answer(
  '"second";r=0;t=1, "hour";r=49;t=3600, "day";r=199;t=86400',
  '"second";q=1;w=1, "hour";q=50;w=3600, "day";q=200;w=86400',
)

describe('what an answer tells', () => {
  test('each window with its policy', () => {
    assert.deepEqual(readQuota(film), [
      { name: 'second', remaining: 0, limit: 1, lengthSeconds: 1, resetSeconds: 1 },
      { name: 'hour', remaining: 49, limit: 50, lengthSeconds: 3600, resetSeconds: 3600 },
      { name: 'day', remaining: 199, limit: 200, lengthSeconds: 86_400, resetSeconds: 86_400 },
    ])
  })

  test('without a policy, without t, with names in another order', () => {
    const unknown = { limit: undefined, lengthSeconds: undefined, resetSeconds: undefined }
    assert.deepEqual(readQuota(new Headers({ RateLimit: '"a";r=3' })), [{ name: 'a', remaining: 3, ...unknown }])
    assert.equal(readQuota(answer('"b";r=1, "a";r=2', '"a";q=5, "b";q=7'))[0]?.limit, 7)
  })

  test('nothing where a field is missing, broken or about something else', () => {
    for (const headers of [
      new Headers(),
      answer('"a";r=', ''),
      answer('"a";t=1', '"a";q=1'),
      answer('"a";r=-1', ''),
      answer('"a";r=1.5', ''),
    ])
      assert.deepEqual(readQuota(headers), [])
    assert.equal(readQuota(answer('"a";r=1', '"a"; q'))[0]?.limit, undefined)
  })
})

describe('what follows from it', () => {
  test('the ring shows what runs out first; a pace is only waited for', () => {
    assert.equal(tightest(readQuota(film))?.name, 'hour')
    assert.equal(tightest(readQuota(answer('"hour";r=40;t=9, "day";r=12;t=840', '"hour";q=50;w=3600, "day";q=200;w=86400')))?.name, 'day')
    assert.equal(tightest(readQuota(answer('"second";r=0;t=1', '"second";q=1;w=1')))?.name, 'second', 'better than none')
    assert.equal(tightest([]), undefined)
    assert.equal(secondsToWait(readQuota(film)), 1)
    assert.equal(secondsToWait(readQuota(answer('"second";r=0;t=1, "hour";r=0;t=600', ''))), 600)
    assert.equal(secondsToWait([]), 0)
  })

  test('whatever the windows are', () => {
    const whole = fc.nat({ max: 100_000 })
    const window: fc.Arbitrary<QuotaWindow> = fc.record({
      name: fc.string(),
      remaining: whole,
      limit: fc.option(whole, { nil: undefined }),
      lengthSeconds: fc.option(whole, { nil: undefined }),
      resetSeconds: fc.option(whole, { nil: undefined }),
    })
    fc.assert(
      fc.property(fc.array(window), (windows) => {
        const shown = tightest(windows)
        assert.equal(shown === undefined, windows.length === 0)
        const wait = secondsToWait(windows)
        for (const one of windows) {
          if (one.remaining === 0) assert.ok(wait >= (one.resetSeconds ?? 0))
          if ((one.lengthSeconds ?? Infinity) > 10) assert.ok((shown?.remaining ?? Infinity) <= one.remaining)
        }
        assert.ok(wait === 0 || windows.some(({ remaining }) => remaining === 0))
      }),
    )
  })
})
