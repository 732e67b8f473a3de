import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import fc from 'fast-check'

import { openClockedScript, startClockedScript } from '../../../../test/support/clocked-script.ts'
import { describeUnless, servicesMissing } from '../../../../test/support/services.ts'
import type { Quota, Window } from '../store.ts'

let ids = 0
const newId = (): string => `client ${ids++}`

const day = 86_400_000
const quota = (...windows: readonly (readonly [limit: number, windowMs: number])[]): readonly Quota[] => [
  { scope: 'GET /', windows: windows.map(([limit, windowMs]) => ({ name: `${limit}`, limit, windowMs })) },
]

const pace = (limit: number): readonly Quota[] => [
  { scope: 'pace', windows: [{ name: 'pace', limit, windowMs: 1000, burst: 1, maxDelayMs: 5000 }] },
]

describeUnless(servicesMissing('redis'), 'what the script keeps in Redis', () => {
  let script: Awaited<ReturnType<typeof startClockedScript>>
  before(async () => {
    script = await startClockedScript()
  })
  after(() => script[Symbol.asyncDispose]())

  test('what was counted survives every change of the limits, there and back', async () => {
    const numbers = [
      quota([50, day]),
      quota([200, day]),
      quota([300, day]),
      quota([1000, day], [80, day / 24]),
      quota([256, day], [40, 1000]),
    ]
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ quotas: fc.constantFrom(...numbers), cost: fc.integer({ min: 1, max: 20 }), passMs: fc.nat(1000) }), {
          minLength: 2,
          maxLength: 20,
        }),
        async (steps) => {
          const id = newId()
          let units = 0
          for (const { quotas, cost, passMs } of steps) {
            script.nowUs += passMs * 1000
            const [{ limit }] = quotas[0]!.windows as [Window]
            const { allowed, states } = await script.consume(id, quotas, cost)
            assert.ok(!allowed || units + cost <= limit, 'more than the limit')
            if (allowed) units += cost
            assert.equal(states[0]!.remaining, Math.max(0, limit - units))
          }
        },
      ),
      { numRuns: 100 },
    )
  })

  test('a change of the limits never lets anything be counted for a shorter time, in any span', async () => {
    const numbers = [quota([5, 1000]), quota([300, 1000]), quota([5, 1000], [400, 4000]), quota([8, 4000], [300, 1000]), quota([270, 4000])]
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ quotas: fc.constantFrom(...numbers), cost: fc.integer({ min: 1, max: 5 }), passMs: fc.nat(400) }), {
          minLength: 2,
          maxLength: 40,
        }),
        async (steps) => {
          const id = newId()
          const given: { atUs: number; cost: number }[] = []
          const asked: { atUs: number; longestMs: number }[] = []
          for (const { quotas, cost, passMs } of steps) {
            script.nowUs += passMs * 1000
            const { windows } = quotas[0]!
            asked.push({ atUs: script.nowUs, longestMs: Math.max(...windows.map((each) => each.windowMs)) })
            const { allowed } = await script.consume(id, quotas, cost)
            if (!allowed) continue
            for (const { limit, windowMs } of windows) {
              // Limits with shorter windows only, in between, have rightly forgotten what was before them.
              const isInside = ({ atUs }: { atUs: number }): boolean => script.nowUs - atUs < windowMs * 1000
              const known = given.filter(isInside)
              const reaches = asked.filter(isInside).every(({ longestMs }) => longestMs >= windowMs)
              const units = known.reduce((sum, each) => sum + each.cost, cost)
              assert.ok(!reaches || units <= limit, `${units} in a span of ${windowMs} ms, and the limit is ${limit}`)
            }
            given.push({ atUs: script.nowUs, cost })
          }
        },
      ),
      { numRuns: 200 },
    )
  })

  test('a rate that is made slower or faster begins where it is', async () => {
    const id = newId()
    for (let i = 0; i < 3; i++) await script.consume(id, pace(1), 1)
    assert.equal((await script.consume(id, pace(2), 1)).delayMs, 3000)
  })

  test("Redis' clock goes back an hour: nobody is blocked for longer than a window, and nothing is counted for a shorter time", async () => {
    for (const limit of [3, 300]) {
      const id = newId()
      const quotas = quota([limit, 60_000])
      assert.equal((await script.consume(id, quotas, limit)).allowed, true)
      script.nowUs -= 3_600_000_000
      const refused = await script.consume(id, quotas, 1)
      assert.equal(refused.allowed, false)
      assert.equal(refused.retryAfterMs, 60_000)
      script.nowUs += 59_999_000
      assert.equal((await script.consume(id, quotas, 1)).allowed, false)
      script.nowUs += 1_000
      assert.equal((await script.consume(id, quotas, limit)).allowed, true)
    }
    const id = newId()
    const rate: readonly Quota[] = [{ scope: 'rate', windows: [{ name: 'rate', limit: 1, windowMs: 1000, burst: 1 }] }]
    await script.consume(id, rate, 1)
    script.nowUs -= 3_600_000_000
    assert.equal((await script.consume(id, rate, 1)).retryAfterMs, 1000)
    script.nowUs += 1_000_000
    assert.equal((await script.consume(id, rate, 1)).allowed, true)
  })

  test('a clock that jumps to and fro for ever leaves no log longer than its bound, and blocks nobody for longer than a window', async () => {
    const id = newId()
    const quotas = quota([256, 1000], [100_000, 1000])
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: -5_000_000, max: 5_000_000 }), async (jumpUs) => {
        script.nowUs += jumpUs
        const { retryAfterMs } = await script.consume(id, quotas, 9)
        assert.ok(retryAfterMs <= 1000 + 1000 / 60)
        assert.ok(Number(await script.command('HSTRLEN', id, 'GET /')) <= 23 + 256 * 8 + 8 + 62 * 16)
      }),
      { numRuns: 2000 },
    )
  })

  test('a client takes no more memory than the documentation says, and none once its longest window is over', async () => {
    await using ending = await openClockedScript(script.url, { ends: true })
    const cases = [
      { quotas: quota([200, day], [50, day / 24]), units: 1, most: 200 },
      { quotas: quota([200, day], [200, day / 24]), units: 200, most: 2300 },
      { quotas: quota([20_000, day], [2000, day / 24]), units: 1, most: 300 },
      { quotas: quota([20_000, day], [2000, day / 24]), units: 1400, most: 3000 },
    ]
    for (const { quotas, units, most } of cases) {
      const id = newId()
      for (let unit = 0; unit < units; unit++) {
        ending.nowUs += 60_000_000
        await ending.consume(id, quotas, 1)
      }
      const bytes = Number(await ending.command('MEMORY', 'USAGE', id))
      assert.ok(bytes <= most, `${bytes} bytes after ${units} units`)
      const endsInMs = Number(await ending.command('PTTL', id))
      assert.ok(endsInMs > day - 60_000 && endsInMs <= day + day / 60 + 2, `${endsInMs} ms`)
    }
  })

  test('a scope with short windows does not end what one with long windows has counted', async () => {
    await using ending = await openClockedScript(script.url, { ends: true })
    const id = newId()
    const short: readonly Quota[] = [{ scope: 'short', windows: [{ name: 'short', limit: 5, windowMs: 10 }] }]
    await ending.consume(id, quota([5, day]), 1)
    await ending.consume(id, short, 1)
    assert.ok(Number(await ending.command('PTTL', id)) > day - 60_000)
    const other = newId()
    await ending.consume(other, short, 1)
    await ending.consume(other, quota([5, day]), 1)
    assert.ok(Number(await ending.command('PTTL', other)) > day - 60_000)
  })

  test('a refund takes back that very unit, and never a younger one', async () => {
    const id = newId()
    const quotas = quota([2, 1000])
    const first = await script.consume(id, quotas, 1)
    script.nowUs += 900_000
    await script.consume(id, quotas, 1)
    script.nowUs += 150_000
    await script.refund(id, quotas, 1, first)
    assert.equal((await script.peek(id, quotas)).states[0]!.remaining, 1)
  })

  test('a reset forgets the identity in every scope, and not its wider prefix', async () => {
    const id = newId()
    const quotas: readonly Quota[] = [
      ...quota([2, 1000]),
      { scope: 'wider', of: 'wider', windows: [{ name: 'wider', limit: 9, windowMs: 1000 }] },
    ]
    await script.consume(id, quotas, 2)
    await script.reset(id)
    assert.deepEqual(
      (await script.peek(id, quotas)).states.map(({ remaining }) => remaining),
      [2, 7],
    )
  })
})
