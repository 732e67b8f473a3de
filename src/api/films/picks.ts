import { randomInt } from 'node:crypto'

import { Problem } from '../../core/errors.ts'
import type { Film } from './schema.ts'

/** How many films are fetched at once under load: a query's fixed cost is then shared by many answers. */
const largeBatch = 256
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
export const createPicks = (sources: Sources): Picks => {
  let ready: Film[] = []
  let stale = new Set<number>()
  let fetchedAt = -Infinity
  let batchSize = smallBatch
  let generation = 0
  let fetching: Promise<number> | undefined
  /** What changed while a batch was on its way: it may have been read before the change. */
  let changedMeanwhile = new Set<number>()

  /** Resolves with the number of films there are. */
  const fetchBatch = async (): Promise<number> => {
    const asOf = generation
    const startedAt = sources.now()
    changedMeanwhile = new Set()
    const count = await sources.count()
    if (count === 0) return 0
    const slots = Array.from({ length: batchSize }, () => randomInt(1, count + 1))
    const rows = await sources.bySlots(slots)
    // A film added or deleted meanwhile: these picks may hold what must not come again.
    if (asOf !== generation) return count
    const bySlot = new Map(rows.map(({ slot, ...film }) => [slot, film]))
    ready = slots.map((slot) => bySlot.get(slot)).filter((film) => film !== undefined)
    stale = changedMeanwhile
    fetchedAt = startedAt
    return count
  }

  const expire = (): void => {
    if (sources.now() - fetchedAt <= maxAgeMs) return
    // Much left over: requests are rare, and fetching many would be waste.
    if (ready.length > batchSize / 2) batchSize = smallBatch
    ready = []
  }

  const take = (): Film | undefined => {
    expire()
    const film = ready.at(-1)
    if (film === undefined || stale.has(film.id)) return undefined
    ready.pop()
    if (ready.length === 0) batchSize = largeBatch
    return film
  }

  const next = async (): Promise<Film | undefined> => {
    // A round without a film met a batch that others emptied or a write outdated; the bound is for writers that never pause.
    for (let round = 0; round < 1000; round++) {
      const film = take()
      if (film) return film
      const outdated = ready.pop()
      if (outdated) {
        const asOf = generation
        const current = await sources.byId(outdated.id)
        if (current && asOf === generation) return current
        continue
      }
      fetching ??= fetchBatch().finally(() => (fetching = undefined))
      if ((await fetching) === 0) return undefined
    }
    throw new Problem('temporary_reduced_capacity', { detail: 'The catalogue is changing too fast. Try again.', retryAfterSeconds: 1 })
  }

  return {
    take,
    next,
    refresh: (id) => {
      stale.add(id)
      changedMeanwhile.add(id)
    },
    forgetAll: () => {
      generation++
      ready = []
    },
  }
}
