import type { SecurityEvent, SecurityEventName } from '../../core/events.ts'

/** What people are told, whatever tells them. */
export interface Message {
  readonly type: 'filmgate.alert' | 'filmgate.digest'
  /** When it happened; of a digest, when it was closed. ISO 8601. */
  readonly timestamp: string
  /** For people: one line of plain text. */
  readonly text: string
  /** For programs. */
  readonly data: AlertData | DigestData
}

/** The members of the event, named as in the log. */
export type AlertData = Readonly<Record<string, string | number | boolean | null>>

export interface DigestData {
  readonly from: string
  readonly to: string
  readonly total: number
  /** The most frequent first. */
  readonly counts: readonly {
    readonly event: string
    readonly rule: string | null
    readonly observed: boolean
    readonly count: number
  }[]
  /** The first few. */
  readonly examples: readonly AlertData[]
}

export interface Alert {
  /** Epoch milliseconds. */
  readonly at: number
  /** `attack` is what an attacker can bring about as often as he likes: it must not hide the other. */
  readonly lane: 'attack' | 'operation'
  readonly event: string
  readonly rule: string | null
  readonly observed: boolean
  readonly text: string
  readonly data: AlertData
}

/** What is worth a person's attention; undefined for everything else. Nothing is told that the log does not tell. */
export const alertOf = (event: SecurityEvent, at: number): Alert | undefined => {
  const text = textOf(event)
  if (text === undefined) return undefined
  return {
    at,
    lane: event.event === 'decision_created' || event.event === 'authn_login_lock' ? 'attack' : 'operation',
    event: event.event,
    rule: event.event === 'decision_created' ? event.rule : null,
    observed: event.event === 'decision_created' && event.observed === true,
    text: plain(text, 500),
    data: dataOf(event),
  }
}

export const messageOf = ({ at, text, data }: Alert): Message => ({
  type: 'filmgate.alert',
  timestamp: new Date(at).toISOString(),
  text,
  data,
})

const textOf = (event: SecurityEvent): string | undefined => {
  const text = texts[event.event] as ((told: SecurityEvent) => string | undefined) | undefined
  return text?.(event)
}

const texts: { readonly [N in SecurityEventName]?: (event: Extract<SecurityEvent, { event: N }>) => string | undefined } = {
  decision_created: (event) => decisionText(event),
  decision_lifted: ({ decision, by }) => (by === 'monitor' ? undefined : `Decision ${decision} was lifted by ${by}.`),
  abnormal_performance: (event) => performanceText(event),
  authn_token_reuse: ({ subject, session }) =>
    `A refresh token of ${subject} was used a second time: somebody has a copy. Session ${session} has ended.`,
  authn_login_lock: ({ subject, reason }) => `Logins of ${subject} are held back: ${reason}.`,
  privilege_permissions_changed: ({ subject, role, by }) => `The role of ${subject} is ${role} now, by ${by}.`,
  sys_store_failure: ({ store, error }) => `The store ${store} fails: ${error}`,
  sys_store_recovered: ({ store }) => `The store ${store} works again.`,
}

const done = { ban: 'banned', tighten: 'slowed down', require_login: 'asked to log in' } as const

const decisionText = (event: Extract<SecurityEvent, { event: 'decision_created' }>): string => {
  const { type, scope, target, rule, by, until, decision, observed } = event
  const whom = scope === 'client' || scope === 'range' ? target : `${scope} ${target}`
  const what = (done as Readonly<Record<string, string>>)[type] ?? type
  const why = rule === null ? `by ${by}` : `by rule ${rule}`
  if (type === 'tell') return `${whom} was noticed ${why}; nothing is refused. Decision ${decision}.`
  const how = observed === true ? `would have been ${what} (only observed)` : `is ${what}`
  return `${whom} ${how} until ${until} ${why}. Decision ${decision}.`
}

type PerformanceEvent = Extract<SecurityEvent, { event: 'abnormal_performance' }>

const performanceText = (event: PerformanceEvent): string => {
  if (event.reason === 'latency') return `Answers take ${event.value} ms; usual are ${event.usual} ms.`
  if (event.reason === 'error_rate') return `${event.value} % of the answers are errors; usual are ${event.usual} %.`
  if (event.reason === 'traffic') return `${event.value} requests a second come in; usual are ${event.usual}.`
  const { delay, heap, shed } = event as Extract<typeof event, { delay: number }>
  return `There is more to do than can be done: the event loop is ${delay} ms late, the heap ${heap} % full, ${shed} % of the requests are refused.`
}

const dataOf = (event: SecurityEvent): AlertData => {
  const data: Record<string, string | number | boolean | null> = {}
  for (const [name, value] of Object.entries(event)) {
    const told = name === 'requestId' ? 'request_id' : name
    if (typeof value === 'string') data[told] = plain(value, 500)
    else if (typeof value === 'number' || typeof value === 'boolean' || value === null) data[told] = value
  }
  return data
}

/** What chat programs take for commands to themselves (`<!channel>`), what turns the reading direction, and line breaks are not in a word of ours. */
const plain = (text: string, maxLength: number): string => {
  const safe = text.replace(/[\s\p{C}<>&@]+/gu, ' ')
  return safe.length > maxLength ? `${safe.slice(0, maxLength)}…` : safe
}
