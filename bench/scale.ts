/* oxlint-disable no-await-in-loop -- one after the other is the point: what runs side by side measures each other */
import { type Catalogue, type CatalogueKind, catalogueKinds } from './catalogue.ts'
import type { Machine } from './machine.ts'
import type { Options } from './options.ts'
import { disturbance, watchOthers } from './others.ts'
import { filmgate, raisedLimits, startFilmgate } from './peers/filmgate.ts'
import type { RunningPeer } from './peers/peer.ts'
import { type Goal, goal, type Outcome, whole } from './report.ts'
import { spread } from './stats.ts'
import { connections, refuseFailures, requestsPerSecond, runWrk } from './wrk.ts'

const fewFilms = 10_000
const warmUpSeconds = 3
/** Many films may cost at most 1.5 times as much as few. */
const atLeast = 0.67

interface Contender {
  readonly kind: CatalogueKind
  readonly films: number
  readonly running: RunningPeer
}

interface Measurement {
  readonly round: number
  readonly database: string
  readonly films: number
  readonly requestsPerSecond: number
  readonly requests: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly othersCores: number
}

/** The program makes the schema and its first films itself; the rest comes while it is stopped. */
async function startFilled(machine: Machine, kind: CatalogueKind, films: number): Promise<Contender> {
  const catalogue: Catalogue = await kind.create(machine)
  const options = { limits: raisedLimits, dataDir: catalogue.dataDir, databaseUrl: catalogue.databaseUrl }
  const first = await startFilmgate(machine, options)
  await first.program.stop()
  const startMs = performance.now()
  await catalogue.fill(films)
  console.error(`${kind.title}: ${whole(films)} films in ${((performance.now() - startMs) / 1000).toFixed(1)} s`)
  return { kind, films, running: await startFilmgate(machine, options) }
}

async function measure(machine: Machine, { kind, films, running }: Contender, round: number, seconds: number): Promise<Measurement> {
  const others = watchOthers()
  const run = await runWrk(machine, { port: running.port, seconds })
  const othersCores = others()
  refuseFailures(`${kind.title}, ${films} films, round ${round}`, run)
  const { requests, p50Ms, p99Ms } = run
  return { round, database: kind.title, films, requestsPerSecond: requestsPerSecond(run), requests, p50Ms, p99Ms, othersCores }
}

function of(measurements: readonly Measurement[], { kind, films }: Contender): Measurement[] {
  return measurements.filter((one) => one.database === kind.title && one.films === films)
}

function tableRow(contender: Contender, measurements: readonly Measurement[]): string[] {
  const own = of(measurements, contender)
  const speed = spread(own.map((one) => one.requestsPerSecond))
  const ms = (pick: (one: Measurement) => number): string => spread(own.map(pick)).median.toFixed(2)
  const { kind, films } = contender
  return [
    kind.title,
    whole(films),
    whole(speed.median),
    `${whole(speed.min)}–${whole(speed.max)}`,
    ms((one) => one.p50Ms),
    ms((one) => one.p99Ms),
  ]
}

/** Many / few within each round. */
function judge(contenders: readonly Contender[], measurements: readonly Measurement[]): Goal[] {
  return contenders.flatMap((many) => {
    const few = contenders.find(({ kind, films }) => kind === many.kind && films < many.films)
    if (few === undefined) return []
    const base = of(measurements, few)
    const found = of(measurements, many).map((one, i) => one.requestsPerSecond / (base[i]?.requestsPerSecond ?? Number.NaN))
    return [goal(`${many.kind.title}: ${whole(many.films)} / ${whole(few.films)} films`, spread(found).median, '>=', atLeast)]
  })
}

export async function scale(machine: Machine, options: Options): Promise<Outcome> {
  const { rounds, seconds, films } = options
  if (films <= fewFilms) throw new Error(`--films must be more than ${fewFilms}: that is what it is compared with`)
  const present = catalogueKinds.filter((kind) => kind.missing() === undefined)
  const contenders: Contender[] = []
  for (const kind of present) for (const size of [fewFilms, films]) contenders.push(await startFilled(machine, kind, size))
  for (const contender of contenders) await measure(machine, contender, 0, warmUpSeconds)
  const measurements: Measurement[] = []
  for (let round = 1; round <= rounds; round++) {
    for (const contender of contenders) {
      const one = await measure(machine, contender, round, seconds)
      measurements.push(one)
      const name = `${one.database}, ${whole(one.films)} films`
      console.error(`round ${round}/${rounds}  ${whole(one.requestsPerSecond).padStart(8)} requests/s  ${name}`)
    }
  }
  return {
    headings: ['GET /', 'films', 'requests/s, median', 'min–max', 'p50 ms', 'p99 ms'],
    rows: contenders.map((contender) => tableRow(contender, measurements)),
    notes: [
      ...catalogueKinds.flatMap((kind) => (kind.missing() === undefined ? [] : [`**No figure of ${kind.title}: ${kind.missing()}.**`])),
      ...disturbance(measurements.map((one) => one.othersCores)),
      `${rounds} rounds of ${seconds} s, interleaved, ${connections} connections, keep-alive; ratios within a round.`,
    ],
    goals: judge(contenders, measurements),
    versions: Object.assign(filmgate.versions(), ...present.map((kind) => kind.versions())) as Record<string, string>,
    settings: { rounds, seconds, films, fewFilms, connections, warmUpSeconds },
    rounds: measurements,
  }
}
