/* oxlint-disable no-await-in-loop -- one after the other is the point: what runs side by side measures each other */
/* Part b: what is left of the requests per second of a server without limits when it has some. */
import { type CpuMeasurement, type Loaded, measureRounds, ratiosOf } from './limits-cpu.ts'
import { type PartOutcome, row } from './limits-part.ts'
import type { Machine } from './machine.ts'
import type { Options } from './options.ts'
import { disturbance } from './others.ts'
import { bare } from './peers/all.ts'
import { limiters, routeLimits } from './peers/limiters.ts'
import { goal, whole } from './report.ts'
import { median } from './stats.ts'
import { connections, refuseFailures } from './wrk.ts'

const atLeast = 0.95

export async function overhead(machine: Machine, { rounds, seconds }: Options): Promise<PartOutcome> {
  const all: Loaded[] = []
  for (const peer of [bare, ...limiters]) {
    const { title: what } = peer
    all.push({ what, running: await peer.start(machine), check: (run) => refuseFailures(what, run) })
  }
  const measurements = await measureRounds(
    machine,
    all,
    { rounds, seconds },
    ({ requestsPerSecond: speed }) => `${whole(speed).padStart(8)} requests/s`,
  )
  const of = (title: string): CpuMeasurement[] => measurements.filter(({ what }) => what === title)
  const speeds = (title: string): number[] => ratiosOf(measurements, title, bare.title, (one) => one.requestsPerSecond)
  return {
    rows: [
      ...all.map(({ what }) =>
        row(
          what,
          of(what).map((one) => one.requestsPerSecond),
          'requests/s',
          0,
        ),
      ),
      ...all.map(({ what }) =>
        row(
          what,
          of(what).map((one) => one.cpuUs),
          'µs of CPU/request',
        ),
      ),
      ...limiters.map(({ title }) => row(title, speeds(title), '/ bare Fastify')),
    ],
    notes: [
      ...disturbance(measurements.map((one) => one.othersCores)),
      `GET /, ${rounds} rounds of ${seconds} s, interleaved, ${connections} connections, keep-alive; ratios within a round. Nothing is ever refused.`,
    ],
    goals: [goal(`${routeLimits.title} / bare Fastify`, median(speeds(routeLimits.title)), '>=', atLeast)],
    versions: Object.assign({}, ...limiters.map((peer) => peer.versions())) as Record<string, string>,
    rounds: measurements,
  }
}
