import type { Evidence, JournalEntry, Monitor, MonitorDecision } from '../../layers/index.ts'
import { formatNullable, formatTimestamp } from '../timestamp.ts'
import type { StoredDecision } from './decision-repository.ts'
import type { Event } from './event-schema.ts'
import type { Decision, ListedDecision } from './schema.ts'

/** An entry of the journal as people and programs see it: the names are those of the log. */
export const shownEvent = ({ seq, at, client, requestId, entry }: JournalEntry): Event => {
  const { event, requestId: _request, client: _client, ...details } = entry as { event: string; requestId?: unknown; client?: unknown }
  return { seq, at: formatTimestamp(at), event, request_id: requestId, client, details }
}

/** With `observed` as it is now: the store knows how it was made, and a rule may have another mode since. */
export const asHeld = <D extends MonitorDecision | StoredDecision>(decision: D, { decisions }: Pick<Monitor, 'decisions'>): D => ({
  ...decision,
  observed: decisions.get(decision.id)?.observed ?? decision.observed,
})

export const listedDecision = (decision: MonitorDecision | StoredDecision, nowMs: number): ListedDecision => {
  const { id, scope, target, type, rule, reason, by, createdAt, expiresAt, offence, observed } = decision
  const { liftedAt, liftedBy } = 'liftedAt' in decision ? decision : { liftedAt: null, liftedBy: null }
  return {
    id,
    scope,
    target,
    type,
    rule,
    reason,
    by,
    created_at: formatTimestamp(createdAt),
    expires_at: formatTimestamp(expiresAt),
    offence,
    observed,
    active: liftedAt === null && expiresAt > nowMs,
    lifted_at: formatNullable(liftedAt),
    lifted_by: liftedBy,
  }
}

export const shownDecision = (decision: MonitorDecision | StoredDecision, nowMs: number): Decision => ({
  ...listedDecision(decision, nowMs),
  evidence: decision.evidence === null ? null : shownEvidence(decision.evidence),
})

const shownEvidence = ({ bucket, signals }: Evidence): NonNullable<Decision['evidence']> => ({
  bucket: { capacity: bucket.capacity, leak_per_second: bucket.leakPerSecond, level: bucket.level },
  signals: signals.map(({ at, requestId, name, client, method, route, status, about }) => ({
    at: formatTimestamp(at),
    request_id: requestId,
    name,
    client,
    method,
    route,
    status,
    about,
  })),
})
