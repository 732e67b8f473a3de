import type { Clock } from '../../core/clock.ts'
import { clientOf, networkOf, targetOf, valuesOf } from './aspects.ts'
import { Buckets } from './buckets.ts'
import { classify } from './classify.ts'
import {
  type CompiledRule,
  compileRules,
  type CompiledRules,
  type EventTest,
  fitsRequest,
  type RequestTest,
  ticksPerMs,
  type Watch,
} from './compile.ts'
import { type Evidence, type EvidenceSignal, maxEvidence } from './decision.ts'
import { evidenceOf } from './evidence.ts'
import { type Key, Keys } from './keys.ts'
import type { Aspect, Rule, Tag } from './rule.ts'
import type { Signal } from './signal.ts'
import { Traces } from './traces.ts'

/** A rule's bucket ran over. */
export interface Overflow {
  readonly rule: Rule
  /** What the rule's scope is about: a prefix, a CIDR, a credential, a subject. */
  readonly target: string
  readonly evidence: Evidence
  readonly requestId: string | null
  readonly client: string | null
}

/** A bucket that is not empty. */
export interface BucketState {
  readonly rule: string
  readonly group: string
  readonly level: number
  readonly capacity: number
}

export interface DetectorOptions {
  readonly rules: readonly Rule[]
  readonly clock: Pick<Clock, 'monotonicMs'>
  /** Buckets that are held at once; see docs/monitor.md for what happens beyond. */
  readonly maxTracked: number
  /** Whose signals pour nothing. Asked only where one would. */
  readonly isExempt: (addressOrPrefix: string) => boolean
  readonly onOverflow: (overflow: Overflow) => void
}

/** Pours signals into the buckets of the rules. */
export interface Detector {
  see(signal: Signal): void
  /** The buckets of a client prefix, a network, a subject or a credential. */
  bucketsOf(who: string): readonly BucketState[]
  /** Buckets that are held now. */
  readonly tracked: number
  /** How often a newcomer was counted together with its network, because there was no room. */
  readonly shared: number
}

/** Throws a RangeError for a rule that means nothing. */
export const createDetector = (options: DetectorOptions): Detector => new BucketDetector(options)

/** What is known of the signal at hand, found out once and only where a rule asks. */
interface Look {
  readonly signal: Signal
  readonly now: number
  readonly client: string | null
  isExempt?: boolean
}

/** Ours, or canonical. What a client chose to send is told from others by its digest, never shown. */
const shownAspects: ReadonlySet<Aspect> = new Set(['client', 'network', 'account', 'principal', 'route'])
/** By these somebody can be named. */
const namingAspects: ReadonlySet<Aspect> = new Set(['client', 'network', 'account', 'principal'])

class BucketDetector implements Detector {
  readonly #options: DetectorOptions
  readonly #rules: CompiledRules
  readonly #keys = new Keys()
  readonly #buckets: Buckets
  readonly #traces = new Traces()
  #now = 0

  constructor(options: DetectorOptions) {
    this.#options = options
    this.#rules = compileRules(options.rules)
    this.#buckets = new Buckets(options.maxTracked, this.#keys)
  }

  get tracked(): number {
    return this.#buckets.tracked
  }

  get shared(): number {
    return this.#buckets.shared
  }

  see(signal: Signal): void {
    if (signal.kind === 'event') {
      const watches = this.#rules.ofEvent(signal.event.event)
      if (watches !== undefined) this.#event(signal, watches)
      return
    }
    const { request } = signal
    const { untagged, tagged } = this.#rules.ofRoute(request.method, request.route).of(request)
    // Who is refused by a decision would prolong it with each try, or have the next one at once.
    if (untagged.length + tagged.length === 0 || request.verdict === 'abnormal_usage_detected') return
    const tags = tagged.length === 0 ? undefined : classify(request)
    const watches = tags === undefined || tags.size === 0 ? untagged : [...untagged, ...tagged]
    if (watches.length > 0) this.#request(signal, watches, tags)
  }

  bucketsOf(who: string): readonly BucketState[] {
    const now = this.#monotonic()
    const found = new Map<string, BucketState>()
    const add = (compiled: CompiledRule, key: Key, group: string): void => {
      const level = this.#buckets.level(compiled, key, now)
      const { name, bucket } = compiled.rule
      if (level > 0) found.set(`${name} ${group}`, { rule: name, group, level, capacity: bucket.capacity })
    }
    const network = networkOf(who)
    for (const compiled of this.#rules.rules) {
      const [aspect, ...others] = compiled.groupBy
      if (aspect === undefined || others.length > 0 || !namingAspects.has(aspect)) continue
      const value = aspect === 'network' ? (network ?? who) : who
      add(compiled, this.#keys.ofGroup(compiled, [value]), value)
    }
    for (const { rule, key, group } of this.#traces.with(who)) add(rule, key, group.join(' '))
    return [...found.values()]
  }

  #event(signal: Extract<Signal, { kind: 'event' }>, watches: readonly Watch<EventTest>[]): void {
    const look: Look = { signal, now: this.#monotonic(), client: clientOf(signal) }
    const { event } = signal
    for (const { rule, pours, completes } of watches) {
      if (completes.some((fits) => fits(event)) && this.#complete(rule, look)) continue
      if (pours.some((fits) => fits(event))) this.#pour(rule, look, undefined)
    }
  }

  #request(
    signal: Extract<Signal, { kind: 'request' }>,
    watches: readonly Watch<RequestTest>[],
    known: ReadonlySet<Tag> | undefined,
  ): void {
    const { request } = signal
    let look: Look | undefined
    let tags = known
    const tagsOf = (): ReadonlySet<Tag> => (tags ??= classify(request))
    const fit = (tests: readonly RequestTest[]): Tag | true | undefined => {
      for (const test of tests) {
        const found = fitsRequest(test, request, tagsOf)
        if (found !== undefined) return found
      }
      return undefined
    }
    for (const { rule, pours, completes } of watches) {
      const completing = completes.length === 0 ? undefined : fit(completes)
      const pouring = pours.length === 0 ? undefined : fit(pours)
      if (completing === undefined && pouring === undefined) continue
      look ??= { signal, now: this.#monotonic(), client: clientOf(signal) }
      if (completing !== undefined && this.#complete(rule, look)) continue
      if (pouring !== undefined) this.#pour(rule, look, pouring === true ? undefined : pouring)
    }
  }

  #pour(compiled: CompiledRule, look: Look, tag: Tag | undefined): void {
    for (const group of groupsOf(compiled.groupBy, look.signal)) {
      if (this.#isExempt(look)) return
      const key = this.#keys.ofGroup(compiled, group)
      if (compiled.distinct === undefined) this.#pourOne(compiled, key, group, { look, tag })
      else {
        for (const value of valuesOf(compiled.distinct, look.signal)) {
          const isNew = this.#buckets.isNew(compiled, this.#keys.ofValue(key, compiled.distinct, value), look.now)
          if (isNew) this.#pourOne(compiled, key, group, { look, tag })
        }
      }
    }
  }

  #pourOne(compiled: CompiledRule, asked: Key, group: readonly string[], { look, tag }: { look: Look; tag: Tag | undefined }): void {
    const poured = this.#buckets.pour(compiled, asked, look.client, look.now)
    if (poured === undefined) return
    const { key, level, emptyAt, isOver } = poured
    const { now, signal } = look
    if (isOver && !compiled.isCompleted) {
      const evidence = [...this.#traces.take(key, now), evidenceOf(signal, tag)]
      this.#overflow(compiled, look, { level, signals: evidence })
      return
    }
    const { capacity } = compiled.rule.bucket
    // What comes before the last twenty would be forgotten by the time that they overflow it.
    if (level + maxEvidence * compiled.cost <= capacity) return
    const facts = { now, emptyAt, isHalfFull: 2 * level >= capacity, group: () => shown(compiled, key, group) }
    this.#traces.note(compiled, key, evidenceOf(signal, tag), facts)
  }

  /** Whether the signal was what a full bucket waited for. */
  #complete(compiled: CompiledRule, look: Look): boolean {
    for (const group of groupsOf(compiled.groupBy, look.signal)) {
      const key = this.#keys.ofGroup(compiled, group)
      if (!this.#buckets.isFull(compiled, key, look.now) || this.#isExempt(look)) continue
      const level = this.#buckets.level(compiled, key, look.now)
      this.#buckets.empty(key)
      this.#overflow(compiled, look, { level, signals: [...this.#traces.take(key, look.now), evidenceOf(look.signal, undefined)] })
      return true
    }
    return false
  }

  #overflow({ rule }: CompiledRule, { signal, client }: Look, filled: { level: number; signals: readonly EvidenceSignal[] }): void {
    const target = targetOf(rule.decision.scope, signal)
    if (target === undefined) return
    const { requestId } = signal.kind === 'request' ? signal.request : { requestId: null, ...signal.event }
    const { capacity, leakPerSecond } = rule.bucket
    this.#options.onOverflow({
      rule,
      target,
      evidence: { bucket: { capacity, leakPerSecond, level: filled.level }, signals: filled.signals.slice(-maxEvidence) },
      requestId,
      client,
    })
  }

  /** By address where it is known: the allow list may name one host of a prefix. */
  #isExempt(look: Look): boolean {
    const { signal, client } = look
    const who = signal.kind === 'request' ? signal.request.client.address : client
    return (look.isExempt ??= who !== null && this.#options.isExempt(who))
  }

  /** In ticks. A clock that went back would fill buckets again that had run out, so here it stands still instead. */
  #monotonic(): number {
    return (this.#now = Math.max(this.#now, Math.floor(this.#options.clock.monotonicMs() * ticksPerMs)))
  }
}

/** One value for each aspect; several groups where the signal has several values of one, none where it lacks one. */
const groupsOf = (aspects: readonly Aspect[], signal: Signal): readonly (readonly string[])[] => {
  const [first, ...others] = aspects
  const values = first === undefined ? [] : valuesOf(first, signal)
  if (values.length === 0) return []
  // The usual case.
  if (others.length === 0 && values.length === 1) return [values]
  let groups = values.map((value): readonly string[] => [value])
  for (const aspect of others) {
    const more = valuesOf(aspect, signal)
    groups = groups.flatMap((group) => more.map((value) => [...group, value]))
  }
  return groups
}

/** What a client sent is shown as the digest that it is told from others by. */
const shown = ({ groupBy }: CompiledRule, { hi }: Key, group: readonly string[]): readonly string[] =>
  group.map((value, i) => (shownAspects.has(groupBy[i]!) ? value : `${groupBy[i]} #${(hi >>> 0).toString(16).padStart(8, '0')}`))
