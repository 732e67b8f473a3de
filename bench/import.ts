import { closeSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Machine } from './machine.ts'
import type { Options } from './options.ts'
import { disturbance, watchOthers } from './others.ts'
import { entry, filmgate, newDataDir } from './peers/filmgate.ts'
import { capture, temporaryFolder } from './processes.ts'
import { goal, type Outcome, whole } from './report.ts'
import { median, spread } from './stats.ts'

const atLeast = 30_000
const seed = 20_260_101
const timeoutMs = 600_000
const linesAtOnce = 10_000

const words = 'Night River Stone Summer Paper Iron Glass Silent Red Last First Winter House Road Sea Moon Garden Letter Bridge Wolf'.split(
  ' ',
)
const genres = ['Drama', 'Comedy', 'Adventure', 'Horror', 'Documentary', 'Western', null]

interface Measurement {
  readonly round: number
  readonly seconds: number
  readonly filmsPerSecond: number
  readonly othersCores: number
}

/** Tommy Ettinger's mulberry32, public domain: whole numbers below a bound, the same ones in every run. */
export function createRandom(state: number): (bound: number) => number {
  return (bound) => {
    state = (state + 0x6d2b79f5) >>> 0
    let word = Math.imul(state ^ (state >>> 15), state | 1)
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61)
    return Math.floor((((word ^ (word >>> 14)) >>> 0) / 2 ** 32) * bound)
  }
}

/** Every field that a film can have, and no two films alike. */
function filmLine(n: number, below: (bound: number) => number): string {
  const word = (): string | undefined => words[below(words.length)]
  const film = {
    name: `${word()} ${word()} ${n}`,
    studio: `${word()} Pictures`,
    year: 1900 + below(120),
    genre: genres[below(genres.length)],
    director: `${word()} ${word()}`,
    runtime_min: 60 + below(120),
    rating: below(101) / 10,
  }
  return `${JSON.stringify(film)}\n`
}

function writeFilms(file: string, films: number): void {
  const below = createRandom(seed)
  const descriptor = openSync(file, 'w')
  for (let n = 1; n <= films; n += linesAtOnce) {
    const size = Math.min(linesAtOnce, films - n + 1)
    writeSync(descriptor, Array.from({ length: size }, (_, i) => filmLine(n + i, below)).join(''))
  }
  closeSync(descriptor)
}

/** What is there in the end, read by somebody else: an import that says that it is done has to be. */
function countFilms(dataDir: string): number {
  using connection = new DatabaseSync(join(dataDir, 'filmgate.db'), { readOnly: true })
  const { films, slots } = connection.prepare('select count(*) as films, max(slot) as slots from film').get() ?? {}
  if (films !== slots) throw new Error(`import: INVALID RUN: ${String(films)} films, but slots up to ${String(slots)}`)
  return Number(films)
}

/** The whole command as a person waits for it: start, checks of every line, durable writes, end. */
async function measure(file: string, films: number, round: number): Promise<Measurement> {
  const dataDir = newDataDir()
  const others = watchOthers()
  const startMs = performance.now()
  const environment = { FILMGATE_DATA_DIR: dataDir }
  await capture([process.execPath, entry, 'films', 'import', file], undefined, { environment, timeoutMs })
  const seconds = (performance.now() - startMs) / 1000
  const othersCores = others()
  const found = countFilms(dataDir)
  if (found !== films) throw new Error(`import: INVALID RUN: ${found} of ${films} films are there`)
  return { round, seconds, filmsPerSecond: films / seconds, othersCores }
}

export async function importFilms(_: Machine, { rounds, films }: Options): Promise<Outcome> {
  const file = join(temporaryFolder(), 'films.ndjson')
  writeFilms(file, films)
  const measurements: Measurement[] = []
  for (let round = 1; round <= rounds; round++) {
    const one = await measure(file, films, round)
    measurements.push(one)
    console.error(`round ${round}/${rounds}  ${whole(one.filmsPerSecond).padStart(8)} films/s`)
  }
  const speed = spread(measurements.map((one) => one.filmsPerSecond))
  const seconds = median(measurements.map((one) => one.seconds)).toFixed(1)
  return {
    headings: ['filmgate films import', 'films', 'films/s, median', 'min–max', 'seconds'],
    rows: [['SQLite', whole(films), whole(speed.median), `${whole(speed.min)}–${whole(speed.max)}`, seconds]],
    notes: [
      ...disturbance(measurements.map((one) => one.othersCores)),
      `${rounds} rounds, each into a new data folder, from start to end of the command; not pinned to a core. NDJSON of seed ${seed}.`,
    ],
    goals: [goal('films/s of the import', speed.median, '>=', atLeast)],
    versions: filmgate.versions(),
    settings: { rounds, films, seed },
    rounds: measurements,
  }
}
