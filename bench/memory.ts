/* oxlint-disable no-await-in-loop -- one after the other is the point: what runs side by side measures each other */
import { readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { type Machine, packageVersions } from './machine.ts'
import type { Options } from './options.ts'
import { raisedLimits, startFilmgate } from './peers/filmgate.ts'
import type { RunningPeer } from './peers/peer.ts'
import { get } from './probe.ts'
import { type Goal, goal, type Outcome, whole } from './report.ts'
import { median } from './stats.ts'
import { runWrk, type WrkSummary } from './wrk.ts'

export const requestsPerClient = 3
const maxSeconds = 900
const settleMs = 2000
/** The heap of V8 takes its working size in the first requests, whatever the server keeps: growth is counted after as many. */
const warmUpRequests = 100_000

/** Contract defaults but for "1 per second" on GET /, so that three requests of one client may come at any distance. */
const admittingLimits = `
[limits.routes]
"GET /" = { only = "50 per hour; 200 per day" }
`
const perHour = 50
/** Below the 20 per second that everything together is limited to. */
const exhaustPauseMs = 70
// Documentation addresses: clients.lua never sends them.
const exhausted = '203.0.113.7'
const fresh = '203.0.113.8'

interface Growth {
  readonly scenario: string
  readonly readyMb: number
  readonly warmMb: number
  readonly afterMb: number
  readonly peakMb: number
  readonly seconds: number
  readonly admitted: number
  readonly refused: number
}

export function statusMb(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const kb = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  if (kb === undefined) throw new Error(`no ${field} of ${pid}`)
  return (Number(kb) * 1024) / 1e6
}

/** Median of five readings over a second, once the last requests are over. */
async function residentMb(pid: number): Promise<number> {
  await pause(settleMs)
  const readings: number[] = []
  for (let i = 0; i < 5; i++) {
    readings.push(statusMb(pid, 'VmRSS'))
    await pause(200)
  }
  return median(readings)
}

async function send(machine: Machine, { port }: RunningPeer, requests: number, clients: number): Promise<WrkSummary> {
  const run = await runWrk(machine, { port, seconds: maxSeconds, script: 'clients.lua', args: [requests, clients], reached: 'REACHED' })
  const { admitted = 0, refused = 0, other = 0 } = run.counters
  const broken = run.connect + run.read + run.write + run.timeout
  if (other + broken > 0) throw new Error(`memory: INVALID RUN: ${other} answers neither 200 nor 429, ${broken} socket errors`)
  if (admitted + refused < requests) throw new Error(`memory: INVALID RUN: ${admitted + refused} of ${requests} answers in ${maxSeconds} s`)
  return run
}

async function grow(
  machine: Machine,
  peer: RunningPeer,
  scenario: string,
  requests: number,
  clients: number,
  warmUp: number,
): Promise<Growth> {
  const { pid } = peer.program
  const readyMb = await residentMb(pid)
  if (warmUp > 0) await send(machine, peer, warmUp, clients)
  const warmMb = warmUp > 0 ? await residentMb(pid) : readyMb
  console.error(`${scenario}: ${readyMb.toFixed(0)} MB when ready, ${warmMb.toFixed(0)} MB warm; sending ${whole(requests)} requests`)
  const run = await send(machine, peer, requests, clients)
  const afterMb = await residentMb(pid)
  const { admitted = 0, refused = 0 } = run.counters
  return {
    scenario,
    readyMb,
    warmMb,
    afterMb,
    peakMb: statusMb(pid, 'VmHWM'),
    seconds: run.seconds,
    admitted,
    refused,
  }
}

async function oneClient(machine: Machine, requests: number): Promise<Growth> {
  const peer = await startFilmgate(machine, { limits: raisedLimits })
  const growth = await grow(machine, peer, 'one client', requests, 1, warmUpRequests)
  await peer.program.stop()
  if (growth.refused > 0) throw new Error(`memory: INVALID RUN: ${growth.refused} requests of the one client were refused`)
  return growth
}

async function statusFor(port: number, address: string): Promise<number> {
  return (await get(port, { headers: { 'x-forwarded-for': address } })).status
}

/** Uses one client's hour up; 429 must come with request 51, not before. */
async function exhaust(port: number): Promise<void> {
  for (let i = 1; i <= perHour + 1; i++) {
    const [status, wanted] = [await statusFor(port, exhausted), i <= perHour ? 200 : 429]
    if (status !== wanted)
      throw new Error(`memory: request ${i} of one client got ${status}, not ${wanted}: its limit is ${perHour} per hour`)
    await pause(exhaustPauseMs)
  }
}

export interface Crowd {
  readonly growth: Growth
  readonly exhaustedStatus: number
  readonly freshStatus: number
}

export async function manyClients(machine: Machine, clients: number): Promise<Crowd> {
  const peer = await startFilmgate(machine, { limits: admittingLimits, trustedProxies: ['127.0.0.1/32'] })
  await exhaust(peer.port)
  // No warm-up: it would be part of the million. The growth of the heap itself is counted too.
  const growth = await grow(machine, peer, `${whole(clients)} clients`, clients * requestsPerClient, clients, 0)
  const [exhaustedStatus, freshStatus] = [await statusFor(peer.port, exhausted), await statusFor(peer.port, fresh)]
  await peer.program.stop()
  return { growth, exhaustedStatus, freshStatus }
}

function tableRow({ scenario, readyMb, warmMb, afterMb, peakMb, admitted, refused, seconds }: Growth): string[] {
  const mb = [readyMb, warmMb, afterMb, peakMb].map((value) => value.toFixed(0))
  return [scenario, whole(admitted + refused), ...mb, (afterMb - warmMb).toFixed(1), whole(refused), seconds.toFixed(0)]
}

function yes(condition: boolean): number {
  return condition ? 1 : 0
}

function goals(one: Growth, { growth, exhaustedStatus, freshStatus }: Crowd): Goal[] {
  return [
    goal('growth in MB, one client', one.afterMb - one.warmMb, '<', 20),
    goal('growth in MB, many clients', growth.afterMb - growth.warmMb, '<', 300),
    goal('refused of many clients', growth.refused, '<=', 0),
    goal('the exhausted client is still refused (1 = 429)', yes(exhaustedStatus === 429), '>=', 1),
    goal('a new client is still admitted (1 = 200)', yes(freshStatus === 200), '>=', 1),
  ]
}

export async function memory(machine: Machine, options: Options): Promise<Outcome> {
  const { requests, clients } = options
  const one = await oneClient(machine, requests)
  const crowd = await manyClients(machine, clients)
  return {
    headings: ['resident set', 'requests', 'ready MB', 'warm MB', 'after MB', 'peak MB', 'growth MB', 'refused', 'seconds'],
    rows: [one, crowd.growth].map(tableRow),
    notes: [
      `MB = 10^6 bytes of VmRSS, all threads. One client: limits raised but counted, growth after ${whole(warmUpRequests)} requests of warm-up. ` +
        `Many clients: ${requestsPerClient} requests each to GET /, addresses by X-Forwarded-For, default limits but for "1 per second", ` +
        'growth since ready. Before them one client used its hour up; afterwards it must still be refused.',
    ],
    goals: goals(one, crowd),
    versions: packageVersions(['fastify']),
    settings: { requests, clients, requestsPerClient, warmUpRequests },
    rounds: [one, crowd.growth, { exhaustedStatus: crowd.exhaustedStatus, freshStatus: crowd.freshStatus }],
  }
}
