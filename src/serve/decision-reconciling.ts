import type { DecisionRepository } from '../api/security/decision-repository.ts'
import type { DecisionChange, SharedDecisions } from '../layers/index.ts'

export interface ReconcilingOptions {
  readonly repository: Pick<DecisionRepository, 'newer'>
  readonly shared: Pick<SharedDecisions, 'lacking'>
  readonly publish: (change: DecisionChange) => Promise<void>
}

const page = 200
const againMs = 1000

/** Tells Redis of all that the database has and Redis has not, page by page, oldest first: of too many Redis keeps the newest. */
export class Reconciling {
  readonly #options: ReconcilingOptions
  #running = false
  #again = false
  #closed = false
  #timer: NodeJS.Timeout | undefined

  constructor(options: ReconcilingOptions) {
    this.#options = options
  }

  /** What fails is begun again until it is done. */
  begin(): void {
    this.#again = this.#running
    if (this.#running || this.#closed) return
    clearTimeout(this.#timer)
    this.#running = true
    this.#run()
      .catch(() => {
        if (!this.#closed) this.#timer = setTimeout(() => this.begin(), againMs).unref()
      })
      .finally(() => {
        this.#running = false
        if (this.#again) this.begin()
      })
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
  }

  async #run(): Promise<void> {
    const { repository, shared, publish } = this.#options
    for (let seq = 0, isAll = false; !isAll && !this.#closed;) {
      const newer = await repository.newer(seq, page)
      ;[seq, isAll] = [newer.seq, newer.isAll]
      await Promise.all((await shared.lacking(newer.changes)).map(publish))
    }
  }
}
