/* oxlint-disable no-await-in-loop -- one after the other is the point: what runs side by side measures each other */
import type { Machine } from './machine.ts'
import type { Options } from './options.ts'
import { disturbance, watchOthers } from './others.ts'
import { allPeers, bare, express, hono, plugins } from './peers/all.ts'
import { filmgate, filmgatePostgres } from './peers/filmgate.ts'
import { flask } from './peers/flask.ts'
import type { Peer, RunningPeer } from './peers/peer.ts'
import { type Goal, goal, type Outcome, whole } from './report.ts'
import { median, spread } from './stats.ts'
import { connections, refuseFailures, requestsPerSecond, runWrk } from './wrk.ts'

const warmUpSeconds = 3

/** What Filmgate's requests/s shall be at least, as a multiple of theirs. */
const multiples: readonly (readonly [over: Peer, under: Peer, atLeast: number])[] = [
  [filmgate, bare, 0.6],
  [filmgate, plugins, 2.5],
  [filmgate, express, 2.5],
  [filmgate, hono, 2.5],
  [filmgate, flask, 15],
  [filmgatePostgres, filmgate, 0.8],
]

interface Measurement {
  readonly round: number
  readonly peer: string
  readonly requestsPerSecond: number
  readonly requests: number
  readonly seconds: number
  readonly refused: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly othersCores: number
}

interface Contender {
  readonly peer: Peer
  readonly running: RunningPeer
}

/** Those that were asked for. */
function choosePeers(wanted: readonly string[] | undefined): Peer[] {
  const unknown = wanted?.filter((file) => !allPeers.some((peer) => peer.file === file)) ?? []
  if (unknown.length > 0) throw new Error(`no such peer: ${unknown.join(', ')} (${allPeers.map(({ file }) => file).join(', ')})`)
  return allPeers.filter((peer) => peer === bare || wanted === undefined || wanted.includes(peer.file))
}

async function measure(machine: Machine, { peer, running }: Contender, round: number, seconds: number): Promise<Measurement> {
  const others = watchOthers()
  const run = await runWrk(machine, { port: running.port, seconds })
  const othersCores = others()
  refuseFailures(`${peer.title}, round ${round}`, run)
  const { requests, status: refused, p50Ms, p99Ms } = run
  const speed = requestsPerSecond(run)
  return { round, peer: peer.file, requestsPerSecond: speed, requests, seconds: run.seconds, refused, p50Ms, p99Ms, othersCores }
}

/** Round by round `over` / `under`, so that what slows the machine for a while slows both. */
function ratios(measurements: readonly Measurement[], over: Peer, under: Peer): number[] {
  const inRound = (peer: Peer, round: number) => measurements.find((one) => one.peer === peer.file && one.round === round)
  return measurements
    .filter(({ peer }) => peer === over.file)
    .flatMap((one) => {
      const other = inRound(under, one.round)
      return other === undefined ? [] : [one.requestsPerSecond / other.requestsPerSecond]
    })
}

function tableRow({ peer, running }: Contender, measurements: readonly Measurement[]): string[] {
  const own = measurements.filter((one) => one.peer === peer.file)
  const speed = spread(own.map((one) => one.requestsPerSecond))
  const ratio = spread(ratios(measurements, peer, bare))
  return [
    peer.title,
    whole(speed.median),
    `${whole(speed.min)}–${whole(speed.max)}`,
    ratio.median.toFixed(2),
    `${ratio.min.toFixed(2)}–${ratio.max.toFixed(2)}`,
    spread(own.map((one) => one.p99Ms)).median.toFixed(2),
    String(Buffer.byteLength(running.body)),
  ]
}

function judge(measurements: readonly Measurement[]): Goal[] {
  return multiples.flatMap(([over, under, atLeast]) => {
    const found = ratios(measurements, over, under)
    return found.length === 0 ? [] : [goal(`${over.title} / ${under.title}`, median(found), '>=', atLeast)]
  })
}

export async function throughput(machine: Machine, options: Options): Promise<Outcome> {
  const { rounds, seconds } = options
  const chosen = choosePeers(options.peers)
  const absent = chosen.flatMap((peer) => [peer.missing()].flatMap((reason) => (reason === undefined ? [] : [{ peer, reason }])))
  const contenders: Contender[] = []
  for (const peer of chosen.filter((one) => absent.every(({ peer: other }) => other !== one))) {
    contenders.push({ peer, running: await peer.start(machine) })
  }
  for (const contender of contenders) await measure(machine, contender, 0, warmUpSeconds)
  const measurements: Measurement[] = []
  for (let round = 1; round <= rounds; round++) {
    for (const contender of contenders) {
      const one = await measure(machine, contender, round, seconds)
      measurements.push(one)
      console.error(`round ${round}/${rounds}  ${whole(one.requestsPerSecond).padStart(8)} requests/s  ${contender.peer.title}`)
    }
  }
  return {
    headings: ['GET /', 'requests/s, median', 'min–max', '/ bare Fastify', 'min–max', 'p99 ms', 'body bytes'],
    rows: contenders.map((contender) => tableRow(contender, measurements)),
    notes: [
      ...absent.map(({ peer, reason }) => `**No figure of ${peer.title}: ${reason}.**`),
      ...disturbance(measurements.map((one) => one.othersCores)),
      `${rounds} rounds of ${seconds} s, interleaved, ${connections} connections, keep-alive; ratios within a round.`,
      ...(contenders.some(({ peer }) => peer === flask)
        ? ["gunicorn's sync worker knows no keep-alive: each of its answers has a connection."]
        : []),
    ],
    goals: judge(measurements),
    versions: Object.assign({}, ...contenders.map(({ peer }) => peer.versions())) as Record<string, string>,
    settings: { rounds, seconds, connections, warmUpSeconds },
    rounds: measurements,
  }
}
