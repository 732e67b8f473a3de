/* oxlint-disable no-await-in-loop -- one after the other is the point: what runs side by side measures each other */
import { type Machine, packageVersions } from './machine.ts'
import type { Options } from './options.ts'
import { filmgate, filmgateExists } from './peers/filmgate.ts'
import { disturbance, watchOthers } from './others.ts'
import { type Peer, programPeer, type RunningPeer } from './peers/peer.ts'
import { type Goal, goal, type Outcome, whole } from './report.ts'
import { spread } from './stats.ts'
import { connections, refuseFailures, requestsPerSecond, runWrk } from './wrk.ts'

const warmUpSeconds = 3

const bare = programPeer('bare-fastify', 'bare Fastify', ['fastify'])
const plugins = programPeer('fastify-plugins', 'Fastify + helmet, cors, rate-limit, pino', [
  'fastify',
  '@fastify/helmet',
  '@fastify/cors',
  '@fastify/rate-limit',
  'pino',
])
const allPeers: readonly Peer[] = [bare, plugins, filmgate]

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

function choosePeers(wanted: readonly string[] | undefined): Peer[] {
  const unknown = wanted?.filter((file) => !allPeers.some((peer) => peer.file === file)) ?? []
  if (unknown.length > 0) throw new Error(`no such peer: ${unknown.join(', ')} (${allPeers.map(({ file }) => file).join(', ')})`)
  const available = allPeers.filter((peer) => peer !== filmgate || filmgateExists())
  return available.filter((peer) => peer === bare || wanted === undefined || wanted.includes(peer.file))
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
  const goals: Goal[] = []
  const toBare = ratios(measurements, filmgate, bare)
  const toPlugins = ratios(measurements, filmgate, plugins)
  if (toBare.length > 0) goals.push(goal('Filmgate / bare Fastify', spread(toBare).median, '>=', 0.6))
  if (toPlugins.length > 0) goals.push(goal('Filmgate / Fastify + plugins', spread(toPlugins).median, '>=', 2.5))
  return goals
}

export async function throughput(machine: Machine, options: Options): Promise<Outcome> {
  const { rounds, seconds } = options
  const contenders: Contender[] = []
  for (const peer of choosePeers(options.peers)) contenders.push({ peer, running: await peer.start(machine) })
  for (const contender of contenders) await measure(machine, contender, 0, warmUpSeconds)
  const measurements: Measurement[] = []
  for (let round = 1; round <= rounds; round++) {
    for (const contender of contenders) {
      const one = await measure(machine, contender, round, seconds)
      measurements.push(one)
      console.error(`round ${round}/${rounds}  ${whole(one.requestsPerSecond).padStart(8)} requests/s  ${contender.peer.title}`)
    }
  }
  const missing = filmgateExists() ? [] : ['**Filmgate itself is missing here: there is no src/main.ts.**']
  return {
    headings: ['GET /', 'requests/s, median', 'min–max', '/ bare Fastify', 'min–max', 'p99 ms', 'body bytes'],
    rows: contenders.map((contender) => tableRow(contender, measurements)),
    notes: [
      ...missing,
      ...disturbance(measurements.map((one) => one.othersCores)),
      `${rounds} rounds of ${seconds} s, interleaved, ${connections} connections, keep-alive; ratios within a round.`,
    ],
    goals: judge(measurements),
    versions: packageVersions([...new Set(contenders.flatMap(({ peer }) => peer.packages))]),
    settings: { rounds, seconds, connections, warmUpSeconds },
    rounds: measurements,
  }
}
