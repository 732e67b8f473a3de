import type { FastifyRequest } from 'fastify'

import type { Observe } from '../core/events.ts'
import type { Client } from '../core/request.ts'
import { type AccessRecord, endedRequest, type Log, type Metrics, type Monitor, unparsedRequest } from '../layers/index.ts'

export interface Watching {
  /** What layers tell goes to all who consume events. */
  readonly observe: Observe
  /** So do requests that have ended; what was refused before it became one comes with its client alone. */
  readonly ended: (record: AccessRecord, request?: FastifyRequest, client?: Client) => void
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
    ended: (record, request, client) => {
      log.access(record)
      metrics.ended(record, request)
      if (request !== undefined) monitor?.request(endedRequest(record, request))
      else if (client !== undefined) monitor?.request(unparsedRequest(record, client))
    },
    watch: (opened) => void (monitor = opened),
  }
}
