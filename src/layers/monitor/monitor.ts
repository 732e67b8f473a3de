import { randomBytes } from 'node:crypto'

import type { Cidr } from '../../core/address.ts'
import type { Clock } from '../../core/clock.ts'
import type { Observe, SecurityEvent } from '../../core/events.ts'
import { Baseline } from './baseline.ts'
import type { Decision, DecisionScope, DecisionStore, DecisionType, Origin } from './decision.ts'
import type { Decisions } from './decisions.ts'
import { type BucketState, createDetector, type Overflow } from './detector.ts'
import { Journal } from './journal.ts'
import { openKnown } from './known.ts'
import type { Offences } from './offences.ts'
import type { Rule } from './rule.ts'
import type { EndedRequest } from './signal.ts'

export type RuleMode = 'enforce' | 'observe' | 'off'

/** What a reload may change: read at each decision. */
export interface MonitorPolicy {
  readonly mode: 'enforce' | 'observe'
  /** By the name of a rule; the others go by `mode`. */
  readonly rules: Readonly<Record<string, RuleMode>>
  /** Addresses that nothing is ever decided about or enforced on: this machine, trusted proxies, the allow list. A prefix or a CIDR too. */
  readonly isExempt: (addressOrPrefix: string) => boolean
  /** The networks of these addresses, for who must not refuse a wider one that has some of them in it. */
  readonly exempt?: readonly Cidr[]
}

export interface MonitorOptions {
  readonly clock: Clock
  readonly observe: Observe
  readonly rules: readonly Rule[]
  readonly policy: () => MonitorPolicy
  readonly store: DecisionStore
  /** Default 1,000,000. */
  readonly maxTracked?: number
}

/** What a person asks for. */
export interface DecisionOrder {
  readonly scope: DecisionScope
  /** In its canonical spelling. */
  readonly target: string
  readonly type: DecisionType
  readonly reason: string
  readonly by: string
  readonly expiresAt: number
}

export interface Monitor {
  /** Consumes a security event. */
  event(event: SecurityEvent): void
  /** Consumes a request that has ended. */
  request(request: EndedRequest): void
  readonly decisions: Decisions
  readonly journal: Journal
  readonly rules: readonly Rule[]
  modeOf(rule: Rule): RuleMode
  policy(): MonitorPolicy
  /** By hand. In force at once; rejects, and is not, where it cannot be stored. */
  decide(order: DecisionOrder, origin?: Origin): Promise<Decision>
  /** Resolves with false where no such decision is in force. */
  lift(id: string, by: string, origin?: Origin): Promise<boolean>
  bucketsOf(who: string): readonly BucketState[]
  readonly tracked: number
  close(): Promise<void>
}

/** Rules, buckets and decisions put together. Events go in, decisions come out; who enforces them is the plugin. */
export const createMonitor = async (options: MonitorOptions): Promise<Monitor> => {
  const { clock, observe, rules, policy, store, maxTracked = 1_000_000 } = options
  const modeOf = ({ name }: Pick<Rule, 'name'>): RuleMode => modeUnder(policy(), name)
  const isObserved = (rule: string): boolean => modeUnder(policy(), rule) !== 'enforce'
  const { decisions, offences, take, end } = await openKnown(store, clock.epochMs, isObserved)
  const journal = new Journal()
  const onOverflow = (overflow: Overflow): void => {
    const decision = decisionFor(overflow, { modeOf, policy, decisions, offences, epochMs: clock.epochMs, observe })
    if (decision === undefined) return
    take(decision)
    observe(createdEvent(decision, overflow))
    store.save(decision).catch(() => undefined)
  }
  const baseline = new Baseline({ monotonicMs: clock.monotonicMs, observe })
  const detector = createDetector({ rules, clock, maxTracked, isExempt: (who) => policy().isExempt(who), onOverflow })
  return {
    event: (event) => {
      const epochMs = clock.epochMs()
      journal.add(epochMs, event)
      detector.see({ kind: 'event', epochMs, event })
    },
    request: (request) => {
      baseline.request(request.durationMs, request.status, request.verdict)
      if (request.verdict !== 'ok') journal.refused(request)
      detector.see({ kind: 'request', epochMs: request.epochMs, request })
    },
    decisions,
    journal,
    rules,
    modeOf,
    policy,
    decide: async (order, origin = nobodys) => {
      const decision = { ...order, ...byHand(order, offences), id: createDecisionId(), createdAt: clock.epochMs() }
      await store.save(decision, origin)
      take(decision)
      observe(createdEvent(decision, origin))
      return decision
    },
    lift: async (id, by, origin = nobodys) => {
      const isLifted = await store.lift(id, by, origin)
      // Whoever lifted it.
      end(id, by)
      if (isLifted) observe({ event: 'decision_lifted', ...origin, decision: id, by })
      return isLifted
    },
    bucketsOf: (who) => detector.bucketsOf(who),
    get tracked() {
      return detector.tracked
    },
    close: async () => {
      await store.close()
    },
  }
}

const modeUnder = ({ mode, rules }: MonitorPolicy, name: string): RuleMode => {
  const own = rules[name] ?? mode
  return mode === 'observe' && own === 'enforce' ? 'observe' : own
}

const nobodys: Origin = { requestId: null, client: null }

const createDecisionId = (): string => randomBytes(12).toString('base64url')

const byHand = ({ scope, target }: DecisionOrder, offences: Offences) => ({
  rule: null,
  offence: offences.count(scope, target) + 1,
  observed: false,
  evidence: null,
})

interface DecisionParts extends Pick<MonitorOptions, 'policy' | 'observe'> {
  readonly modeOf: Monitor['modeOf']
  readonly decisions: Decisions
  readonly offences: Offences
  readonly epochMs: () => number
}

/** What an overflow leads to: nothing where the rule is off, its target is exempt, or the same was decided already. */
const decisionFor = ({ rule, target, evidence, ...facts }: Overflow, parts: DecisionParts): Decision | undefined => {
  const mode = parts.modeOf(rule)
  const { scope, type, durationMs, maxDurationMs } = rule.decision
  if (mode === 'off' || ((scope === 'client' || scope === 'range') && parts.policy().isExempt(target))) return undefined
  const isObserved = mode === 'observe' || type === 'tell'
  // What was only told of while the rule was observed is no reason to refuse nobody now.
  if (parts.decisions.about(scope, target).some((known) => known.rule === rule.name && (isObserved || !known.observed))) return undefined
  if (rule.tells !== undefined) parts.observe({ event: rule.tells, ...facts, rule: rule.name })
  const createdAt = parts.epochMs()
  const offence = parts.offences.count(scope, target) + 1
  const lastsMs = Math.min(maxDurationMs, durationMs * 2 ** Math.min(offence - 1, 30))
  return {
    id: createDecisionId(),
    scope,
    target,
    type,
    rule: rule.name,
    reason: rule.summary,
    by: 'monitor',
    createdAt,
    expiresAt: createdAt + lastsMs,
    offence,
    observed: isObserved,
    evidence,
  }
}

const createdEvent = (
  { id, type, scope, target, rule, by, expiresAt, observed }: Decision,
  { requestId, client }: Pick<Overflow, 'requestId' | 'client'>,
): SecurityEvent => ({
  event: 'decision_created',
  requestId,
  client,
  decision: id,
  type,
  scope,
  target,
  rule,
  by,
  until: new Date(expiresAt).toISOString(),
  ...(observed ? { observed: true } : {}),
})
