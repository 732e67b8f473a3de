import type { Film } from './schema.ts'

/** A film as it is handed out, with its JSON, made once. */
export interface ReadyFilm {
  readonly film: Film
  readonly json: string
}

/** Of a larger catalogue a film seldom comes twice within the time: keeping them would only cost memory (a kilobyte each). */
const maxFilms = 4096

/**
 * Films by slot, as they were read since one moment: under load most films of a small catalogue are drawn many times a second, and their
 * rows need not be read and written as JSON each time. Bounded by that time: nothing outlives `expire`.
 */
export class RecentFilms {
  readonly #bySlot = new Map<number, ReadyFilm>()
  /** Ids of films that changed since they were read. */
  readonly #stale = new Set<number>()
  #since = -Infinity

  /** The moment before which nothing here was read. */
  get since(): number {
    return this.#since
  }

  /** Of a catalogue of `count` films: forgets everything when the first of it was read before `oldest`; what comes next is read at `now` or later. */
  expire(count: number, oldest: number, now: number): void {
    if (this.#since >= oldest && this.#bySlot.size > 0 && count <= maxFilms) return
    this.forgetAll()
    this.#since = now
  }

  forgetAll(): void {
    this.#bySlot.clear()
    this.#stale.clear()
  }

  refresh(id: number): void {
    this.#stale.add(id)
  }

  /** Those of the slots, each once, whose film must be read. */
  missing(slots: readonly number[]): number[] {
    return [...new Set(slots.filter((slot) => !this.#has(slot)))]
  }

  /** `changed` are ids of films that changed while these were on their way: they may be from before. */
  add(rows: readonly (Film & { readonly slot: number })[], changed: ReadonlySet<number>): void {
    for (const row of rows) {
      this.#bySlot.set(row.slot, toPick(row))
      if (!changed.has(row.id)) this.#stale.delete(row.id)
    }
  }

  /** One for each slot that holds a film, in their order. */
  at(slots: readonly number[]): ReadyFilm[] {
    return slots.map((slot) => this.#bySlot.get(slot)).filter((pick) => pick !== undefined)
  }

  #has(slot: number): boolean {
    const pick = this.#bySlot.get(slot)
    return pick !== undefined && !this.#stale.has(pick.film.id)
  }
}

/** Member by member, so that nothing else of a row can ever reach an answer. */
const toPick = (row: Film): ReadyFilm => {
  const { id, name, studio, year, genre, director, runtime_min, rating, likes, dislikes } = row
  const film = { id, name, studio, year, genre, director, runtime_min, rating, likes, dislikes }
  return { film, json: JSON.stringify(film) }
}
