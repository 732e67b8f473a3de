/* oxlint-disable no-await-in-loop -- one after the other is the point: what runs side by side measures each other */
/* Part c: what many clients take of memory and time, on the whole program and in the store alone. */
import { fileURLToPath } from 'node:url'
import type { Exhaustion } from './limits-exhaust.ts'
import { type PartOutcome, row } from './limits-part.ts'
import { type Machine, onServerCore, packageVersions } from './machine.ts'
import { type Crowd, manyClients, requestsPerClient } from './memory.ts'
import type { Options } from './options.ts'
import { disturbance, watchOthers } from './others.ts'
import { capture } from './processes.ts'
import { type Goal, goal, whole } from './report.ts'

/** What src/layers/rate-limit/memory-store.ts says that a log takes at most, in bytes. */
const documentedLogBytes = 3100
const mostGrowthMb = 300
const slowerAtMost = 2
/** After 4 hours a client has used up "200 per day" too, 50 an hour; with so many fewer clients it takes as long. */
const scenarios = [
  { hours: 1, share: 1 },
  { hours: 4, share: 0.1 },
] as const

interface Exhausted extends Exhaustion {
  readonly hours: number
  readonly othersCores: number
}

async function exhaust(machine: Machine, clients: number, hours: number): Promise<Exhausted> {
  const program = fileURLToPath(new URL('limits-exhaust.ts', import.meta.url))
  const command = [process.execPath, '--max-old-space-size=1024', program, String(clients), String(hours)]
  const others = watchOthers()
  const measured = JSON.parse(await capture(onServerCore(machine, command))) as Exhaustion
  console.error(`${whole(clients)} clients, ${hours} h: ${whole(measured.decisions)} decisions in ${measured.seconds.toFixed(0)} s`)
  return { ...measured, hours, othersCores: others() }
}

function title({ clients, hours }: Exhausted): string {
  return `${whole(clients)} clients exhaust "50 per hour${hours > 1 ? '; 200 per day' : ''}"`
}

function rowsOf(one: Exhausted): string[][] {
  const bytes = (one.growthMb * 1e6) / one.logs
  return [
    row(`${title(one)}: growth`, [one.growthMb], 'MB', 0),
    row(`${title(one)}: growth / log`, [bytes], 'bytes', 0),
    row(`${title(one)}: p99, first tenth of the newcomers`, [one.firstClientsP99Us], 'µs'),
    row(`${title(one)}: p99, last tenth of the newcomers`, [one.lastClientsP99Us], 'µs'),
    row(`${title(one)}: p99, second turn`, [one.secondTurnP99Us], 'µs'),
    row(`${title(one)}: p99, last turn admitted`, [one.lastTurnP99Us], 'µs'),
    row(`${title(one)}: p99, refused`, [one.refusedP99Us], 'µs'),
  ]
}

function goalsOf(one: Exhausted): Goal[] {
  return [
    goal(`${title(one)}: growth in MB`, one.growthMb, '<=', (one.logs * documentedLogBytes) / 1e6),
    goal(`${title(one)}: p99, last / first newcomers`, one.lastClientsP99Us / one.firstClientsP99Us, '<=', slowerAtMost),
    goal(`${title(one)}: p99, last / second turn`, one.lastTurnP99Us / one.secondTurnP99Us, '<=', slowerAtMost),
  ]
}

function crowdGoals({ growth, exhaustedStatus, freshStatus }: Crowd): Goal[] {
  return [
    goal('growth of the program in MB, default limits', growth.afterMb - growth.warmMb, '<', mostGrowthMb),
    goal('refused of those clients', growth.refused, '<=', 0),
    goal('the exhausted client is still refused (1 = 429)', exhaustedStatus === 429 ? 1 : 0, '>=', 1),
    goal('a new client is still admitted (1 = 200)', freshStatus === 200 ? 1 : 0, '>=', 1),
  ]
}

export async function crowd(machine: Machine, { clients }: Options): Promise<PartOutcome> {
  const seen = await manyClients(machine, clients)
  const exhausted: Exhausted[] = []
  for (const { hours, share } of scenarios) exhausted.push(await exhaust(machine, Math.max(1000, Math.round(clients * share)), hours))
  return {
    rows: [
      row(
        `${whole(clients)} clients, ${requestsPerClient} requests each over HTTP: growth`,
        [seen.growth.afterMb - seen.growth.warmMb],
        'MB',
        0,
      ),
      ...exhausted.flatMap(rowsOf),
    ],
    notes: [
      ...disturbance(exhausted.map(({ othersCores }) => othersCores)),
      'MB = 10^6 bytes of resident set. Over HTTP: default limits but for "1 per second", as in `memory`. Exhausted: the store alone, every client ' +
        'in turn until all are refused, so that all logs grow at the same time; an hour passes between one exhaustion and the next. The bound is ' +
        `the documented ${whole(documentedLogBytes)} bytes a log, one log a client (max_tracked_clients has room for four each). ` +
        'p99 of every eighth decision with its key.',
    ],
    goals: [...crowdGoals(seen), ...exhausted.flatMap(goalsOf)],
    versions: packageVersions(['fastify']),
    rounds: [{ ...seen }, ...exhausted],
  }
}
