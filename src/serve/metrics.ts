import type { VoteRepository } from '../api/votes/repository.ts'
import type { Config } from '../config.ts'
import type { SecurityEventName } from '../core/events.ts'
import {
  createMetrics,
  type Decision,
  eventLevels,
  type LimiterStore,
  type Metrics,
  type Monitor,
  type OpenLogSink,
  type Quota,
  type RouteEntry,
} from '../layers/index.ts'
import type { OpenLimiterStore } from './limiter-store.ts'

/** What is known only when all is open; a scrape before that finds nothing of it. */
export interface Watched {
  readonly config: Config
  readonly limiterStore: Pick<OpenLimiterStore, 'tracked' | 'capacity'>
  readonly monitor: Pick<Monitor, 'tracked' | 'decisions'>
  readonly routes: readonly RouteEntry[]
}

export interface ServedMetrics extends Metrics {
  readonly watch: (watched: Watched) => void
}

/** The metrics of this server, which read what only others know when they are scraped. */
export const openMetrics = (sink: Pick<OpenLogSink, 'droppedLines' | 'isFailing'>): ServedMetrics => {
  let watched: Watched | undefined
  const metrics = createMetrics({
    events: Object.keys(eventLevels) as SecurityEventName[],
    readings: {
      trackedClients: () => watched && trackedClients(watched),
      activeDecisions: () => watched?.monitor.decisions.enforced,
      monitorTracked: () => watched?.monitor.tracked,
      droppedLogLines: () => sink.droppedLines,
      logFailing: () => Number(sink.isFailing),
    },
  })
  return {
    ...metrics,
    watch: (all) => {
      watched = all
      metrics.serves(all.routes)
    },
  }
}

/** The store counts logs, of which a client has up to four; the operator has set clients. Nothing where another program counts. */
const trackedClients = ({ config, limiterStore: { tracked, capacity } }: Watched): number | undefined =>
  tracked === undefined || capacity === undefined ? undefined : Math.ceil((tracked / capacity) * config.limits.maxTrackedClients)

type Outcomes = ReturnType<Metrics['store']['decisions']>

/**
 * The store with a clock around its decisions, each of which is counted for every quota that it was about. Quotas are made once, with the
 * routes, so what is counted for them is looked up by the list itself.
 */
export const measureStore = (store: OpenLimiterStore, { store: { decisions, duration } }: Metrics): OpenLimiterStore => {
  const known = new WeakMap<readonly Quota[], readonly Outcomes[]>()
  const open = (quotas: readonly Quota[]): readonly Outcomes[] => {
    const outcomes = quotas.map(({ scope }) => decisions(policyOf(scope)))
    known.set(quotas, outcomes)
    return outcomes
  }
  const count = (quotas: readonly Quota[], decision: Decision): void => {
    const outcomes = known.get(quotas) ?? open(quotas)
    for (let i = 0; i < outcomes.length; i++) {
      const outcome = outcomes[i] as Outcomes
      if (decision.allowed) outcome.allowed.value++
      // All or nothing: a quota that had room took nothing, because another had none.
      else if (quotas[i]?.windows.some((window) => decision.violated.includes(window))) outcome.refused.value++
    }
  }
  const later = async (quotas: readonly Quota[], deciding: Promise<Decision>, startMs: number): Promise<Decision> => {
    try {
      const decision = await deciding
      count(quotas, decision)
      return decision
    } catch (error) {
      for (const { failed } of known.get(quotas) ?? open(quotas)) failed.value++
      throw error
    } finally {
      duration.observe((performance.now() - startMs) / 1000)
    }
  }
  const consume: LimiterStore['consume'] = (identity, quotas, cost) => {
    const startMs = performance.now()
    const decision = store.consume(identity, quotas, cost)
    if (decision instanceof Promise) return later(quotas, decision, startMs)
    duration.observe((performance.now() - startMs) / 1000)
    count(quotas, decision)
    return decision
  }
  return {
    consume,
    refund: (...args) => store.refund(...args),
    peek: (...args) => store.peek(...args),
    reset: (...args) => store.reset(...args),
    close: () => store.close(),
    ...(store.server === undefined ? {} : { server: store.server }),
    ...(store.warnings === undefined ? {} : { warnings: store.warnings }),
    ...(store.script === undefined ? {} : { script: store.script }),
    // Read at each look.
    get isUp() {
      return store.isUp
    },
    get tracked() {
      return store.tracked
    },
    get capacity() {
      return store.capacity
    },
  }
}

/** Ids of keys stay out: there may be many, and what each does stands in the log. */
const policyOf = (scope: string): string => (scope.startsWith('key ') ? 'key' : scope)

export const countVotes = (repository: VoteRepository, { voted }: Metrics): VoteRepository => ({
  record: async (voter, votes) => {
    const recorded = await repository.record(voter, votes)
    voted(recorded.filter(Boolean).length)
    return recorded
  },
})
