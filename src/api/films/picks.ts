import { randomFillSync } from 'node:crypto'

import { Problem } from '../../core/errors.ts'
import type { Film } from './schema.ts'

/** How many films are fetched at once under load: a query's fixed cost is then shared by many answers. */
const largeBatch = 512
/** How many where requests are rare: what is not used within `maxAgeMs` is thrown away. */
const smallBatch = 8
/** Bounds how long another process's write (a second instance, the command line) can go unseen. */
const maxAgeMs = 1000

interface Sources {
  count(): Promise<number>
  bySlots(slots: readonly number[]): Promise<readonly (Film & { slot: number })[]>
  byId(id: number): Promise<Film | undefined>
  /** Milliseconds, monotonic. */
  now(): number
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
 * Random films, fetched in batches and handed out one by one. Each pick draws its own slot, with replacement, so picks are independent and
 * uniform whatever the batch size. Where a count can have changed, the pick is read again rather than skipped: skipping would make films
 * that are voted on come up less often.
 */
export const createPicks = (sources: Sources): Picks => new BatchedPicks(sources)

class BatchedPicks implements Picks {
  readonly #sources: Sources
  #ready: Ready[] = []
  #stale = new Set<number>()
  #fetchedAt = -Infinity
  #batchSize = smallBatch
  /** Counts what makes earlier batches worthless. */
  #generation = 0
  #fetching: Promise<number> | undefined
  /** What changed while a batch was on its way: it may have been read before the change. */
  #changedMeanwhile = new Set<number>()

  constructor(sources: Sources) {
    this.#sources = sources
  }

  take(): Film | undefined {
    return this.#takeReady()?.film
  }

  takeJson(): string | undefined {
    return this.#takeReady()?.json
  }

  async next(): Promise<Film | undefined> {
    // A round without a film met a batch that others emptied or a write outdated; the bound is for writers that never pause.
    for (let round = 0; round < 1000; round++) {
      const film = this.take() ?? (await this.#outdated())
      if (film) return film
      if (this.#ready.length > 0) continue
      this.#fetching ??= this.#fetch().finally(() => (this.#fetching = undefined))
      if ((await this.#fetching) === 0) return undefined
    }
    throw new Problem('temporary_reduced_capacity', { detail: 'The catalogue is changing too fast. Try again.', retryAfterSeconds: 1 })
  }

  refresh(id: number): void {
    this.#stale.add(id)
    this.#changedMeanwhile.add(id)
  }

  forgetAll(): void {
    this.#generation++
    this.#ready = []
  }

  #takeReady(): Ready | undefined {
    this.#expire()
    const pick = this.#ready.at(-1)
    if (pick === undefined || (this.#stale.size > 0 && this.#stale.has(pick.film.id))) return undefined
    this.#ready.pop()
    if (this.#ready.length === 0) this.#batchSize = largeBatch
    return pick
  }

  #expire(): void {
    if (this.#sources.now() - this.#fetchedAt <= maxAgeMs) return
    // Much left over: requests are rare, and fetching many would be waste.
    if (this.#ready.length > this.#batchSize / 2) this.#batchSize = smallBatch
    this.#ready = []
  }

  /** The next pick as it is now, where `take` would not give it because it was voted on. */
  async #outdated(): Promise<Film | undefined> {
    const outdated = this.#ready.pop()
    if (outdated === undefined) return undefined
    const asOf = this.#generation
    const current = await this.#sources.byId(outdated.film.id)
    return asOf === this.#generation ? current : undefined
  }

  /** Resolves with the number of films there are. */
  async #fetch(): Promise<number> {
    const asOf = this.#generation
    const startedAt = this.#sources.now()
    this.#changedMeanwhile = new Set()
    const count = await this.#sources.count()
    if (count === 0) return 0
    const slots = randomSlots(this.#batchSize, count)
    const rows = await this.#sources.bySlots(slots)
    // A film added or deleted meanwhile: these picks may hold what must not come again.
    if (asOf !== this.#generation) return count
    const bySlot = new Map(rows.map((row) => [row.slot, toReady(row)]))
    this.#ready = slots.map((slot) => bySlot.get(slot)).filter((pick) => pick !== undefined)
    this.#stale = this.#changedMeanwhile
    this.#fetchedAt = startedAt
    return count
  }
}

interface Ready {
  readonly film: Film
  readonly json: string
}

/** Member by member, so that nothing else of a row can ever reach an answer. */
const toReady = (row: Film): Ready => {
  const { id, name, studio, year, genre, director, runtime_min, rating, likes, dislikes } = row
  const film = { id, name, studio, year, genre, director, runtime_min, rating, likes, dislikes }
  return { film, json: JSON.stringify(film) }
}

/** Independent, uniform draws from 1 to `count`, from one call for random bits: those past the last whole multiple of `count` are drawn again. */
const randomSlots = (length: number, count: number): number[] => {
  const limit = 2 ** 32 - (2 ** 32 % count)
  const slots: number[] = []
  while (slots.length < length) {
    for (const bits of randomFillSync(new Uint32Array(length))) if (bits < limit && slots.length < length) slots.push(1 + (bits % count))
  }
  return slots
}
