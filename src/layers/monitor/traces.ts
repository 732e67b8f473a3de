import type { CompiledRule } from './compile.ts'
import { type EvidenceSignal, maxEvidence } from './decision.ts'
import type { Key } from './keys.ts'
import { Newest } from './newest.ts'

/** What filled a bucket, and whose it is: kept for few buckets, for it takes a hundred times the room of the bucket itself. */
export interface Trace {
  readonly rule: CompiledRule
  readonly key: Key
  /** A value for each aspect of the rule, as operators may see it. */
  readonly group: readonly string[]
  /** The newest, oldest first. */
  readonly signals: EvidenceSignal[]
  /** In ticks: when the bucket has run out, as far as it is known here. */
  emptyAt: number
}

/** Few, so that under a flood of newcomers what is held for them dies young: what lives longer costs the garbage collector much more. */
const maxFresh = 512
/** About 3 KB each where they are full. */
const maxLasting = 4000

/**
 * Two lists, each of which forgets what was not touched for the longest. Whoever is new is in the first, so a flood of newcomers pushes out only
 * newcomers; a bucket that is half full is in the second.
 */
export class Traces {
  readonly #fresh = new Newest<number, Trace>(maxFresh)
  readonly #lasting = new Newest<number, Trace>(maxLasting)

  /** `group` is asked for only where the bucket is new here. */
  note(rule: CompiledRule, key: Key, signal: EvidenceSignal, { now, emptyAt, isHalfFull, group }: PouredFacts): void {
    const id = idOf(key)
    const known = this.#live(id, now)
    const trace = known ?? { rule, key, group: group(), signals: [], emptyAt }
    trace.emptyAt = emptyAt
    trace.signals.push(signal)
    if (trace.signals.length > maxEvidence) trace.signals.shift()
    if (isHalfFull) this.#fresh.delete(id)
    else this.#lasting.delete(id)
    const traces = isHalfFull ? this.#lasting : this.#fresh
    traces.put(id, trace)
  }

  /** Ends the trace. */
  take(key: Key, now: number): readonly EvidenceSignal[] {
    const id = idOf(key)
    const signals = this.#live(id, now)?.signals ?? []
    if (!this.#lasting.delete(id)) this.#fresh.delete(id)
    return signals
  }

  with(value: string): readonly Trace[] {
    return [...this.#lasting.values(), ...this.#fresh.values()].filter(({ group }) => group.includes(value))
  }

  /** What filled the bucket before it ran out is not what fills it now. */
  #live(id: number, now: number): Trace | undefined {
    const trace = this.#lasting.get(id) ?? this.#fresh.get(id)
    return trace !== undefined && trace.emptyAt > now ? trace : undefined
  }
}

export interface PouredFacts {
  readonly now: number
  readonly emptyAt: number
  readonly isHalfFull: boolean
  readonly group: () => readonly string[]
}

/** 53 of the 64 bits: enough for a few thousand. */
const idOf = ({ lo, hi }: Key): number => (hi & 0x1fffff) * 2 ** 32 + (lo >>> 0)
