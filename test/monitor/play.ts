import type { SecurityEvent } from '../../src/core/events.ts'
import { createMemoryDecisions, createMonitor, type Monitor, type MonitorDecision, type RuleMode } from '../../src/layers/index.ts'
import { createManualClock } from '../support/manual-clock.ts'
import type { Sequence } from './fixtures/traffic.ts'
import { allRules } from '../../src/serve/rules.ts'

export interface Played {
  readonly monitor: Monitor
  readonly decisions: readonly MonitorDecision[]
  readonly events: readonly SecurityEvent[]
}

/** A busy server's clock is not at 0. */
const startMs = Date.UTC(2026, 0, 1)

/** Feeds a sequence to the real monitor at the times that it names. Whoever is refused by then is not heard any more, as in the request path. */
export const play = async ({ steps }: Sequence, modes: Readonly<Record<string, RuleMode>> = {}): Promise<Played> => {
  const clock = createManualClock(startMs)
  const decisions: MonitorDecision[] = []
  const events: SecurityEvent[] = []
  const store = createMemoryDecisions()
  const monitor = await createMonitor({
    clock,
    observe: (event) => void events.push(event),
    rules: allRules,
    policy: () => ({ mode: 'enforce', rules: modes, isExempt: () => false }),
    store: { ...store, save: (decision, origin) => (decisions.push(decision), store.save(decision, origin)) },
    maxTracked: 10_000,
  })
  for (const { at, request, event } of steps) {
    clock.advance(Math.max(0, startMs + at * 1000 - clock.epochMs()))
    if (request !== undefined && monitor.decisions.ofClient(request.client)?.type !== undefined) continue
    if (request !== undefined) monitor.request({ ...request, epochMs: clock.epochMs() })
    if (event !== undefined && !isSilenced(monitor, event)) monitor.event(event)
  }
  await monitor.close()
  return { monitor, decisions, events }
}

const isSilenced = (monitor: Monitor, event: SecurityEvent): boolean => {
  const client = 'client' in event ? event.client : null
  return client !== null && monitor.decisions.ofClient({ address: client.split('/')[0] ?? '', prefix: client }) !== undefined
}
