import { parseAddress, parseCidr } from '../../core/address.ts'
import { Problem } from '../../core/errors.ts'
import type { JournalEntry, Monitor, MonitorDecision } from '../../layers/index.ts'
import type { DecisionRepository, StoredDecision } from './decision-repository.ts'
import { findAccount, type Known } from './orders.ts'
import type { Explanation } from './explain-schema.ts'
import { asHeld, shownDecision, shownEvent } from './shown.ts'
import { endsOf, isInRange, readClient, readPrincipal, readRange } from './targets.ts'

export interface ExplainOptions extends Pick<Known, 'accounts'> {
  readonly monitor: Monitor
  readonly decisions: Pick<DecisionRepository, 'find'>
  readonly epochMs: () => number
}

type AnyDecision = MonitorDecision | StoredDecision

/** What was found out about one thing. */
interface Facts {
  readonly about: string
  readonly kind: Explanation['kind']
  readonly decisions: readonly AnyDecision[]
  /** Whose buckets are shown. */
  readonly who: readonly string[]
  readonly events: readonly JournalEntry[]
  /** An address or a CIDR that may be exempt. */
  readonly address?: string | undefined
}

const maxEvents = 50
const maxDecisions = 50

/** What is known of a request, a decision or somebody. Throws not_found where that is nothing. */
export const explain = async (text: string, options: ExplainOptions): Promise<Explanation> => {
  const facts =
    aboutAddress(text, options) ??
    aboutPrincipal(text, options) ??
    (await aboutDecision(text, options)) ??
    (await aboutRequest(text, options))
  return toExplanation(facts ?? (await aboutAccount(text, options)), options)
}

const nothingKnown = new Problem('not_found', {
  detail:
    'Nothing is known of that here: it is no address, credential or account, no decision that is kept, and no request that was refused, or led to a decision, and is still remembered by this instance. The log has every request by its id.',
})

const aboutAddress = (text: string, { monitor: { decisions, journal } }: ExplainOptions): Facts | undefined => {
  if (parseAddress(text) === undefined && parseCidr(text) === undefined) return undefined
  const [client, range] = [readClient(text), readRange(text)]
  if (typeof client !== 'string') {
    const { target } = client
    const ranges = decisions.all().filter((one) => one.scope === 'range' && isInRange(target, one.target))
    const events = journal.recent(({ client: from, entry }) => from === target || isAbout(entry, target), maxEvents)
    return {
      about: target,
      kind: 'client',
      decisions: [...decisions.about('client', target), ...ranges],
      who: [target],
      events,
      address: target,
    }
  }
  if (typeof range === 'string') return undefined
  const { target } = range
  const inside = decisions
    .all()
    .filter((one) => (one.scope === 'client' && isInRange(one.target, target)) || (one.scope === 'range' && one.target === target))
  const events = journal.recent(({ client: from, entry }) => isInRange(from ?? '', target) || isAbout(entry, target), maxEvents)
  return { about: target, kind: 'range', decisions: inside, who: [target], events, address: target }
}

const aboutPrincipal = (text: string, { monitor: { decisions, journal } }: ExplainOptions): Facts | undefined => {
  const principal = readPrincipal(text)
  if (typeof principal === 'string') return undefined
  const events = journal.recent(({ entry }) => isAbout(entry, text), maxEvents)
  return { about: text, kind: 'principal', decisions: decisions.about('principal', text), who: [text], events }
}

const aboutDecision = async (text: string, { monitor, decisions }: ExplainOptions): Promise<Facts | undefined> => {
  if (!/^[\w-]{16}$/.test(text)) return undefined
  const decision = (await decisions.find(text)) ?? monitor.decisions.get(text)
  if (decision === undefined) return undefined
  const { target, scope } = decision
  const address = scope === 'client' || scope === 'range' ? target : undefined
  const events = monitor.journal.recent(({ entry }) => 'decision' in entry && entry.decision === text, maxEvents)
  return { about: text, kind: 'decision', decisions: [decision], who: [target], events, address }
}

/** What refused it, what it led to, and whatever else is in force about who sent it: the next request meets that. */
const aboutRequest = async (text: string, { monitor, decisions: stored }: ExplainOptions): Promise<Facts | undefined> => {
  const { decisions, journal } = monitor
  const events = journal.ofRequest(text).toReversed()
  // One that went well is in no journal: a rule may have counted it all the same, as a vote for example.
  const ledTo = decisions.all().filter(({ evidence }) => evidence?.signals.some(({ requestId }) => requestId === text) === true)
  const signal = ledTo[0]?.evidence?.signals.find(({ requestId }) => requestId === text)
  if (events.length === 0 && signal === undefined) return undefined
  const client = events[0]?.client ?? signal?.client ?? undefined
  const ids = new Set(events.flatMap(({ entry }) => ('decision' in entry ? entry.decision : [])))
  // What refused it may be over, or lifted, by now.
  const named = await Promise.all([...ids].map(async (id) => decisions.get(id) ?? (await stored.find(id))))
  const others = [...ledTo, ...(client === undefined ? [] : decisions.about('client', client))].filter(({ id }) => !ids.has(id))
  return {
    about: text,
    kind: 'request',
    decisions: [...named.filter((decision) => decision !== undefined), ...new Map(others.map((one) => [one.id, one])).values()],
    who: client === undefined ? [] : [client],
    events,
    address: client,
  }
}

const aboutAccount = async (text: string, options: ExplainOptions): Promise<Facts> => {
  const account = await findAccount(text, options)
  if (account === undefined) throw nothingKnown
  const { decisions, journal } = options.monitor
  const { target } = account
  const events = journal.recent(({ entry }) => isAbout(entry, target), maxEvents)
  return { about: target, kind: 'account', decisions: decisions.about('account', target), who: [target], events }
}

/** Members of events that say whom they are about. */
const isAbout = (entry: JournalEntry['entry'], who: string): boolean =>
  ('subject' in entry && entry.subject === who) ||
  ('credential' in entry && entry.credential === who) ||
  ('target' in entry && entry.target === who) ||
  ('session' in entry && who === `session:${entry.session}`)

const strength = { ban: 3, tighten: 2, require_login: 1, tell: 0 } as const

/** In memory decisions have no evidence after a restart: the repository has it. */
const toExplanation = async ({ about, kind, decisions, who, events, address }: Facts, options: ExplainOptions): Promise<Explanation> => {
  const { monitor, epochMs } = options
  const strongest = decisions.toSorted((a, b) => strength[b.type] - strength[a.type] || b.expiresAt - a.expiresAt).slice(0, maxDecisions)
  const whole = await Promise.all(
    strongest.map(async (one) => (one.evidence === null && one.rule !== null ? options.decisions.find(one.id) : one) ?? one),
  )
  const { isExempt } = monitor.policy()
  const ends = address === undefined ? [] : (endsOf(address) ?? [address])
  return {
    about,
    kind,
    exempt: ends.length > 0 && ends.every((end) => isExempt(end)),
    decisions: whole.map((one, i) => shownDecision(asHeld(one ?? (strongest[i] as AnyDecision), monitor), epochMs())),
    buckets: who.flatMap((one) => monitor.bucketsOf(one)).map(({ rule, group, level, capacity }) => ({ rule, group, level, capacity })),
    events: events.map(shownEvent),
  }
}
