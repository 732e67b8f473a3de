import type { DecisionRepository } from '../api/security/decision-repository.ts'
import type { Config } from '../config.ts'
import type { Clock } from '../core/clock.ts'
import type { Observe } from '../core/events.ts'
import type { MasterKey } from '../credentials/master-key.ts'
import type { Database } from '../db/open.ts'
import { createSharedDecisions, type DecisionStore } from '../layers/index.ts'
import { createDecisionStore } from './decision-store.ts'
import type { OpenLimiterStore } from './limiter-store.ts'

export interface DecisionsOptions {
  readonly config: Config
  readonly clock: Clock
  readonly observe: Observe
  readonly database: Pick<Database, 'channel'>
  readonly decisions: DecisionRepository
  readonly masterKey: MasterKey
  /** Where it is Redis, decisions are shared over its connection. */
  readonly limiterStore: Pick<OpenLimiterStore, 'script' | 'isUp'>
}

/** Where decisions live on: in the database, and beside it in Redis where limits do. */
export const openDecisions = (options: DecisionsOptions): DecisionStore => {
  const { config, clock, observe, database, decisions, masterKey, limiterStore } = options
  const { epochMs } = clock
  const { script } = limiterStore
  const shared =
    script &&
    createSharedDecisions({
      script,
      isUp: () => limiterStore.isUp === true,
      secret: masterKey.derive('decisions'),
      observe,
      epochMs,
      timeoutMs: config.limits.storeTimeoutMs,
    })
  return createDecisionStore({ repository: decisions, channel: database.channel, epochMs, shared })
}
