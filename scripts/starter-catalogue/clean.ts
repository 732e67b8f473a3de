import { repairCharset } from './charset.ts'

/** One line of data/starter-films.ndjson; null is unknown. `runtime_min` in minutes, `rating` 0 to 10 with one decimal. */
export interface Film {
  name: string
  studio: string | null
  year: number | null
  genre: string | null
  director: string | null
  runtime_min: number | null
  rating: number | null
}

export const repairKinds = {
  'numeric title': 'a title that is a JSON number becomes text',
  charset: 'windows-1252 text read as Mac Roman is read again',
  spacing: 'blanks at the ends, and more than one between words',
  'doubled quotes': 'CSV quoting left in the text',
  'article last': 'an article moved to the end for sorting goes back to the front',
  'release note': 'a year or a kind of release in brackets is not part of the name',
  placeholder: 'a word or a zero that stands for unknown becomes null',
  century: 'a two-digit year that was put into the wrong century',
  'shifted new year': '1 January of the next year, moved to 31 December by a time zone',
  'zero date': '31 December 1969 is the clock at zero: the year is unknown',
  'shared rating': 'the same rating and votes on two films of like name: unknown on both',
} as const

export type RepairKind = keyof typeof repairKinds

interface Repair {
  kind: RepairKind
  field: keyof Film
  before: string | number | null
  after: string | number | null
}

export interface Kept {
  film: Film
  repairs: Repair[]
}

export type Cleaned = Kept | { quarantined: string }

export type RawRecord = Readonly<Record<string, unknown>>

/** The youngest films of the data are announced for 2011; the next dates are 2015 (The Birth of a Nation) and 2016 (Intolerance). */
export const lastYear = 2011

/**
 * Films of which only the year was known carry 31 December of the year before (Casablanca 1941, High Noon 1951): 1 January at midnight
 * UTC, printed on an American clock. The last of them is of 1992; from 1997 on the day is or may be a real one (Oscar and Lucinda).
 */
const lastShiftedYear = 1992
/** Opened in December 1978 and on 31 December 1986: these are not shifted. */
const notShifted: ReadonlySet<string> = new Set(['The Deer Hunter', 'Witchboard'])

type Step = readonly [RepairKind, (text: string) => string]

const textSteps: readonly Step[] = [
  ['charset', repairCharset],
  ['spacing', (text) => text.replace(/\s+/gu, ' ').trim()],
  ['doubled quotes', (text) => text.replaceAll('""', '"')],
]

const nameSteps = (year: number | null): readonly Step[] => [
  ...textSteps,
  ['article last', (text) => text.replace(/^(.+), (The|An?|Das|Der|Die|Les?|La|Los|El|Il)$/u, '$2 $1')],
  [
    'release note',
    // A year that is not the film's own stays: it may be a part of the name.
    (text) => text.replace(/ \((?:IMAX|\p{Lu}\p{Ll}+ Release|(\d{4}))\)$/u, (note, noted) => (noted && Number(noted) !== year ? note : '')),
  ],
]

/** For studios, genres and directors. A film may well be called Unknown. */
const unknownWord: Step = ['placeholder', (text) => (/^(?:tb[ad]|n\/?a|none|null|-+|\?+|(?:\w+ )?unknown)$/iu.test(text) ? '' : text)]

function applySteps(field: keyof Film, raw: string, steps: readonly Step[], repairs: Repair[]): string | null {
  const text = steps.reduce((before, [kind, step]) => {
    const after = step(before)
    if (after !== before) repairs.push({ kind, field, before, after: after === '' ? null : after })
    return after
  }, raw)
  return text === '' ? null : text
}

function cleanText(field: keyof Film, raw: unknown, repairs: Repair[]): string | null {
  return typeof raw === 'string' ? applySteps(field, raw, [...textSteps, unknownWord], repairs) : null
}

function cleanName(raw: unknown, year: number | null, repairs: Repair[]): string | null {
  if (typeof raw === 'number') {
    repairs.push({ kind: 'numeric title', field: 'name', before: raw, after: String(raw) })
    return String(raw)
  }
  return typeof raw === 'string' ? applySteps('name', raw, nameSteps(year), repairs) : null
}

/** `raw` as in "Jun 12 1998". The order matters: only a date of the right century can tell about its day. */
function cleanYear(raw: unknown, title: unknown, repairs: Repair[]): number | null {
  const match = typeof raw === 'string' ? /^(\p{L}{3} \d\d) (\d{4})$/u.exec(raw) : null
  if (!match) return null
  const before = Number(match[2])
  const repaired = (kind: RepairKind, after: number | null): number | null => {
    repairs.push({ kind, field: 'year', before: match[0], after })
    return after
  }
  if (before > lastYear) return repaired('century', before - 100)
  if (match[1] !== 'Dec 31') return before
  if (before === 1969) return repaired('zero date', null)
  if (before <= lastShiftedYear && !notShifted.has(String(title))) return repaired('shifted new year', before + 1)
  return before
}

function cleanRuntime(raw: unknown, repairs: Repair[]): number | null {
  if (raw === 0) repairs.push({ kind: 'placeholder', field: 'runtime_min', before: raw, after: null })
  return typeof raw === 'number' && raw !== 0 ? raw : null
}

function textComplaint(text: string): string | null {
  if (text.length > 200) return 'longer than 200 characters'
  if (text !== text.normalize('NFC')) return 'not NFC'
  return /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/u.test(text) ? 'an invisible character' : null
}

const isWithin = (value: number | null, low: number, high: number): boolean => value === null || (value >= low && value <= high)
const isWhole = (value: number | null): boolean => value === null || Number.isInteger(value)
const hasOneDecimal = (value: number | null): boolean => value === null || Number(value.toFixed(1)) === value

/** Why the film API would refuse this film, or null. */
export function complaint(film: Film): string | null {
  for (const field of ['name', 'studio', 'genre', 'director'] as const) {
    const found = film[field] === null ? null : textComplaint(film[field])
    if (found) return `${field}: ${found}`
  }
  if (!isWithin(film.year, 1888, 2100) || !isWhole(film.year)) return 'year: not a year of film'
  if (!isWithin(film.runtime_min, 1, 1000) || !isWhole(film.runtime_min)) return 'runtime_min: not 1 to 1000 minutes'
  if (!isWithin(film.rating, 0, 10) || !hasOneDecimal(film.rating)) return 'rating: not 0 to 10 with one decimal'
  return null
}

/** One record of the data set on its own; what needs its neighbours is in catalogue.ts. */
export function clean(record: RawRecord): Cleaned {
  const repairs: Repair[] = []
  const year = cleanYear(record['Release Date'], record['Title'], repairs)
  const name = cleanName(record['Title'], year, repairs)
  if (name === null) return { quarantined: 'no title' }
  const film: Film = {
    name,
    studio: cleanText('studio', record['Distributor'], repairs),
    year,
    genre: cleanText('genre', record['Major Genre'], repairs),
    director: cleanText('director', record['Director'], repairs),
    runtime_min: cleanRuntime(record['Running Time min'], repairs),
    // No fallback: the other rating of the data counts reviews that liked the film, which is another quantity.
    rating: typeof record['IMDB Rating'] === 'number' ? record['IMDB Rating'] : null,
  }
  const refused = complaint(film)
  return refused === null ? { film, repairs } : { quarantined: refused }
}
