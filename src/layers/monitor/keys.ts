import { randomlyKeyedHash, randomWord } from '../../core/keyed-hash.ts'
import type { CompiledRule } from './compile.ts'
import type { Aspect } from './rule.ts'

/** A digest of 64 bits, under a key of this process: it cannot be turned back, and nobody can look for a second text that has it. */
export interface Key {
  readonly lo: number
  readonly hi: number
}

/** Short, ours or a canonical address, and asked for by many rules in a row: the last one is digested once. */
const repeated: ReadonlySet<Aspect> = new Set(['client', 'network', 'account', 'principal', 'route'])

export class Keys {
  readonly #hash = randomlyKeyedHash()
  readonly #last = new Map<Aspect, { readonly text: string; readonly key: Key }>()
  readonly #sharedSalt: Key = { lo: randomWord(), hi: randomWord() }

  /** The bucket of a group, from one value for each of the rule's aspects. */
  ofGroup({ groupBy, saltLo, saltHi }: CompiledRule, values: readonly string[]): Key {
    let key: Key = { lo: saltLo, hi: saltHi }
    for (let i = 0; i < groupBy.length; i++) key = mixed(key, this.#ofText(groupBy[i]!, values[i]!))
    return key
  }

  /** What a bucket of distinct values knows one by. */
  ofValue(bucket: Key, aspect: Aspect, value: string): Key {
    return mixed(bucket, this.#ofText(aspect, value))
  }

  /** The bucket that newcomers of one network share where there is no room. */
  ofShared({ saltLo, saltHi }: CompiledRule, network: string): Key {
    return mixed({ lo: saltLo ^ this.#sharedSalt.lo, hi: saltHi ^ this.#sharedSalt.hi }, this.#ofText('network', network))
  }

  #ofText(aspect: Aspect, text: string): Key {
    const last = this.#last.get(aspect)
    if (last?.text === text) return last.key
    this.#hash.digest(text)
    const key = { lo: this.#hash.lo, hi: this.#hash.hi }
    if (repeated.has(aspect)) this.#last.set(aspect, { text, key })
    return key
  }
}

/** One to one in the second for each first. Nobody knows the digests that go in, so it need not be one-way itself. */
const mixed = (a: Key, b: Key): Key => {
  let lo = scrambled(a.lo ^ b.lo)
  const hi = scrambled(a.hi ^ b.hi ^ lo)
  lo = scrambled((lo + hi) | 0)
  return { lo, hi }
}

/** The finaliser of MurmurHash3 (Appleby), which is one to one. */
const scrambled = (word: number): number => {
  let h = word ^ (word >>> 16)
  h = Math.imul(h, 0x85ebca6b)
  h ^= h >>> 13
  h = Math.imul(h, 0xc2b2ae35)
  return h ^ (h >>> 16)
}
