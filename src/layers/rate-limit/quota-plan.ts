import { EventLog, type LogShape } from './event-log.ts'
import type { KeyedHash } from './keyed-hash.ts'
import type { Slabs } from './slabs.ts'
import type { Quota, Window } from './store.ts'
import { nowhere, type Place } from './table.ts'

/** Up to here every event is remembered; above, events of one sixtieth of the window are counted together (62 numbers for any limit). */
const mostExactUnits = 256
const quantaPerWindow = 60

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
  place: Place
}

/** A window, the log that it reads, and what it found there: the oldest entry inside, and the units inside. */
export interface PlannedWindow {
  readonly window: Window
  readonly log: EventLog
  first: number
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
}

interface Scope {
  readonly name: string
  /** All exact windows read one log (key 0), each coarse window one of its own (key: its length). */
  readonly kinds: Map<number, LogKind>
}

/** Turns each quota into a plan once. Scopes come from the configuration, never from a client: they are kept for good. */
export class Planner {
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
    for (const window of quota.windows) assertWindow(quota.scope, window)
    const scope = this.#scope(quota.scope)
    const logs = new Map<LogKind, OpenLog>()
    const windows = quota.windows.map((window): PlannedWindow => {
      const kind = this.#kind(scope, window)
      const log = logs.get(kind) ?? { kind, view: new EventLog(this.#slabs, kind), place: nowhere }
      logs.set(kind, log)
      return { window, log: log.view, first: 0, used: 0 }
    })
    return { logs: [...logs.values()], windows }
  }

  #scope(name: string): Scope {
    let scope = this.#scopes.get(name)
    if (scope === undefined) {
      scope = { name, kinds: new Map() }
      this.#scopes.set(name, scope)
    }
    return scope
  }

  #kind(scope: Scope, { limit, windowMs }: Window): LogKind {
    const exact = limit <= mostExactUnits
    const key = exact ? 0 : windowMs
    let kind = scope.kinds.get(key)
    if (kind === undefined) {
      this.#hash.digest(`${key}:${scope.name}`)
      const { lo: keyLo, hi: keyHi } = this.#hash
      kind = { keyLo, keyHi, quantumMs: exact ? null : windowMs / quantaPerWindow, longestMs: 0, mostUnits: 0 }
      scope.kinds.set(key, kind)
    }
    kind.longestMs = Math.max(kind.longestMs, windowMs)
    kind.mostUnits = Math.max(kind.mostUnits, limit)
    return kind
  }
}

const assertWindow = (scope: string, { name, limit, windowMs }: Window): void => {
  if (Number.isSafeInteger(limit) && limit >= 1 && Number.isFinite(windowMs) && windowMs > 0) return
  throw new RangeError(`window "${name}" of "${scope}" needs a whole limit and a length above 0, not ${limit} in ${windowMs} ms`)
}
