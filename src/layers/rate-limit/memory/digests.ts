import type { Identity } from '../store.ts'
import { type KeyedHash, randomWord } from '../../../core/keyed-hash.ts'

/** The digests of one identity and of its wider prefix, each in two halves of 32 bits. */
export class Digests {
  idLo = 0
  idHi = 0
  readonly #hash: KeyedHash
  /** Tells a wider prefix from a client of the same name. */
  readonly #saltLo = randomWord()
  readonly #saltHi = randomWord()
  #id: string | undefined
  #identity: Identity | undefined
  #isWiderDigested = false
  #widerLo = 0
  #widerHi = 0

  constructor(hash: KeyedHash) {
    this.#hash = hash
  }

  of(identity: Identity): void {
    const { id } = identity
    // A request asks twice, for `total` and for its route, and often the next one is of the same client.
    if (id !== this.#id) {
      this.#hash.digest(id)
      this.idLo = this.#hash.lo
      this.idHi = this.#hash.hi
      this.#id = id
    }
    if (identity !== this.#identity) this.#isWiderDigested = false
    this.#identity = identity
  }

  get hasWider(): boolean {
    return this.#identity?.wider !== undefined
  }

  get widerLo(): number {
    this.#digestWider()
    return this.#widerLo
  }

  get widerHi(): number {
    this.#digestWider()
    return this.#widerHi
  }

  /** Only when asked for: a digest takes as long as half a decision, and few need this one. */
  #digestWider(): void {
    if (this.#isWiderDigested) return
    this.#isWiderDigested = true
    this.#hash.digest(this.#identity?.wider ?? '')
    this.#widerLo = this.#hash.lo ^ this.#saltLo
    this.#widerHi = this.#hash.hi ^ this.#saltHi
  }
}
