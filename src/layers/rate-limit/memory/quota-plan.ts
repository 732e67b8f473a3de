import { EventLog, type LogShape } from './event-log.ts'
import type { KeyedHash } from '../../../core/keyed-hash.ts'
import type { Slabs } from './slabs.ts'
import type { Quota, Window } from '../store.ts'
import { nowhere, type Place } from './table.ts'

/** Up to here every event is remembered; above, events of one sixtieth of the window are counted together (62 numbers for any limit). */
const mostExactUnits = 256
const quantaPerWindow = 60
/** What seven bits hold. */
const mostTags = 127

/** One log of every client: its shape and its part of the key. Shared by all quotas of a scope, so it covers the widest of them. */
export interface LogKind extends LogShape {
  readonly keyLo: number
  readonly keyHi: number
  longestMs: number
  mostUnits: number
}

/** The log of one client while a decision is made about it. */
export interface OpenLog {
  readonly kind: LogKind
  readonly view: EventLog
  /** Counts for the wider prefix. */
  readonly isWider: boolean
  /** Which set of logs it is kept in; 0 for a rate, which is kept alone. */
  tag: number
  place: Place
}

/** A window, the log that it reads, and what it found there: the oldest entry inside, and the units inside. */
export interface PlannedWindow {
  readonly window: Window
  readonly log: EventLog
  /** Of a rate: milliseconds for a unit, and how far the arrival time may lie ahead without and with delay. 0 where the window is no rate. */
  readonly intervalMs: number
  readonly burstMs: number
  readonly aheadMs: number
  first: number
  /** Units inside; of a rate the milliseconds that its arrival time lies ahead. */
  used: number
}

/**
 * How a quota is decided. It is also the working memory of the decision, so that a decision makes no garbage: `consume` is synchronous,
 * two decisions never overlap.
 */
export interface Plan {
  readonly logs: readonly OpenLog[]
  /** In the order of the quota. */
  readonly windows: readonly PlannedWindow[]
  readonly scope: Scope
}

/**
 * The limits of a scope change with a reload: 200 in a day are remembered one by one, 300 are not. Each set of logs that was ever kept has
 * a tag, which the records bear, so that what was counted by other limits is known and turned into the logs of these.
 */
export interface Scope {
  readonly name: string
  /** All exact windows read one log, each coarse window and each rate one of its own. */
  readonly kinds: Map<string, LogKind>
  readonly tags: Map<string, number>
  /** The logs of each tag. */
  readonly sets: (readonly LogKind[])[]
  /** A view for each log but those of rates, and another for those that it was counted in together with others. */
  readonly readers: OpenLog[]
  readonly sharedReaders: OpenLog[]
}

/** Turns each quota into a plan once. Scopes come from the configuration, never from a client: they are kept for good. */
export class Planner {
  /** Every kind of log that any client can have. */
  readonly kinds: LogKind[] = []
  readonly #plans = new WeakMap<Quota, Plan>()
  readonly #scopes = new Map<string, Scope>()
  readonly #slabs: Slabs
  readonly #hash: KeyedHash

  constructor(slabs: Slabs, hash: KeyedHash) {
    this.#slabs = slabs
    this.#hash = hash
  }

  /** Throws a RangeError for a window that means nothing. */
  plan(quota: Quota): Plan {
    let plan = this.#plans.get(quota)
    if (plan === undefined) {
      plan = this.#build(quota)
      this.#plans.set(quota, plan)
    }
    return plan
  }

  #build(quota: Quota): Plan {
    const scope = this.#scope(quota.scope)
    const isWider = quota.of === 'wider'
    const logs = new Map<LogKind, OpenLog>()
    const windows = quota.windows.map((window): PlannedWindow => {
      const kind = this.#kind(scope, window)
      if (kind.isRate && logs.has(kind)) throw new RangeError(`two rates of "${quota.scope}" have the same period`)
      const log = logs.get(kind) ?? this.#openLog(kind, isWider)
      logs.set(kind, log)
      return { window, log: log.view, ...rateOf(window), first: 0, used: 0 }
    })
    const tag = tagOf(scope, quota.windows, logs.keys())
    for (const log of logs.values()) if (!log.kind.isRate) log.tag = tag
    return { logs: [...logs.values()], windows, scope }
  }

  #openLog(kind: LogKind, isWider: boolean): OpenLog {
    return { kind, view: new EventLog(this.#slabs, kind), isWider, tag: 0, place: nowhere }
  }

  #scope(name: string): Scope {
    let scope = this.#scopes.get(name)
    if (scope === undefined) {
      scope = { name, kinds: new Map(), tags: new Map(), sets: [], readers: [], sharedReaders: [] }
      this.#scopes.set(name, scope)
    }
    return scope
  }

  #kind(scope: Scope, { limit, windowMs, burst, maxDelayMs = 0 }: Window): LogKind {
    const isRate = burst !== undefined
    const exact = isRate || limit <= mostExactUnits
    const key = isRate ? `r${windowMs}` : exact ? '0' : String(windowMs)
    let kind = scope.kinds.get(key)
    if (kind === undefined) {
      this.#hash.digest(`${key}:${scope.name}`)
      const { lo: keyLo, hi: keyHi } = this.#hash
      kind = { isRate, keyLo, keyHi, quantumMs: exact ? null : windowMs / quantaPerWindow, longestMs: 0, mostUnits: 0 }
      scope.kinds.set(key, kind)
      this.kinds.push(kind)
      if (!isRate) {
        scope.readers.push(this.#openLog(kind, false))
        scope.sharedReaders.push(this.#openLog(kind, false))
      }
    }
    kind.longestMs = Math.max(kind.longestMs, isRate ? (burst * windowMs) / limit + maxDelayMs : windowMs)
    kind.mostUnits = Math.max(kind.mostUnits, isRate ? 1 : limit)
    return kind
  }
}

/** Of these logs: which they are, and how long the exact one remembers if another remembers more. */
const tagOf = (scope: Scope, windows: readonly Window[], kinds: Iterable<LogKind>): number => {
  const kept = [...kinds].filter(({ isRate }) => !isRate)
  const exactMs = Math.max(0, ...windows.filter((window) => isExact(window)).map(({ windowMs }) => windowMs))
  const lengths = kept.map(({ quantumMs }) => String(quantumMs ?? (kept.length > 1 ? `exact ${exactMs}` : 'exact')))
  const name = lengths.toSorted().join()
  const known = scope.tags.get(name)
  if (known !== undefined) return known
  const tag = (scope.tags.size % mostTags) + 1
  scope.tags.set(name, tag)
  scope.sets[tag] = kept
  // Limits that are lowered and raised again must find all that was counted meanwhile.
  if (scope.tags.size > 1) for (const { kind } of scope.readers) if (kind.quantumMs === null) kind.mostUnits = mostExactUnits
  return tag
}

const isExact = ({ limit, burst }: Window): boolean => burst === undefined && limit <= mostExactUnits

const noRate = { intervalMs: 0, burstMs: 0, aheadMs: 0 }

const rateOf = ({ limit, windowMs, burst, maxDelayMs = 0 }: Window): typeof noRate => {
  if (burst === undefined) return noRate
  const intervalMs = windowMs / limit
  return { intervalMs, burstMs: burst * intervalMs, aheadMs: burst * intervalMs + maxDelayMs }
}
