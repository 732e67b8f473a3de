import type { FastifyRequest } from 'fastify'

import type { SecurityEvent, SecurityEventName } from '../../core/events.ts'
import { contentType, type Family, formatFamily } from './exposition.ts'
import { type Counter, createCounters, createHistograms, createReading, type Histogram, storeBounds } from './families.ts'
import { createProcessMetrics } from './process.ts'
import { createRefusals } from './refusals.ts'
import { type CountedRequest, createRequestDurations, type ServedRoute } from './requests.ts'

/** What others know, asked at each scrape; undefined where it is not known. */
export interface Readings {
  readonly trackedClients: () => number | undefined
  readonly activeDecisions: () => number | undefined
  readonly monitorTracked: () => number | undefined
  readonly droppedLogLines: () => number | undefined
  /** 1 while the log cannot be written. */
  readonly logFailing: () => number | undefined
}

export interface MetricsOptions {
  /** All there are: their series begin at 0. */
  readonly events: readonly SecurityEventName[]
  readonly readings: Readings
}

export interface Metrics {
  /** A request that will end. */
  readonly begun: () => void
  /** Any request that has ended; `request` where it was begun. */
  readonly ended: (record: CountedRequest, request?: FastifyRequest) => void
  readonly event: (event: SecurityEvent) => void
  /** Votes that were recorded. */
  readonly voted: (votes: number) => void
  /** How long the database took; `query` is one of a closed list. */
  readonly queried: (query: string, seconds: number) => void
  /** What became of a try to tell people. */
  readonly alerted: (outcome: 'delivered' | 'failed' | 'lost') => void
  readonly store: StoreMetrics
  /** The routes of the server whose requests are counted. */
  readonly serves: (routes: readonly ServedRoute[]) => void
  /** Everything, in the text format of Prometheus. */
  readonly text: () => Promise<string>
  readonly contentType: string
}

export interface StoreMetrics {
  /** Of decisions about the quotas with this name, which is a configured one. */
  readonly decisions: (policy: string) => Readonly<Record<'allowed' | 'refused' | 'failed', Counter>>
  readonly duration: Histogram
}

/** Counters of this process. Whoever counts does so in numbers of its own; text is made when somebody asks. */
export const createMetrics = ({ events, readings }: MetricsOptions): Metrics => {
  const durations = createRequestDurations()
  const refusals = createRefusals()
  const happened = createEventCounters(events)
  const store = createStoreMetrics()
  const queries = createQueryHistograms()
  const votes = createCounters({ name: 'filmgate_votes_total', help: 'Votes that were recorded, changed ones too.' })
  const voted = votes.of({})
  const alerts = createAlertCounters()
  let active = 0
  let isReloaded = true
  const families: readonly Family[] = [
    durations,
    createReading({ name: 'http_server_active_requests', help: 'Requests that are being answered.', type: 'gauge' }, () => active),
    refusals,
    store.decided,
    store.durations,
    happened.family,
    votes,
    alerts.family,
    queries,
    createReading(reloaded, () => Number(isReloaded)),
    ...readFamilies(readings),
  ]
  const processMetrics = createProcessMetrics()
  let scrape: Promise<string> | undefined
  const write = async (): Promise<string> => {
    try {
      return families.map(formatFamily).join('') + (await processMetrics())
    } finally {
      scrape = undefined
    }
  }
  return {
    begun: () => void active++,
    ended: (record, request) => {
      if (request !== undefined) active--
      durations.count(record)
      if (record.verdict !== 'ok') refusals.count(record.verdict, refusedOf(record, request))
    },
    event: (event) => {
      happened.count(event.event)
      if (event.event === 'sys_config_reload') isReloaded = event.ok
    },
    voted: (count) => void (voted.value += count),
    queried: (query, seconds) => queries.of({ query }).observe(seconds),
    alerted: (outcome) => void alerts.of[outcome].value++,
    store: { decisions: store.decisions, duration: store.durations.of({}) },
    serves: durations.serves,
    // Two scrapes at once are one.
    text: () => (scrape ??= write()),
    contentType,
  }
}

const refusedOf = ({ route, method }: CountedRequest, request: FastifyRequest | undefined) => ({
  route,
  method,
  isParsed: request !== undefined,
  hasBody: request?.bodyBytes !== undefined,
  refusal: request?.refusal,
})

const createEventCounters = (names: readonly SecurityEventName[]) => {
  const family = createCounters({ name: 'filmgate_security_events_total', help: 'Security events, by their name in the log.' })
  const counters = new Map(names.map((event) => [event, family.of({ event })]))
  return {
    family,
    count: (event: SecurityEventName) => {
      const counter = counters.get(event)
      if (counter !== undefined) counter.value++
    },
  }
}

const createAlertCounters = () => {
  const family = createCounters({
    name: 'filmgate_webhook_deliveries_total',
    help: 'Tries to deliver alerts to monitor.webhook_url; lost are messages that are not tried again.',
  })
  const [delivered, failed, lost] = ['delivered', 'failed', 'lost'].map((outcome) => family.of({ outcome })) as [Counter, Counter, Counter]
  return { family, of: { delivered, failed, lost } }
}

const reloaded = {
  name: 'filmgate_config_last_reload_success',
  help: '1 where the configuration or certificate was read well the last time.',
  type: 'gauge',
} as const

const createQueryHistograms = () =>
  createHistograms({
    name: 'filmgate_db_duration_seconds',
    help: 'Time of reads and commits of the database, waiting included; probe is the health check.',
    bounds: storeBounds,
  })

const createStoreMetrics = () => {
  const decided = createCounters({
    name: 'filmgate_limiter_decisions_total',
    help: 'Decisions of the limiter, by the quotas that they were about and how they went.',
  })
  const durations = createHistograms({
    name: 'filmgate_limiter_store_duration_seconds',
    help: 'Time that the store of the limiter took for a decision.',
    bounds: storeBounds,
  })
  return {
    decided,
    durations,
    decisions: (policy: string) => ({
      allowed: decided.of({ policy, outcome: 'allowed' }),
      refused: decided.of({ policy, outcome: 'refused' }),
      failed: decided.of({ policy, outcome: 'failed' }),
    }),
  }
}

const readFamilies = (readings: Readings): Family[] => [
  createReading(
    {
      name: 'filmgate_limiter_tracked_clients',
      help: 'How much of limits.max_tracked_clients is taken in the memory of this process.',
      type: 'gauge',
    },
    readings.trackedClients,
  ),
  createReading(
    { name: 'filmgate_decisions_active', help: 'Decisions of the monitor that are enforced now.', type: 'gauge' },
    readings.activeDecisions,
  ),
  createReading(
    { name: 'filmgate_monitor_tracked', help: 'Buckets of the rules of the monitor that hold something.', type: 'gauge' },
    readings.monitorTracked,
  ),
  createReading(
    { name: 'filmgate_log_dropped_lines_total', help: 'Log lines that nobody took in time, and that are lost.', type: 'counter' },
    readings.droppedLogLines,
  ),
  createReading(
    { name: 'filmgate_log_failing', help: '1 while the log cannot be written: its reader or its disk takes nothing.', type: 'gauge' },
    readings.logFailing,
  ),
]
