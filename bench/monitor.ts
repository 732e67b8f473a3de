/** What it costs that nothing goes unseen: the access log and the monitor on bare Fastify, and single looks of the monitor. */
import { measureRounds, ratiosOf, type CpuMeasurement, type Loaded } from './limits-cpu.ts'
import { headings, type PartOutcome, row } from './limits-part.ts'
import type { Machine } from './machine.ts'
import { looks } from './monitor-looks.ts'
import type { Options } from './options.ts'
import { disturbance } from './others.ts'
import { bare } from './peers/all.ts'
import { programPeer } from './peers/peer.ts'
import { goal, type Outcome, whole } from './report.ts'
import { median } from './stats.ts'
import { connections, refuseFailures } from './wrk.ts'

const logged = programPeer('fastify-log', 'bare Fastify + our access log', ['fastify'])
const watched = programPeer('fastify-monitor', 'bare Fastify + our access log and monitor', ['fastify'])
const peers = [bare, logged, watched]

const speedOf = (one: CpuMeasurement): number => one.requestsPerSecond

async function throughput(machine: Machine, options: Options): Promise<PartOutcome> {
  const all: Loaded[] = []
  for (const peer of peers)
    all.push({ what: peer.title, running: await peer.start(machine), check: (run) => refuseFailures(peer.title, run) })
  const rounds = await measureRounds(machine, all, options, (one) => `${whole(one.requestsPerSecond).padStart(8)} requests/s`)
  const of = (what: string, pick: (one: CpuMeasurement) => number): number[] => rounds.filter((one) => one.what === what).map(pick)
  const [withLog, withBoth] = [logged, watched].map(({ title }) => ratiosOf(rounds, title, bare.title, speedOf)) as [number[], number[]]
  const ofLog = withLog.map((ratio) => 1 - ratio)
  const ofMonitor = withLog.map((ratio, round) => ratio - (withBoth[round] ?? NaN))
  return {
    rows: [
      ...peers.map(({ title }) => row(title, of(title, speedOf), 'requests/s', 0)),
      ...peers.map(({ title }) =>
        row(
          title,
          of(title, (one) => one.cpuUs),
          'µs of CPU/request',
        ),
      ),
      row('what the access log takes', ofLog, 'of bare Fastify'),
      row('what the monitor takes', ofMonitor, 'of bare Fastify'),
    ],
    notes: [
      ...disturbance(rounds.map((one) => one.othersCores)),
      `GET /, ${options.rounds} rounds of ${options.seconds} s, interleaved, ${connections} connections, keep-alive; shares within a round. The log goes to a file.`,
    ],
    goals: [
      goal('share that the log takes', median(ofLog), '<=', 0.2),
      goal('share that the monitor takes', median(ofMonitor), '<=', 0.05),
    ],
    versions: bare.versions(),
    rounds,
  }
}

export async function monitor(machine: Machine, options: Options): Promise<Outcome> {
  const { rounds, seconds } = options
  const parts = [await looks(machine, options), await throughput(machine, options)]
  return {
    headings: ['monitor', ...headings.slice(1)],
    rows: parts.flatMap((part) => part.rows),
    notes: parts.flatMap((part) => part.notes),
    goals: parts.flatMap((part) => part.goals),
    versions: bare.versions(),
    settings: { rounds, seconds, connections },
    rounds: parts.flatMap((part) => part.rounds),
  }
}
