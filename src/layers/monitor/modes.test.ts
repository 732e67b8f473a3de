import assert from 'node:assert/strict'
import { test } from 'node:test'

import { createManualClock } from '../../../test/support/manual-clock.ts'
import type { SecurityEvent } from '../../core/events.ts'
import { createMemoryDecisions } from './memory-decisions.ts'
import { createMonitor, type MonitorPolicy } from './monitor.ts'
import type { Rule } from './rule.ts'

const rule: Rule = {
  name: 'one-is-enough',
  summary: 'One foreign origin',
  groupBy: ['client'],
  bucket: { capacity: 0, leakPerSecond: 1 },
  when: [{ event: 'malicious_cors' }],
  decision: { type: 'ban', scope: 'client', durationMs: 60_000, maxDurationMs: 600_000 },
  confidence: 'high',
  spoofable: false,
  references: [],
}
const address = '203.0.113.7'

const open = async (before: Partial<MonitorPolicy> = {}) => {
  const clock = createManualClock(Date.UTC(2026, 0, 1))
  const told: SecurityEvent[] = []
  let policy: MonitorPolicy = { mode: 'enforce', rules: {}, isExempt: () => false, ...before }
  const monitor = await createMonitor({
    clock,
    observe: (event) => void told.push(event),
    rules: [rule],
    policy: () => policy,
    store: createMemoryDecisions(),
  })
  return {
    monitor,
    reload: (next: Partial<MonitorPolicy>) => void (policy = { ...policy, ...next }),
    attack: () =>
      monitor.event({ event: 'malicious_cors', requestId: 'r', client: address, origin: 'https://x.example', preflight: false }),
    refused: () => monitor.decisions.ofClient({ address, prefix: address })?.type ?? null,
    created: () => told.flatMap((event) => (event.event === 'decision_created' ? [event.observed === true] : [])),
    clock,
  }
}

const looser: readonly Partial<MonitorPolicy>[] = [
  { mode: 'observe' },
  { rules: { 'one-is-enough': 'observe' } },
  { rules: { 'one-is-enough': 'off' } },
]

for (const change of looser)
  test(`whom a rule refused is free as soon as that is only observed, or off: ${JSON.stringify(change)}`, async () => {
    const { monitor, reload, attack, refused, created } = await open()
    attack()
    assert.equal(refused(), 'ban')
    reload(change)
    assert.equal(refused(), null)
    const [held] = monitor.decisions.about('client', address)
    assert.equal(held?.observed, true, 'who asks is told so')
    assert.deepEqual([monitor.decisions.get(held.id), monitor.decisions.all()], [held, [held]])
    assert.equal(held.evidence?.signals.length, 1)
    attack()
    assert.deepEqual(created(), [false], 'it is known already')
    reload({ mode: 'enforce', rules: {} })
    assert.equal(refused(), 'ban', 'for what is left of its time')
    assert.deepEqual(created(), [false])
  })

test('what a person decided is refused in observe mode, too, also beside a rule', async () => {
  const { monitor, reload, attack, refused, clock } = await open()
  attack()
  const expiresAt = clock.epochMs() + 30_000
  await monitor.decide({ scope: 'client', target: address, type: 'tighten', reason: 'by hand', by: 'uadmin', expiresAt })
  assert.equal(refused(), 'ban')
  reload({ mode: 'observe' })
  assert.equal(refused(), 'tighten')
})

test('attack: whoever was only observed is not safe from the rule when it is enforced', async () => {
  const { reload, attack, refused, created, clock } = await open({ mode: 'observe' })
  attack()
  attack()
  assert.deepEqual([created(), refused()], [[true], null])
  reload({ mode: 'enforce' })
  assert.equal(refused(), null, 'nothing is refused that nobody decided')
  clock.advance(1000)
  attack()
  assert.deepEqual([created(), refused()], [[true, false], 'ban'])
})
