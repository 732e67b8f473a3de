import type { FastifyRequest } from 'fastify'

import type { Observe } from '../core/events.ts'
import { type AccessRecord, endedRequest, type Log, type Metrics, type Monitor } from '../layers/index.ts'

export interface Watching {
  /** What layers tell goes to all who consume events. */
  readonly observe: Observe
  /** So do requests that have ended. */
  readonly ended: (record: AccessRecord, request?: FastifyRequest) => void
  /** From here on the monitor hears of everything, too. */
  readonly watch: (monitor: Monitor) => void
}

/** The one place where events and requests are handed out: to the log first, for what comes behind may fail. */
export const createWatching = (log: Log, metrics: Metrics, alert: Observe): Watching => {
  let monitor: Monitor | undefined
  return {
    observe: (event) => {
      log.event(event)
      metrics.event(event)
      monitor?.event(event)
      alert(event)
    },
    ended: (record, request) => {
      log.access(record)
      metrics.ended(record, request)
      if (request !== undefined) monitor?.request(endedRequest(record, request))
    },
    watch: (opened) => void (monitor = opened),
  }
}
