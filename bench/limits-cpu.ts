/* oxlint-disable no-await-in-loop -- one after the other is the point: what runs side by side measures each other */
import type { Machine } from './machine.ts'
import type { Options } from './options.ts'
import { cpuSeconds, watchOthers } from './others.ts'
import type { RunningPeer } from './peers/peer.ts'
import { requestsPerSecond, runWrk, type WrkSummary } from './wrk.ts'

export interface CpuMeasurement {
  readonly round: number
  readonly what: string
  readonly requestsPerSecond: number
  readonly requests: number
  readonly refused: number
  /** Microseconds of a core of the server's process, all threads, for each request; the load's and the database's are not in it. */
  readonly cpuUs: number
  readonly p99Ms: number
  readonly othersCores: number
}

export interface Loaded {
  readonly what: string
  readonly running: RunningPeer
  readonly headers?: Readonly<Record<string, string>>
  /** Throws unless the answers were those that are meant. */
  readonly check: (run: WrkSummary) => void
}

async function measureCpu(
  machine: Machine,
  { what, running, headers, check }: Loaded,
  round: number,
  seconds: number,
): Promise<CpuMeasurement> {
  const { pid } = running.program
  const [others, before] = [watchOthers(), cpuSeconds(pid)]
  const run = await runWrk(machine, { port: running.port, secure: running.secure, seconds, headers })
  const [used, othersCores] = [cpuSeconds(pid) - before, others()]
  check(run)
  const { requests, status: refused, p99Ms } = run
  return { round, what, requestsPerSecond: requestsPerSecond(run), requests, refused, cpuUs: (used / requests) * 1e6, p99Ms, othersCores }
}

const warmUpSeconds = 3

/** All of them warmed up, then measured in each round one after the other, then stopped. `shown` is what the progress says of one. */
export async function measureRounds(
  machine: Machine,
  all: readonly Loaded[],
  { rounds, seconds }: Pick<Options, 'rounds' | 'seconds'>,
  shown: (one: CpuMeasurement) => string,
): Promise<CpuMeasurement[]> {
  for (const one of all) await measureCpu(machine, one, 0, warmUpSeconds)
  const measurements: CpuMeasurement[] = []
  for (let round = 1; round <= rounds; round++) {
    for (const each of all) {
      const one = await measureCpu(machine, each, round, seconds)
      measurements.push(one)
      console.error(`round ${round}/${rounds}  ${shown(one)}  ${one.what}`)
    }
  }
  for (const running of new Set(all.map((one) => one.running))) await running.program.stop()
  return measurements
}

/** `over` / `under` of each round, so that what slows the machine for a while slows both. */
export function ratiosOf(
  measurements: readonly CpuMeasurement[],
  over: string,
  under: string,
  pick: (one: CpuMeasurement) => number,
): number[] {
  return measurements
    .filter(({ what }) => what === over)
    .flatMap((one) => {
      const other = measurements.find(({ what, round }) => what === under && round === one.round)
      return other === undefined ? [] : [pick(one) / pick(other)]
    })
}
