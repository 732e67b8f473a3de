import type { Channel } from '../../db/channel.ts'
import type { DecisionChange } from '../../layers/index.ts'
import type { DecisionRepository } from './decision-repository.ts'

export interface DecisionFeedOptions {
  readonly repository: Pick<DecisionRepository, 'newer' | 'newest'>
  readonly channel: Channel
  /** The number up to which everything is known. */
  readonly after: number
  /** With evidence; what this instance wrote is among it. */
  readonly heard: (changes: readonly DecisionChange[]) => void
}

export interface DecisionFeed {
  close(): void
}

const page = 200
/** A read that fails is tried again by itself: the announcement will not come twice. */
const againMs = 500

/** What instances that share the database change: each announcement is one read of what is newer, and so is the end of an outage of the channel. */
export const openDecisionFeed = (options: DecisionFeedOptions): DecisionFeed => {
  const feed = new Feed(options)
  options.channel.subscribe('decisions_changed', () => feed.read())
  feed.read()
  return feed
}

class Feed implements DecisionFeed {
  readonly #options: DecisionFeedOptions
  #seq: number
  #reading = false
  #missed = false
  #closed = false
  #timer: NodeJS.Timeout | undefined

  constructor(options: DecisionFeedOptions) {
    this.#options = options
    this.#seq = options.after
  }

  read(): void {
    this.#missed = this.#reading
    if (this.#reading || this.#closed) return
    this.#reading = true
    clearTimeout(this.#timer)
    this.#readAll()
      .catch(() => {
        if (!this.#closed) this.#timer = setTimeout(() => this.read(), againMs).unref()
      })
      .finally(() => {
        this.#reading = false
        if (this.#missed) this.read()
      })
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
  }

  async #readAll(): Promise<void> {
    const { repository, heard } = this.#options
    // A backup was restored: its numbers are given again.
    if ((await repository.newest()) < this.#seq) this.#seq = 0
    for (let isAll = false; !isAll && !this.#closed;) {
      const newer = await repository.newer(this.#seq, page)
      ;[this.#seq, isAll] = [newer.seq, newer.isAll]
      if (newer.changes.length > 0) heard(newer.changes)
    }
  }
}
