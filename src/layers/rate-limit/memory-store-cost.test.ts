import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { createMemoryStore } from './memory-store.ts'
import { parseLimits } from './notation.ts'
import type { Quota } from './store.ts'

const quota = (limits: string, scope: string): Quota => ({ scope, windows: parseLimits(limits) })

const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MiB`

test('attack: a million IPv6 prefixes, three requests each', (t) => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const clients = 1_000_000
  const clock = { nowMs: 0, monotonicMs: () => clock.nowMs }
  collect()
  const before = process.memoryUsage()
  const store = createMemoryStore({ clock, maxTrackedClients: clients })
  const quotas: readonly Quota[] = [
    { scope: 'total', windows: parseLimits('20 per second; 3000 per hour') },
    { scope: 'add', windows: parseLimits('1 per second; 50 per hour; 200 per day') },
  ]
  for (let count = 0; count < 50; count++) {
    clock.nowMs += 1000
    assert.ok(store.consume({ id: '2001:db8::/64' }, quotas, 1).allowed)
  }
  let slowestNs = 0n
  const startNs = process.hrtime.bigint()
  for (let round = 0; round < 3; round++) {
    // A round takes just over a second, so that the second of the route has passed for each client when its turn comes again.
    for (let index = 0; index < clients; index++) {
      clock.nowMs += 0.001_001
      const prefix = `2a02:${(index >>> 16).toString(16)}:${(index & 0xffff).toString(16)}:${((index * 7919) & 0xffff).toString(16)}::/64`
      const askedNs = process.hrtime.bigint()
      if (!store.consume({ id: prefix }, quotas, 1).allowed) assert.fail(`${prefix} was refused`)
      const tookNs = process.hrtime.bigint() - askedNs
      if (tookNs > slowestNs) slowestNs = tookNs
    }
  }
  const totalNs = process.hrtime.bigint() - startNs
  const peak = process.memoryUsage()
  collect()
  const after = process.memoryUsage()
  t.diagnostic(
    `rss +${mib(peak.rss - before.rss)} (after collection +${mib(after.rss - before.rss)}), array buffers +${mib(after.arrayBuffers - before.arrayBuffers)}`,
  )
  t.diagnostic(
    `${((after.arrayBuffers - before.arrayBuffers) / clients).toFixed(0)} bytes per client with three logs, ${((after.arrayBuffers - before.arrayBuffers) / store.tracked).toFixed(0)} per log`,
  )
  t.diagnostic(
    `${(Number(totalNs) / 3 / clients / 1000).toFixed(2)} µs per decision with its key, the slowest took ${(Number(slowestNs) / 1e6).toFixed(2)} ms`,
  )

  assert.ok(store.tracked > 2.9 * clients && store.tracked <= 3 * clients + 3, `${store.tracked} logs`)
  assert.equal(store.overflowed, 0)
  assert.ok(!store.consume({ id: '2001:db8::/64' }, quotas, 1).allowed, 'the exhausted client got a second quota')
  assert.ok(peak.rss - before.rss < 300e6, `rss grew by ${mib(peak.rss - before.rss)}`)
  assert.ok(peak.external - before.external < 300e6, `external memory grew by ${mib(peak.external - before.external)}`)
})

test('what a decision costs', (t) => {
  let nowMs = 0
  const store = createMemoryStore({ clock: { monotonicMs: () => nowMs }, maxTrackedClients: 100_000 })
  const route = quota('200 per day; 50 per hour; 1 per second', 'add')
  const total = quota('20 per second; 3000 per hour', 'total')
  const measure = (what: string, quotas: readonly Quota[], stepMs: number, clients: number): void => {
    const identities = Array.from({ length: clients }, (_, index) => `2001:db8:${index.toString(16)}::/64`)
    const count = 100_000
    let startNs = 0n
    for (let index = -count; index < count; index++) {
      if (index === 0) startNs = process.hrtime.bigint()
      nowMs += stepMs
      store.consume({ id: identities[(index + count) % clients]! }, quotas, 1)
    }
    t.diagnostic(`${what}: ${(Number(process.hrtime.bigint() - startNs) / count / 1000).toFixed(2)} µs`)
  }
  measure('three exact windows, one client, allowed', [route], 450_000, 1)
  measure('three exact windows, one client, refused', [route], 0.01, 1)
  measure('total and route, one client, allowed', [total, route], 450_000, 1)
  measure('three exact windows, 50 000 clients', [route], 9, 50_000)
  measure('total and route, 50 000 clients', [total, route], 9, 50_000)
})
