import { Problem } from '../../core/errors.ts'
import { type ReadyFilm, RecentFilms } from './recent-films.ts'
import { randomSlots } from './random-slots.ts'
import type { Film } from './schema.ts'

/** How many films are fetched at once under load: a query's fixed cost is then shared by many answers. */
const largeBatch = 512
/** How many where requests are rare: what is not used within `maxAgeMs` is thrown away. */
const smallBatch = 8
/** When so few are left of a large batch, the next is asked for: a database at the end of a network answers before they are gone. */
const fetchAheadAt = 256
/** Bounds how long another process's write (a second instance, the command line) can go unseen. */
const maxAgeMs = 1000
/** The same while removals are not announced: as good as read on demand, and still shared by what comes at the same moment. */
const unannouncedMaxAgeMs = 10

interface Sources {
  count(): Promise<number>
  bySlots(slots: readonly number[]): Promise<readonly (Film & { slot: number })[]>
  byId(id: number): Promise<Film | undefined>
  /** Milliseconds, monotonic. */
  now(): number
  /** Whether a film that another instance removes is announced here: otherwise nothing may be kept. */
  isAnnounced(): boolean
}

export interface Picks {
  /** A uniformly random film that is ready, else undefined: then ask `next`. */
  take(): Film | undefined
  /** The same as JSON text, made with its batch: serialising one after the other costs a third of doing it between requests. */
  takeJson(): string | undefined
  /** A uniformly random film; undefined when there are none. */
  next(): Promise<Film | undefined>
  /** The film changed (a vote): its ready picks are read again before they are handed out. */
  refresh(id: number): void
  /** Films came or went: nothing fetched before now is handed out any more. */
  forgetAll(): void
}

/**
 * Random films, drawn in batches and handed out one by one. Each pick draws its own slot, with replacement, so picks are independent and
 * uniform whatever the batch size; only films that were not read within the last second are asked for. Where a count can have changed, the pick is read again rather than skipped: skipping would make films
 * that are voted on come up less often.
 */
export const createPicks = (sources: Sources): Picks => new BatchedPicks(sources)

/** What is drawn and read. `stale` holds the ids of films that changed since; nothing in it is older than `readSince`. */
interface Batch {
  readonly picks: ReadyFilm[]
  readonly stale: Set<number>
  readonly readSince: number
}

const nothing = (): Batch => ({ picks: [], stale: new Set(), readSince: -Infinity })

class BatchedPicks implements Picks {
  readonly #sources: Sources
  #current = nothing()
  #spare = nothing()
  #batchSize = smallBatch
  /** Counts what makes earlier batches worthless. */
  #generation = 0
  #fetching: Promise<number> | undefined
  /** What changed while a batch was on its way: it may have been read before the change. */
  #changedMeanwhile = new Set<number>()
  readonly #recent = new RecentFilms()

  constructor(sources: Sources) {
    this.#sources = sources
  }

  take(): Film | undefined {
    this.#expire()
    return this.#takeReady()?.film
  }

  takeJson(): string | undefined {
    this.#expire()
    return this.#takeReady()?.json
  }

  async next(): Promise<Film | undefined> {
    this.#expire()
    // A round without a film met a batch that others emptied or a write outdated; the bound is for writers that never pause.
    for (let round = 0; round < 1000; round++) {
      const film = this.#takeReady()?.film ?? (await this.#outdated())
      if (film) return film
      if (this.#current.picks.length > 0) continue
      // No look at the age behind this: whoever waited for the batch asked before it was read, however long the database took.
      if ((await this.#fetch()) === 0) return undefined
    }
    throw new Problem('temporary_reduced_capacity', { detail: 'The catalogue is changing too fast. Try again.', retryAfterSeconds: 1 })
  }

  refresh(id: number): void {
    this.#current.stale.add(id)
    this.#spare.stale.add(id)
    this.#changedMeanwhile.add(id)
    this.#recent.refresh(id)
  }

  forgetAll(): void {
    this.#generation++
    this.#recent.forgetAll()
    this.#current = nothing()
    this.#spare = nothing()
  }

  #takeReady(): ReadyFilm | undefined {
    if (this.#current.picks.length === 0) this.#turn()
    const { picks, stale } = this.#current
    const pick = picks.at(-1)
    if (pick === undefined || (stale.size > 0 && stale.has(pick.film.id))) return undefined
    picks.pop()
    if (picks.length === 0) this.#batchSize = largeBatch
    if (picks.length === fetchAheadAt) this.#fetchAhead()
    return pick
  }

  #turn(): void {
    this.#current = this.#spare
    this.#spare = nothing()
  }

  #expire(): void {
    const oldest = this.#oldest()
    if (this.#spare.readSince < oldest) this.#spare = nothing()
    if (this.#current.readSince >= oldest) return
    // Much left over: requests are rare, and fetching many would be waste.
    if (this.#current.picks.length > this.#batchSize / 2) this.#batchSize = smallBatch
    this.#turn()
  }

  /** What was read before this moment may not be handed out any more. */
  #oldest(): number {
    return this.#sources.now() - (this.#sources.isAnnounced() ? maxAgeMs : unannouncedMaxAgeMs)
  }

  /** The next pick as it is now, where `take` would not give it because it was voted on. */
  async #outdated(): Promise<Film | undefined> {
    const outdated = this.#current.picks.pop()
    if (outdated === undefined) return undefined
    const asOf = this.#generation
    const current = await this.#sources.byId(outdated.film.id)
    return asOf === this.#generation ? current : undefined
  }

  #fetchAhead(): void {
    // A failure is met again, and told, by the request that finds nothing ready.
    if (this.#spare.picks.length === 0) this.#fetch().catch(() => undefined)
  }

  /** Resolves with the number of films there are, when a batch is ready or was outdated on its way. */
  #fetch(): Promise<number> {
    this.#fetching ??= this.#fetchBatch().finally(() => (this.#fetching = undefined))
    return this.#fetching
  }

  async #fetchBatch(): Promise<number> {
    const asOf = this.#generation
    const startedAt = this.#sources.now()
    this.#changedMeanwhile = new Set()
    const count = await this.#sources.count()
    if (count === 0) return 0
    this.#recent.expire(count, this.#oldest(), startedAt)
    const slots = randomSlots(this.#batchSize, count)
    const missing = this.#recent.missing(slots)
    const rows = missing.length === 0 ? [] : await this.#sources.bySlots(missing)
    // A film added or deleted meanwhile: these picks may hold what must not come again.
    if (asOf !== this.#generation) return count
    this.#recent.add(rows, this.#changedMeanwhile)
    this.#spare = { picks: this.#recent.at(slots), stale: this.#changedMeanwhile, readSince: this.#recent.since }
    return count
  }
}
