import type { Clock } from '../../core/clock.ts'
import type { Evidence } from './decision.ts'
import type { Rule } from './rule.ts'
import type { Signal } from './signal.ts'

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
  readonly clock: Clock
  /** Buckets that are held at once; see docs/monitor.md for what happens beyond. */
  readonly maxTracked: number
  readonly onOverflow: (overflow: Overflow) => void
}

/** Pours signals into the buckets of the rules. */
export interface Detector {
  see(signal: Signal): void
  /** The buckets of a client prefix, a subject or a credential. */
  bucketsOf(who: string): readonly BucketState[]
  /** Buckets that are held now. */
  readonly tracked: number
}

export const createDetector = ({ rules: _rules }: DetectorOptions): Detector => ({
  see: () => undefined,
  bucketsOf: () => [],
  tracked: 0,
})
