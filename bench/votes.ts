/* oxlint-disable no-await-in-loop -- one after the other is the point: what runs side by side measures each other */
import { fdatasyncSync, openSync, statfsSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { FixedRateSummary } from './fixed-rate.ts'
import { type Machine, onLoadCore } from './machine.ts'
import type { Database, Options } from './options.ts'
import { disturbance, watchOthers } from './others.ts'
import { filmgate, filmgatePostgres, raisedLimits, startFilmgate } from './peers/filmgate.ts'
import { startPostgres } from './postgres.ts'
import { capture, temporaryFolder } from './processes.ts'
import { goal, type Outcome, whole } from './report.ts'
import { median, spread } from './stats.ts'
import { connections, refuseFailures, requestsPerSecond, runWrk } from './wrk.ts'

const films = 3000
export const probesPerSecond = 200
const warmUpSeconds = 3
/** Votes start this much before the fixed-rate client and end this much after it, so that it never measures a quiet server. */
export const marginSeconds = 2
const tmpfs = 0x01021994

/** 0 votes per second: as many as the connections can. */
const phases = ['quiet', 'paced', 'full'] as const
type Phase = (typeof phases)[number]

interface Measurement extends FixedRateSummary {
  readonly round: number
  readonly phase: Phase
  readonly votesPerSecond: number
  readonly votes: number
  readonly voteP99Ms: number
  readonly othersCores: number
}

/** What one durable write costs on this disk, median of 200: the number behind votes per second. Refuses a disk that is none. */
function syncCostMs(): number {
  const folder = temporaryFolder()
  if (statfsSync(folder).type === tmpfs) {
    throw new Error(`${folder} is in memory (tmpfs): a vote there is not durable. Set TMPDIR to a folder on a disk.`)
  }
  const file = openSync(join(folder, 'sync'), 'w')
  const page = Buffer.alloc(4096, 1)
  const costs = Array.from({ length: 200 }, () => {
    const start = performance.now()
    writeSync(file, page)
    fdatasyncSync(file)
    return performance.now() - start
  })
  return median(costs)
}

export async function probe(machine: Machine, port: number, seconds: number): Promise<FixedRateSummary> {
  const source = fileURLToPath(new URL('fixed-rate.ts', import.meta.url))
  const command = [process.execPath, source, String(port), String(probesPerSecond), String(seconds)]
  const summary = JSON.parse(await capture(onLoadCore(machine, command))) as FixedRateSummary
  if (summary.failed > 0) throw new Error(`GET / of the fixed-rate client: INVALID RUN: ${summary.failed} of ${summary.requests} failed`)
  return summary
}

async function vote(machine: Machine, port: number, seconds: number, votesPerSecond: number) {
  const run = await runWrk(machine, { port, seconds, script: 'votes.lua', args: [films, votesPerSecond], yielding: true })
  refuseFailures('votes', run)
  const unrecorded = run.counters['unrecorded'] ?? Number.NaN
  if (unrecorded !== 0) throw new Error(`votes: INVALID RUN: ${unrecorded} of ${run.requests} answers without "recorded":true`)
  return run
}

async function measure(machine: Machine, port: number, round: number, phase: Phase, options: Options): Promise<Measurement> {
  const { seconds } = options
  const others = watchOthers()
  if (phase === 'quiet') {
    const summary = await probe(machine, port, seconds)
    return { round, phase, votesPerSecond: 0, votes: 0, voteP99Ms: 0, othersCores: others(), ...summary }
  }
  const pace = phase === 'paced' ? options.votesPerSecond : 0
  const [run, summary] = await Promise.all([
    vote(machine, port, seconds + 2 * marginSeconds, pace),
    pause(marginSeconds * 1000).then(() => probe(machine, port, seconds)),
  ])
  const [votesPerSecond, votesCast, voteP99Ms] = [requestsPerSecond(run), run.requests, run.p99Ms]
  return { round, phase, votesPerSecond, votes: votesCast, voteP99Ms, othersCores: others(), ...summary }
}

function of(measurements: readonly Measurement[], phase: Phase): Measurement[] {
  return measurements.filter((one) => one.phase === phase)
}

/** Loaded / quiet p99 of each round. */
function p99Ratios(measurements: readonly Measurement[], phase: Phase): number[] {
  const quiet = of(measurements, 'quiet')
  return of(measurements, phase).map((one, i) => one.p99Ms / (quiet[i]?.p99Ms ?? Number.NaN))
}

function tableRow(measurements: readonly Measurement[], phase: Phase): string[] {
  const own = of(measurements, phase)
  const ratio = spread(p99Ratios(measurements, phase))
  const middle = (pick: (one: Measurement) => number): number => median(own.map(pick))
  const ms = (pick: (one: Measurement) => number): string => middle(pick).toFixed(2)
  return [
    phase,
    whole(middle((one) => one.votesPerSecond)),
    ms((one) => one.voteP99Ms),
    ms((one) => one.p50Ms),
    ms((one) => one.p99Ms),
    ms((one) => one.maxMs),
    ms((one) => one.sentLateP99Ms),
    `${ratio.median.toFixed(2)} (${ratio.min.toFixed(2)}–${ratio.max.toFixed(2)})`,
  ]
}

function goals(measurements: readonly Measurement[], database: Database): Outcome['goals'] {
  const rate = (phase: Phase): number => median(of(measurements, phase).map((one) => one.votesPerSecond))
  if (database === 'postgres') return [goal('durable votes/s on PostgreSQL, 64 connections', rate('full'), '>=', 3000)]
  return [
    goal('durable votes/s, 64 connections', rate('full'), '>=', 5000),
    goal('durable votes/s, paced', rate('paced'), '>=', 5000),
    goal('p99 of GET /, paced / quiet', median(p99Ratios(measurements, 'paced')), '<=', 3),
    goal('p99 of GET /, full / quiet', median(p99Ratios(measurements, 'full')), '<=', 3),
  ]
}

export async function votes(machine: Machine, options: Options): Promise<Outcome> {
  const syncMs = syncCostMs()
  const { database } = options
  const peer = database === 'postgres' ? filmgatePostgres : filmgate
  const absent = peer.missing()
  if (absent !== undefined) throw new Error(`votes on ${database}: ${absent}`)
  const databaseUrl = database === 'postgres' ? await startPostgres(machine, 'free') : undefined
  const { port } = await startFilmgate(machine, { limits: raisedLimits, databaseUrl })
  await vote(machine, port, warmUpSeconds, 0)
  await probe(machine, port, warmUpSeconds)
  const measurements: Measurement[] = []
  for (let round = 1; round <= options.rounds; round++) {
    for (const phase of phases) {
      const one = await measure(machine, port, round, phase, options)
      measurements.push(one)
      const [rate, p99] = [whole(one.votesPerSecond).padStart(7), one.p99Ms.toFixed(2)]
      console.error(`round ${round}/${options.rounds}  ${phase.padEnd(5)}  ${rate} votes/s  p99 of GET / ${p99} ms`)
    }
  }
  const { rounds, seconds, votesPerSecond } = options
  return {
    headings: ['phase', 'votes/s', 'vote p99 ms', 'GET / p50 ms', 'GET / p99 ms', 'GET / max ms', 'sent late p99 ms', 'p99 / quiet'],
    rows: phases.map((phase) => tableRow(measurements, phase)),
    notes: [
      ...disturbance(measurements.map((one) => one.othersCores)),
      ...(databaseUrl === undefined ? [] : ['PostgreSQL is not pinned: it has what the votes, which give way, leave of the load core.']),
      `${peer.title}. Medians of ${rounds} rounds. GET / at ${probesPerSecond}/s for ${seconds} s, timed from the moment it was due. ` +
        `Votes over ${connections} connections on ${films} films, every answer checked for "recorded":true; ` +
        `full = as fast as they can, paced = ${votesPerSecond}/s. One write with fdatasync: ${syncMs.toFixed(2)} ms.`,
    ],
    goals: goals(measurements, database),
    versions: { ...filmgate.versions(), ...peer.versions() },
    settings: { database, rounds, seconds, connections, probesPerSecond, votesPerSecond, films, syncMs },
    rounds: measurements,
  }
}
