/* Part a: what one decision of the memory store costs, without a server around it. */
import { fileURLToPath } from 'node:url'
import type { ContenderName, DecisionBlocks } from './limits-decision-loop.ts'
import { type PartOutcome, row } from './limits-part.ts'
import { type Machine, onServerCore, packageVersions } from './machine.ts'
import type { Options } from './options.ts'
import { disturbance, watchOthers } from './others.ts'
import { capture } from './processes.ts'
import { goal } from './report.ts'
import { median } from './stats.ts'

const atMostUs = 1.5
const blocksPerRound = 20

const titles: Readonly<Record<ContenderName, string>> = {
  raised: 'ours, three windows of 1,000,000,000, admitted',
  admitted: 'ours, "1 per second; 50 per hour; 200 per day", admitted',
  refused: 'ours, "1 per second; 50 per hour; 200 per day", refused',
  flexible: 'rate-limiter-flexible, one window, admitted',
  localStore: '@fastify/rate-limit, one window, admitted',
}
const ours = ['raised', 'admitted', 'refused'] as const

export async function decisions(machine: Machine, { rounds }: Options): Promise<PartOutcome> {
  const program = fileURLToPath(new URL('limits-decision-loop.ts', import.meta.url))
  const others = watchOthers()
  const output = await capture(onServerCore(machine, [process.execPath, program, String(rounds * blocksPerRound)]))
  const othersCores = others()
  const { decisionsPerBlock, clients, microseconds } = JSON.parse(output) as DecisionBlocks
  const names = Object.keys(titles) as ContenderName[]
  return {
    rows: names.map((name) => row(titles[name], microseconds[name], 'µs/decision')),
    notes: [
      ...disturbance([othersCores]),
      `Medians of ${rounds * blocksPerRound} blocks of ${decisionsPerBlock} decisions, interleaved, ${clients} clients in turn, in one process. ` +
        'Admitted by the default windows: the clock goes on by itself, so that each client comes every 450 s. ' +
        "rate-limiter-flexible's consume is awaited, as it must be; the others answer at once.",
    ],
    goals: ours.map((name) => goal(`µs, ${titles[name]}`, median(microseconds[name]), '<=', atMostUs)),
    versions: packageVersions(['rate-limiter-flexible', '@fastify/rate-limit']),
    rounds: names.map((name) => ({ name, microseconds: microseconds[name], othersCores })),
  }
}
