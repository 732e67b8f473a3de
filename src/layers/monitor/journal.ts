import type { SecurityEvent } from '../../core/events.ts'
import type { EvidenceSignal } from './decision.ts'

/** One line of what happened, for operators. */
export interface JournalEntry {
  /** Grows by one with each entry of this process. */
  readonly seq: number
  /** Epoch milliseconds. */
  readonly at: number
  /** A security event, or a request that was refused. */
  readonly entry: SecurityEvent | ({ readonly event: 'request' } & Omit<EvidenceSignal, 'at' | 'name'> & { readonly verdict: string })
}

/** The newest events of this process, in memory: what the API shows and streams. The log keeps them all. */
export class Journal {
  readonly #capacity: number
  readonly #entries: JournalEntry[] = []
  readonly #listeners = new Set<(entry: JournalEntry) => void>()
  #seq = 0

  constructor(capacity = 10_000) {
    this.#capacity = capacity
  }

  add(at: number, entry: JournalEntry['entry']): void {
    const added = { seq: ++this.#seq, at, entry }
    this.#entries.push(added)
    if (this.#entries.length > 2 * this.#capacity) this.#entries.splice(0, this.#capacity)
    for (const listener of this.#listeners) listener(added)
  }

  /** Newest first. */
  recent(fits: (entry: JournalEntry) => boolean, most: number): readonly JournalEntry[] {
    const found: JournalEntry[] = []
    for (let i = this.#entries.length - 1; i >= 0 && found.length < most; i--) {
      const entry = this.#entries[i]
      if (entry !== undefined && fits(entry)) found.push(entry)
    }
    return found
  }

  /** Called with each entry from now on; the returned function ends it. */
  follow(listener: (entry: JournalEntry) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }
}
