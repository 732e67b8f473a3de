import { clean } from './clean.ts'
import type { Film, Kept, RawRecord } from './clean.ts'

/** `index` counts the records of the data set from 0. */
interface Entry extends Kept {
  index: number
}

interface Quarantined {
  index: number
  title: string
  reason: string
}

export interface Catalogue {
  /** The films of the data set in its order, without the first one of the file. */
  entries: Entry[]
  quarantined: Quarantined[]
}

/** Film 1: the one of the article that the API grows from. The data set ends in 2011 and does not have it. */
export const frozen: Film = {
  name: 'Frozen',
  studio: 'Disney',
  year: 2013,
  genre: 'Adventure',
  director: 'Chris Buck, Jennifer Lee',
  runtime_min: 102,
  rating: 7.4,
}

const comparable = (name: string): string =>
  name
    .toLowerCase()
    .replace(/^(the|an?) /u, '')
    .replace(/[^\p{L}\p{N}]/gu, '')

const groups = <T>(items: readonly T[], keyOf: (item: T) => string | null): T[][] =>
  [...Map.groupBy(items, keyOf)].filter(([key, group]) => key !== null && group.length > 1).map(([, group]) => group)

/** "hitman" and "taxman" are alike: whoever joined the ratings to the films matched names that loosely. */
function areAlike(first: string, second: string): boolean {
  const [one, other] = [comparable(first), comparable(second)]
  return one === other || (one.length > 2 && (other.startsWith(one.slice(0, 3)) || other.endsWith(one.slice(-3))))
}

/**
 * Ratings were joined to films by name, so a remake has the votes of its model, to the last one (King Kong 1976 and 2005: 7.6 by 132720).
 * One of the two is wrong and nothing tells which. Equal numbers under unlike names are chance and stay.
 */
function dropSharedRatings(entries: readonly Entry[], records: readonly RawRecord[]): void {
  const votesOf = (entry: Entry): unknown => records[entry.index]?.['IMDB Votes']
  const sharing = groups(entries, (entry) => (entry.film.rating === null ? null : `${entry.film.rating} ${String(votesOf(entry))}`))
  for (const group of sharing) {
    const doubtful = group.filter(({ film }) => group.some((other) => other.film !== film && areAlike(film.name, other.film.name)))
    for (const { film, repairs } of doubtful) {
      repairs.push({ kind: 'shared rating', field: 'rating', before: film.rating, after: null })
      film.rating = null
    }
  }
}

/** Records of one name, year and studio are one film; a remake differs in the year. The first one stays. */
function findDuplicates(entries: readonly Entry[], records: readonly RawRecord[]): Quarantined[] {
  const keyOf = ({ film }: Entry): string => JSON.stringify([comparable(film.name), film.year, film.studio])
  return groups(entries, keyOf).flatMap(([first, ...rest]) =>
    rest.map(({ index }) => ({
      index,
      title: String(records[index]?.['Title']),
      reason: `name, year and studio of record ${String(first?.index)}`,
    })),
  )
}

export function buildCatalogue(records: readonly RawRecord[]): Catalogue {
  const cleaned: Entry[] = []
  const quarantined: Quarantined[] = []
  for (const [index, record] of records.entries()) {
    const result = clean(record)
    if ('quarantined' in result) quarantined.push({ index, title: String(record['Title']), reason: result.quarantined })
    else cleaned.push({ index, ...result })
  }
  const duplicates = findDuplicates(cleaned, records)
  const isDuplicate = new Set(duplicates.map(({ index }) => index))
  const entries = cleaned.filter(({ index }) => !isDuplicate.has(index))
  // After the duplicates: one film in two records has its rating by right.
  dropSharedRatings(entries, records)
  return {
    entries,
    quarantined: [...quarantined, ...duplicates].toSorted((a, b) => a.index - b.index),
  }
}

/** One film a line, the members in the order of the file's contract. */
export function toNdjson({ entries }: Catalogue): string {
  return [frozen, ...entries.map(({ film }) => film)]
    .map(({ name, studio, year, genre, director, runtime_min, rating }) =>
      JSON.stringify({ name, studio, year, genre, director, runtime_min, rating }),
    )
    .map((line) => `${line}\n`)
    .join('')
}
