import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Identity } from '../../src/layers/index.ts'
import { type Answer, ask, assertProblem } from '../support/attack.ts'
import { within } from '../support/deadline.ts'
import { inEachLimitPlace } from '../support/limit-places.ts'
import { quota } from '../support/limiter-redis.ts'
import { median } from '../support/statistics.ts'
import { limited } from './hits.ts'
import { openStoreAt } from './limited-app.ts'

/** No two may share a count. */
const strangeNames: readonly string[] = [
  '',
  ' ',
  '\0',
  '\0\0',
  'a',
  'ab',
  'a\0b',
  'a b',
  'a:b',
  '1:a',
  '{}',
  '{',
  '}',
  '{a}',
  'a{b}',
  '{a}b',
  '{a}{b}',
  'A',
  'é',
  'e\u0301',
  '\u{1F3AC}',
  '*',
  '%s',
  '\r\nDEL x',
  '"',
  '__proto__',
  'constructor',
  'a'.repeat(8192),
  `${'a'.repeat(8191)}b`,
  `b${'a'.repeat(8191)}`,
]

const identities: readonly Identity[] = [...strangeNames.map((id) => ({ id })), { id: 'bc', wider: 'a' }, { id: 'c', wider: 'ab' }]

const throttled = `
[limits]
total = "100000000 per day"
[limits.routes]
"GET /v1/films/:id" = { only = "100000 per hour" }
[throttle.routes]
"GET /v1/films/:id" = { pace = "10 per second", burst = 1, max_wait_ms = 3000, max_waiting = 100 }
[concurrency]
per_client = 2000
`

interface Ended {
  readonly index: number
  readonly atMs: number
  readonly answer: Answer
}

const secondsLeft = (answer: Answer): number => Number(/;t=(\d+)/.exec(answer.field('ratelimit') ?? '')?.[1])

inEachLimitPlace((at, place) => {
  test('case 22: `a` in `bc` and `ab` in `c`, 8 KB, NUL, braces: counts of their own, no error', async () => {
    // A place of its own: the servers have another secret.
    await using own = await place.open()
    await using opened = await openStoreAt(own)
    const { store } = opened
    const consume = async (identity: Identity, scope: string): Promise<boolean> =>
      (await store.consume(identity, quota(1, 3_600_000, scope), 1)).allowed
    for (const [id, scope] of [
      ['a', 'bc'],
      ['ab', 'c'],
      ['abc', ''],
      ['', 'abc'],
    ] as const)
      assert.ok(await consume({ id, wider: 'scopes' }, scope), `${id} in ${scope}`)
    for (const scope of ['one', '{one}', 'on', 'ne', 'one\0', 'o'.repeat(8192), ...strangeNames]) {
      assert.ok(await consume({ id: 'of many scopes' }, scope), JSON.stringify(scope.slice(0, 20)))
      assert.ok(!(await consume({ id: 'of many scopes' }, scope)), JSON.stringify(scope.slice(0, 20)))
    }
    for (const isFirst of [true, false])
      for (const identity of identities) assert.equal(await consume(identity, 'same'), isFirst, JSON.stringify(identity).slice(0, 60))
  })

  test('case 23: throttle "10 per second": 30 at once end 100 ms apart in their order; who would wait too long is refused', async () => {
    const server = await at().start({ toml: throttled })
    const startedMs = performance.now()
    const ended: Ended[] = []
    const asked: Promise<void>[] = []
    for (let index = 0; index < 40; index++) {
      const request = ask(server, { target: limited, from: '127.0.36.1' })
      asked.push(request.then((answer) => void ended.push({ index, atMs: performance.now() - startedMs, answer })))
      // What is asked behind it is answered after it was read: so their order is certain.
      await ask(server, { target: '/nowhere', from: '127.0.36.2' })
    }
    const sentMs = performance.now() - startedMs
    await within(10_000, 'all are answered', Promise.all(asked))

    const served = ended.filter(({ answer }) => answer.status === 200)
    const refused = ended.filter(({ answer }) => answer.status !== 200)
    // While they came, some turns passed.
    assert.ok(served.length >= 30 && served.length <= 31 + sentMs / 100, `${served.length} served of those that came within ${sentMs} ms`)
    assert.deepEqual(
      served.map(({ index }) => index),
      served.map(({ index }) => index).toSorted((one, other) => one - other),
    )
    const gaps = served.slice(1).map(({ atMs }, i) => atMs - served[i]!.atMs)
    assert.ok(Math.abs(median(gaps) - 100) < 20, `${median(gaps)} ms apart`)
    // Nobody began before his time: an answer can only be late.
    for (const [i, { atMs }] of served.entries()) assert.ok(atMs >= i * 100 - 5, `${i} ended after ${atMs} ms`)
    assert.ok(served.at(-1)!.atMs < served.length * 100 + 1000)

    for (const { answer, atMs } of refused) {
      assertProblem(answer, { status: 429, code: 'quota_exceeded' })
      assert.deepEqual(answer.json()['violated-policies'], ['throttle'])
      assert.equal(answer.field('retry-after'), '1')
      assert.ok(atMs < sentMs + 500, 'a refusal does not wait')
    }
    // The next of a client sees no longer window than the one before.
    const seconds = served.map(({ answer }) => secondsLeft(answer))
    for (const [i, left] of seconds.entries()) assert.ok(i === 0 || left <= seconds[i - 1]!, seconds.join())
  })
})
