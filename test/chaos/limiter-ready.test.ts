import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { ask, assertProblem } from '../support/attack.ts'
import { eventually } from '../support/deadline.ts'
import { scrape } from '../support/metrics-text.ts'
import { startRedis } from '../support/redis.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { describeUnless, servicesMissing } from '../support/services.ts'

interface Readiness {
  readonly code: number
  readonly status: string
  readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly detail?: string }[]
  readonly warnings: readonly string[]
}

const readiness = async (server: TestServer): Promise<Readiness> => {
  const answer = await fetch(`${server.opsUrl}/readyz`)
  return { ...((await answer.json()) as Omit<Readiness, 'code'>), code: answer.status }
}

const limitsCheck = ({ checks }: Readiness) => checks.find(({ name }) => name === 'limits')

const until = async (server: TestServer, what: string, isSo: (now: Readiness) => boolean): Promise<Readiness> => {
  let now = await readiness(server)
  await eventually(10_000, what, async () => isSo((now = await readiness(server))))
  return now
}
const hasDetail = (now: Readiness): boolean => limitsCheck(now)?.detail !== undefined

test('/readyz has no check of limits where they are counted in memory', async () => {
  await using server = await startServer()
  const now = await readiness(server)
  assert.deepEqual([now.code, limitsCheck(now)], [200, undefined])
})

describeUnless(servicesMissing('redis'), '/readyz while Redis does not answer', () => {
  const modes: readonly (readonly [mode: string, said: RegExp])[] = [
    ['local', /counts alone, with its share/],
    ['allow', /nothing is limited/],
  ]
  for (const [mode, said] of modes) {
    test(`${mode}: the instance serves, so it stays 200, with a warning; again without it by itself`, async () => {
      await using redis = await startRedis()
      const env = { FILMGATE_LIMITS_STORE: redis.url, FILMGATE_LIMITS_ON_STORE_FAILURE: mode }
      await using server = await startServer({ env })
      const before = await readiness(server)
      assert.deepEqual([before.code, limitsCheck(before), before.warnings], [200, { name: 'limits', ok: true }, []])
      await redis.stop('SIGKILL')
      const during = await until(server, 'the failure is seen', hasDetail)
      assert.deepEqual([during.code, during.status, limitsCheck(during)?.ok], [200, 'ok', true])
      assert.match(limitsCheck(during)?.detail ?? '', said)
      assert.deepEqual(during.warnings, [limitsCheck(during)?.detail])
      assert.equal((await ask(server)).status, 200)
      await redis.start()
      const afterwards = await until(server, 'Redis is found again', (now) => !hasDetail(now))
      assert.deepEqual([afterwards.code, limitsCheck(afterwards), afterwards.warnings], [200, { name: 'limits', ok: true }, []])
    })
  }

  test('deny: everything is refused, so it is 503 until Redis answers', async () => {
    await using redis = await startRedis()
    const env = { FILMGATE_LIMITS_STORE: redis.url, FILMGATE_LIMITS_ON_STORE_FAILURE: 'deny' }
    await using server = await startServer({ env })
    await redis.pause()
    const during = await until(server, 'the failure is seen', hasDetail)
    assert.deepEqual([during.code, during.status, limitsCheck(during)?.ok, during.warnings], [503, 'error', false, []])
    assertProblem(await ask(server), { status: 503, code: 'store_unavailable' })
    const refused = { layer: 'store', code: 'store_unavailable' }
    await eventually(10_000, 'it is counted', async () => (await scrape(server)).sum('filmgate_refusals_total', refused) >= 1)
    const metrics = await scrape(server)
    assert.ok(metrics.sum('filmgate_limiter_decisions_total', { policy: 'total', outcome: 'failed' }) >= 1)
    assert.equal(metrics.value('filmgate_security_events_total', { event: 'sys_store_failure' }), 1)
    assert.equal(metrics.value('filmgate_limiter_tracked_clients'), undefined, 'another program counts')
    assert.doesNotMatch(JSON.stringify(during), /redis:\/\/|127\.0\.0\.1/, 'nothing of where it is')
    redis.resume()
    await until(server, 'Redis is found again', ({ code }) => code === 200)
    assert.equal((await ask(server)).status, 200)
  })
})

describe('plain text to Redis', () => {
  describeUnless(servicesMissing('redis'), 'a warning at the start', () => {
    test('on another machine: on standard error, in the log and in /readyz, without the password', async () => {
      await using redis = await startRedis({ password: 'hidden-secret' })
      // Linux takes 0.0.0.0 for this machine; nobody else does.
      const store = redis.url.replace('127.0.0.1', '0.0.0.0')
      await using server = await startServer({ env: { FILMGATE_LIMITS_STORE: store } })
      const { code, warnings } = await readiness(server)
      assert.equal(code, 200)
      assert.match(warnings.join(), /limits\.store can be read and changed on its way: write rediss:\/\//)
      assert.match(server.stderr(), /^WARNING: .*limits\.store can be read/m)
      await server.logged(({ msg }) => msg.includes('limits.store can be read'))
      assert.ok(!`${server.stderr()}${JSON.stringify(server.log())}`.includes('hidden-secret'))
    })

    test('on this machine: none', async () => {
      await using redis = await startRedis()
      await using server = await startServer({ env: { FILMGATE_LIMITS_STORE: redis.url } })
      assert.deepEqual((await readiness(server)).warnings, [])
    })
  })
})
