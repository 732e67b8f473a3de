import type { SecurityEvent } from '../../core/events.ts'
import type { EvidenceSignal } from './decision.ts'
import type { Tag } from './rule.ts'
import type { Signal } from './signal.ts'

/** A signal as operators see it: what the server decided about it, and nothing that a client sent. */
export const evidenceOf = (signal: Signal, tag: Tag | undefined): EvidenceSignal => {
  const at = signal.epochMs
  if (signal.kind === 'event') {
    const { event, requestId = null, client = null }: EventFacts = signal.event
    return { at, requestId, name: event, client, method: null, route: null, status: null, about: aboutOf(signal.event) }
  }
  const { requestId, client, method, route, status, verdict } = signal.request
  return { at, requestId, name: 'request', client: client.prefix, method, route, status, about: tag ?? (verdict === 'ok' ? null : verdict) }
}

interface EventFacts {
  readonly event: string
  readonly requestId?: string | null
  readonly client?: string | null
}

/** Members with values of ours. */
const telling = ['reason', 'code', 'policy', 'permission', 'limit'] as const

const aboutOf = (event: SecurityEvent): string | null => {
  const members = event as unknown as Readonly<Record<string, unknown>>
  for (const name of telling) if (typeof members[name] === 'string') return members[name]
  return null
}
