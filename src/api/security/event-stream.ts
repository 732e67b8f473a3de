import { Readable } from 'node:stream'

import type { Journal, JournalEntry } from '../../layers/index.ts'

export interface EventStreamOptions {
  readonly journal: Pick<Journal, 'after'>
  /** Behind which number it begins. */
  readonly place: number
  readonly fits: (entry: JournalEntry) => boolean
  /** An entry as its reader sees it. */
  readonly format: (entry: JournalEntry) => string
  /** What comes before the first entry. */
  readonly greeting: string
  readonly onClose: () => void
}

/** What waits for a reader here, beside what the system holds for it. */
const waitingBytes = 16_384
/** Looked at between two questions whether the reader still takes them. */
const atOnce = 100

/**
 * One reader of the journal, as server-sent events (WHATWG HTML, section 9.2). It holds a place and no queue: what a slow reader does not take
 * stays in the journal, which is bounded, and what is gone from there by the time that it does is told as a number.
 */
export class EventStream extends Readable {
  readonly #options: EventStreamOptions
  #place: number
  #wanted = false
  #ended = false

  constructor(options: EventStreamOptions) {
    super({ highWaterMark: waitingBytes })
    this.#options = options
    this.#place = options.place
    this.push(options.greeting)
  }

  get isEnding(): boolean {
    return this.#ended
  }

  /** Gives it what is new, as far as it takes it. */
  fill(): void {
    const { journal, fits, format } = this.#options
    while (this.#wanted && !this.#ended) {
      const { entries, missing } = journal.after(this.#place, atOnce)
      if (missing > 0) this.#give(told('dropped', { count: missing }))
      for (const entry of entries) {
        if (!this.#wanted) return
        this.#place = entry.seq
        if (fits(entry)) this.#give(format(entry))
      }
      if (entries.length < atOnce) return
    }
  }

  /** A comment, so that whatever stands between knows the connection to be alive. A reader that is behind needs none. */
  beat(): void {
    if (this.#wanted && !this.#ended) this.#give(': alive\n\n')
  }

  /** Says why, and ends. A reader that does not take what is left is to be cut off at the next look. */
  end(reason: string): void {
    if (this.#ended) return
    this.#ended = true
    this.push(told('end', { reason }))
    this.push(null)
  }

  override _read(): void {
    this.#wanted = true
    this.fill()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#ended = true
    this.#options.onClose()
    done(error)
  }

  #give(text: string): void {
    this.#wanted = this.push(text)
  }
}

/** JSON has no line breaks, so nothing that somebody wrote into it can begin another field (a reason with a line feed and `data:` in it). */
export const told = (event: string, data: object): string => `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`
