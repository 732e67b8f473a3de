/* oxlint-disable no-await-in-loop -- one after the other is the point: what runs side by side measures each other */
/* Part f: what a refusal costs beside an answer, and what a client that behaves notices of a flood that is refused. */
import { setTimeout as pause } from 'node:timers/promises'
import type { FixedRateSummary } from './fixed-rate.ts'
import { type CpuMeasurement, type Loaded, measureRounds, ratiosOf } from './limits-cpu.ts'
import { type PartOutcome, row } from './limits-part.ts'
import type { Machine } from './machine.ts'
import type { Options } from './options.ts'
import { disturbance, watchOthers } from './others.ts'
import { filmgate, raisedLimits, startFilmgate } from './peers/filmgate.ts'
import { goal } from './report.ts'
import { median } from './stats.ts'
import { marginSeconds, probe, probesPerSecond } from './votes.ts'
import { connections, refuseFailures, runWrk, type WrkSummary } from './wrk.ts'

const warmUpSeconds = 3
const refusalAtMost = 0.5
const slowerAtMost = 2
const refusedAtLeast = 0.9
const flooders = 2
/** Above what the client that behaves asks for, stalls included, and far below what a flooder does. */
const perClient = 300
const unreachable = 1_000_000_000

const raisedRoute = /"GET \/" = .*/
function limitsOfRoute(only: string): string {
  return raisedLimits.replace(raisedRoute, `"GET /" = { only = "${only}" }`)
}

const served = 'served'
const refused = "refused by the route's limit"
const refusedByTotal = 'refused by `total`'

function refuseServed(run: WrkSummary): void {
  const { requests, status, connect, read, write, timeout } = run
  if (status === requests && connect + read + write + timeout === 0) return
  throw new Error(`refusals: INVALID RUN: ${requests - status} of ${requests} requests were served`)
}

/** The first answer, which the start waits for, is all that the client of a server that refuses may have. */
async function startAll(machine: Machine): Promise<Loaded[]> {
  const route = limitsOfRoute(`1 per day; ${unreachable} per hour; ${unreachable} per second`)
  const total = raisedLimits.replace(/^total = .*$/m, `total = "1 per day; ${unreachable} per second"`)
  return [
    { what: served, running: await startFilmgate(machine, { limits: raisedLimits }), check: (run) => refuseFailures(served, run) },
    { what: refused, running: await startFilmgate(machine, { limits: route }), check: refuseServed },
    { what: refusedByTotal, running: await startFilmgate(machine, { limits: total }), check: refuseServed },
  ]
}

async function refusals(machine: Machine, { rounds, seconds }: Options): Promise<CpuMeasurement[]> {
  const all = await startAll(machine)
  const measurements = await measureRounds(machine, all, { rounds, seconds }, ({ cpuUs }) => `${cpuUs.toFixed(1).padStart(6)} µs of CPU`)
  return measurements
}

interface Flooded extends FixedRateSummary {
  readonly round: number
  readonly phase: 'quiet' | 'flood'
  readonly floodPerSecond: number
  readonly refusedShare: number
  readonly othersCores: number
}

async function floodFor(machine: Machine, port: number, seconds: number) {
  const args = [unreachable, flooders]
  const run = await runWrk(machine, { port, seconds, script: 'clients.lua', args, yielding: true })
  const { admitted = 0, refused: turnedAway = 0, other = 0 } = run.counters
  const broken = run.connect + run.read + run.write + run.timeout
  if (other + broken > 0) throw new Error(`flood: INVALID RUN: ${other} answers neither 200 nor 429, ${broken} socket errors`)
  return { floodPerSecond: run.requests / run.seconds, refusedShare: turnedAway / (admitted + turnedAway) }
}

async function measureFlood(machine: Machine, port: number, round: number, phase: Flooded['phase'], seconds: number): Promise<Flooded> {
  const others = watchOthers()
  const flooding = phase === 'quiet' ? { floodPerSecond: 0, refusedShare: 0 } : floodFor(machine, port, seconds + 2 * marginSeconds)
  const probing = phase === 'quiet' ? probe(machine, port, seconds) : pause(marginSeconds * 1000).then(() => probe(machine, port, seconds))
  const [flooded, summary] = await Promise.all([flooding, probing])
  console.error(`round ${round}  ${phase}  p99 ${summary.p99Ms.toFixed(2)} ms  refused ${(flooded.refusedShare * 100).toFixed(1)} %`)
  return { round, phase, ...flooded, ...summary, othersCores: others() }
}

/** The flooders come through a proxy, the client that behaves is the proxy's own machine. */
async function floods(machine: Machine, { rounds, seconds }: Options): Promise<Flooded[]> {
  const limits = limitsOfRoute(`${perClient} per second; ${unreachable} per hour; ${unreachable} per day`)
  const { program, port } = await startFilmgate(machine, { limits, trustedProxies: ['127.0.0.1/32'] })
  await floodFor(machine, port, warmUpSeconds)
  await probe(machine, port, warmUpSeconds)
  const measurements: Flooded[] = []
  for (let round = 1; round <= rounds; round++) {
    for (const phase of ['quiet', 'flood'] as const) measurements.push(await measureFlood(machine, port, round, phase, seconds))
  }
  await program.stop()
  return measurements
}

function cpuRows(measurements: readonly CpuMeasurement[]): string[][] {
  return [served, refused, refusedByTotal].flatMap((what) => {
    const own = measurements.filter((one) => one.what === what)
    return [
      row(
        `GET / ${what}`,
        own.map((one) => one.cpuUs),
        'µs of CPU/request',
      ),
      row(
        `GET / ${what}`,
        own.map((one) => one.requestsPerSecond),
        'requests/s',
        0,
      ),
    ]
  })
}

export async function flood(machine: Machine, options: Options): Promise<PartOutcome> {
  const cpu = await refusals(machine, options)
  const both = await floods(machine, options)
  const of = (phase: Flooded['phase']): Flooded[] => both.filter((one) => one.phase === phase)
  const [quiet, flooded] = [of('quiet'), of('flood')]
  const cheaper = ratiosOf(cpu, refused, served, (one) => one.cpuUs)
  const cheaperByTotal = ratiosOf(cpu, refusedByTotal, served, (one) => one.cpuUs)
  const slower = flooded.map((one, i) => one.p99Ms / (quiet[i]?.p99Ms ?? Number.NaN))
  const shares = flooded.map((one) => one.refusedShare)
  return {
    rows: [
      ...cpuRows(cpu),
      row("CPU of a refusal by the route's limit / of an answer", cheaper, ''),
      row('CPU of a refusal by `total` / of an answer', cheaperByTotal, ''),
      row(
        'flood',
        flooded.map((one) => one.floodPerSecond),
        'requests/s',
        0,
      ),
      row(
        'refused of the flood',
        shares.map((share) => share * 100),
        '%',
        1,
      ),
      row(
        'p99 of the client that behaves, quiet',
        quiet.map((one) => one.p99Ms),
        'ms',
      ),
      row(
        'p99 of the client that behaves, flood',
        flooded.map((one) => one.p99Ms),
        'ms',
      ),
      row('p99, flood / quiet', slower, ''),
    ],
    notes: [
      ...disturbance([...cpu, ...both].map((one) => one.othersCores)),
      `CPU: user and system time of the program, a line of the log for each answer, and an event beside it for each refusal. The ` +
        `route's limit comes after \`total\`; a flood under the default limits is mostly refused by \`total\`. Flood: ${flooders} clients with ${perClient} per second each, ${connections} connections as fast as they can; beside ` +
        `it another client asks ${probesPerSecond} times a second and is never refused, timed from the moment it was due.`,
    ],
    goals: [
      goal("CPU of a refusal by the route's limit / of an answer", median(cheaper), '<=', refusalAtMost),
      goal('CPU of a refusal by `total` / of an answer', median(cheaperByTotal), '<=', refusalAtMost),
      goal('refused share of the flood', median(shares), '>=', refusedAtLeast),
      goal('p99 of the client that behaves, flood / quiet', median(slower), '<=', slowerAtMost),
    ],
    versions: filmgate.versions(),
    rounds: [...cpu, ...both],
  }
}
