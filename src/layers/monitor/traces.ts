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
  note(rule: CompiledRule, key: Key, signal: EvidenceSignal, { wasEmpty, isHalfFull, group }: PouredFacts): void {
    const id = idOf(key)
    const known = wasEmpty ? undefined : (this.#lasting.get(id) ?? this.#fresh.get(id))
    const trace = known ?? { rule, key, group: group(), signals: [] }
    trace.signals.push(signal)
    if (trace.signals.length > maxEvidence) trace.signals.shift()
    if (isHalfFull) this.#fresh.delete(id)
    else this.#lasting.delete(id)
    const traces = isHalfFull ? this.#lasting : this.#fresh
    traces.put(id, trace)
  }

  /** Ends the trace. */
  take(key: Key): readonly EvidenceSignal[] {
    const id = idOf(key)
    const signals = (this.#lasting.get(id) ?? this.#fresh.get(id))?.signals ?? []
    this.#forget(id)
    return signals
  }

  with(value: string): readonly Trace[] {
    return [...this.#lasting.values(), ...this.#fresh.values()].filter(({ group }) => group.includes(value))
  }

  #forget(id: number): void {
    if (!this.#lasting.delete(id)) this.#fresh.delete(id)
  }
}

export interface PouredFacts {
  readonly wasEmpty: boolean
  readonly isHalfFull: boolean
  readonly group: () => readonly string[]
}

/** 53 of the 64 bits: enough for a few thousand. */
const idOf = ({ lo, hi }: Key): number => (hi & 0x1fffff) * 2 ** 32 + (lo >>> 0)
