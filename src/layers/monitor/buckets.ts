import { networkOf } from './aspects.ts'
import type { CompiledRule } from './compile.ts'
import type { Key, Keys } from './keys.ts'
import { Times } from './times.ts'

/** Slots that each newcomer looks at for a bucket that has run out: at this rate they are gone before the table is full of them. */
const sweptEach = 4
/** Where there is no room a newcomer looks a little further, and no more: under a flood each one would. */
const sweptWhenFull = 64
const minShared = 16

export interface Level {
  /** Whose bucket it is now: with no room it is another one than was asked for. */
  readonly key: Key
  readonly emptyAt: number
  /** In signals, the one that was poured included. */
  readonly level: number
  readonly isOver: boolean
}

/**
 * Leaky buckets as one number each, the time at which a bucket is empty again (the generic cell rate algorithm, ITU-T I.371, is the same idea):
 * so its level cannot be negative, and an empty bucket is one whose time has passed. Times are monotonic, in ticks.
 *
 * Bounded: `capacity` buckets of their own, a sixteenth of it that newcomers of one network share where there is no room, and twice as many
 * distinct values. A bucket that is not empty is never dropped for another.
 */
export class Buckets {
  /** How often a newcomer was counted together with its network: above 0, there are too few buckets or there is a flood. */
  shared = 0
  /** How often not even that was possible. */
  dropped = 0
  readonly #keys: Keys
  readonly #own: Times
  readonly #shared: Times
  readonly #values: Times

  constructor(capacity: number, keys: Keys) {
    this.#keys = keys
    this.#own = new Times(capacity)
    this.#shared = new Times(Math.max(minShared, Math.ceil(capacity / 16)))
    this.#values = new Times(2 * capacity)
  }

  get tracked(): number {
    return this.#own.size + this.#shared.size
  }

  /** In signals; 0 for a bucket that is not held. */
  level({ costTicks, cost }: CompiledRule, { lo, hi }: Key, now: number): number {
    return (Math.max(0, this.#own.get(lo, hi) - now) / costTicks) * cost
  }

  /**
   * Whether another signal would overflow it. The bucket itself is asked only: what strangers filled together completes nobody's attack.
   */
  isFull(rule: CompiledRule, { lo, hi }: Key, now: number): boolean {
    return this.#own.get(lo, hi) - now + rule.costTicks > rule.capacityTicks
  }

  /** False for a value that the bucket has seen within the time in which it runs out. */
  isNew(rule: CompiledRule, { lo, hi }: Key, now: number): boolean {
    if (this.#values.get(lo, hi) > now) return false
    this.#values.sweep(now, sweptEach)
    // Where there is no room the value counts whenever it comes.
    this.#put(this.#values, { lo, hi }, now + rule.capacityTicks + rule.costTicks, now)
    return true
  }

  /** A bucket that runs over is emptied; one that waits to be completed stays full. Undefined where nothing has room for it. */
  pour(rule: CompiledRule, key: Key, client: string | null, now: number): Level | undefined {
    const own = this.#own.get(key.lo, key.hi)
    if (own === 0) this.#own.sweep(now, sweptEach)
    const poured = this.#pourInto(this.#own, { rule, key, emptyAt: own, now })
    if (poured !== undefined) return poured
    const network = client === null ? undefined : networkOf(client)
    if (network !== undefined) {
      this.shared++
      const shared = this.#keys.ofShared(rule, network)
      const level = this.#pourInto(this.#shared, { rule, key: shared, emptyAt: this.#shared.get(shared.lo, shared.hi), now })
      if (level !== undefined) return level
    }
    this.dropped++
    return undefined
  }

  empty({ lo, hi }: Key): void {
    this.#own.delete(lo, hi)
  }

  #pourInto(times: Times, { rule, key, emptyAt, now }: Pour): Level | undefined {
    const level = Math.max(0, emptyAt - now) + rule.costTicks
    const isOver = level > rule.capacityTicks
    const result = { key, emptyAt: now + level, level: (level / rule.costTicks) * rule.cost, isOver }
    if (isOver && !rule.isCompleted) {
      times.delete(key.lo, key.hi)
      return result
    }
    return this.#put(times, key, now + Math.min(level, rule.capacityTicks), now) ? result : undefined
  }

  #put(times: Times, { lo, hi }: Key, time: number, now: number): boolean {
    if (times.set(lo, hi, time)) return true
    times.sweep(now, sweptWhenFull)
    return times.set(lo, hi, time)
  }
}

interface Pour {
  readonly rule: CompiledRule
  readonly key: Key
  readonly emptyAt: number
  readonly now: number
}
