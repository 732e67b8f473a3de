/** What the edge costs: HTTPS beside plain HTTP, headers and CORS on bare Fastify, and slow connections beside GET /. */
import { slowConnections } from './edge-slow.ts'
import { type CpuMeasurement, type Loaded, measureRounds, ratiosOf } from './limits-cpu.ts'
import { headings, type PartOutcome, row } from './limits-part.ts'
import type { Machine } from './machine.ts'
import type { Options } from './options.ts'
import { disturbance } from './others.ts'
import { bare } from './peers/all.ts'
import { filmgate, raisedLimits, startFilmgate } from './peers/filmgate.ts'
import { programPeer } from './peers/peer.ts'
import { goal, type Outcome, whole } from './report.ts'
import { median } from './stats.ts'
import { connections, refuseFailures } from './wrk.ts'

const edgeLayers = programPeer('fastify-edge', 'bare Fastify + our headers and CORS', ['fastify'])
const crossOrigin = `${edgeLayers.title}, asked from another origin`
const plain = 'Filmgate, HTTP'
const secure = 'Filmgate, HTTPS'

const speedOf = (one: CpuMeasurement): number => one.requestsPerSecond
const costOf = (one: CpuMeasurement): number => one.cpuUs

async function servers(machine: Machine): Promise<Loaded[]> {
  const layers = await edgeLayers.start(machine)
  const all: readonly Omit<Loaded, 'check'>[] = [
    { what: plain, running: await startFilmgate(machine, { limits: raisedLimits }) },
    { what: secure, running: await startFilmgate(machine, { limits: raisedLimits, secure: true }) },
    { what: bare.title, running: await bare.start(machine) },
    { what: edgeLayers.title, running: layers },
    { what: crossOrigin, running: layers, headers: { Origin: 'https://app.example.com' } },
  ]
  return all.map((one) => ({ ...one, check: (run) => refuseFailures(one.what, run) }))
}

async function throughput(machine: Machine, options: Options): Promise<PartOutcome> {
  const all = await servers(machine)
  const rounds = await measureRounds(machine, all, options, (one) => `${whole(one.requestsPerSecond).padStart(8)} requests/s`)
  const of = (what: string, pick: (one: CpuMeasurement) => number): number[] => rounds.filter((one) => one.what === what).map(pick)
  const ratios = (over: string, under: string): number[] => ratiosOf(rounds, over, under, speedOf)
  return {
    rows: [
      ...all.map(({ what }) => row(what, of(what, speedOf), 'requests/s', 0)),
      ...all.map(({ what }) => row(what, of(what, costOf), 'µs of CPU/request')),
      row(secure, ratios(secure, plain), '/ HTTP'),
      row(edgeLayers.title, ratios(edgeLayers.title, bare.title), '/ bare Fastify'),
      row(crossOrigin, ratios(crossOrigin, bare.title), '/ bare Fastify'),
    ],
    notes: [
      ...disturbance(rounds.map((one) => one.othersCores)),
      `GET /, ${options.rounds} rounds of ${options.seconds} s, interleaved, ${connections} connections, keep-alive, TLS 1.3 with ECDSA P-256; ratios within a round.`,
    ],
    goals: [
      goal('HTTPS / HTTP', median(ratios(secure, plain)), '>=', 0.75),
      goal('headers and CORS / bare Fastify', median(ratios(edgeLayers.title, bare.title)), '>=', 0.88),
      goal('the same, asked from another origin', median(ratios(crossOrigin, bare.title)), '>=', 0.88),
    ],
    versions: filmgate.versions(),
    rounds,
  }
}

export async function edge(machine: Machine, options: Options): Promise<Outcome> {
  const { rounds, seconds } = options
  const parts = [await slowConnections(machine, options), await throughput(machine, options)]
  return {
    headings: ['edge', ...headings.slice(1)],
    rows: parts.flatMap((part) => part.rows),
    notes: parts.flatMap((part) => part.notes),
    goals: parts.flatMap((part) => part.goals),
    versions: filmgate.versions(),
    settings: { rounds, seconds, connections },
    rounds: parts.flatMap((part) => part.rounds),
  }
}
