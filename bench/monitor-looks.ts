/* What a single look of the monitor costs, without a server around it. */
import { fileURLToPath } from 'node:url'
import { type PartOutcome, row } from './limits-part.ts'
import { type Machine, onServerCore } from './machine.ts'
import type { LookBlocks, LookName } from './monitor-loop.ts'
import type { Options } from './options.ts'
import { disturbance, watchOthers } from './others.ts'
import { capture } from './processes.ts'
import { goal } from './report.ts'
import { median } from './stats.ts'

const blocksPerRound = 4
/** Of a ban check, whatever is banned. */
const atMostUs = 0.3

const titles: Readonly<Record<LookName, string>> = {
  banNone: 'ban check, nobody banned',
  banPrefixes: 'ban check, 100,000 clients banned',
  banRanges: 'ban check, 100,000 clients and 2,000 ranges banned, IPv4',
  banRanges6: 'ban check, 100,000 clients and 2,000 ranges banned, IPv6',
  plainRequest: 'GET / that went well, seen by all rules',
  agentOfMany: 'the same, of 1,000 different agents in turn',
  vote: 'a vote',
  notFoundKnownClient: '404 of a client that had some before',
  notFoundNewClient: '404 of a new client',
  loginFailure: 'a failed login',
}
const checks = ['banNone', 'banPrefixes', 'banRanges', 'banRanges6'] as const

export async function looks(machine: Machine, { rounds }: Options): Promise<PartOutcome> {
  const program = fileURLToPath(new URL('monitor-loop.ts', import.meta.url))
  const others = watchOthers()
  const output = await capture(onServerCore(machine, [process.execPath, program, String(rounds * blocksPerRound)]))
  const othersCores = others()
  const { looksPerBlock, rules, nanoseconds } = JSON.parse(output) as LookBlocks
  const microseconds = (name: LookName): number[] => nanoseconds[name].map((ns) => ns / 1000)
  const names = Object.keys(titles) as LookName[]
  return {
    rows: names.map((name) => row(titles[name], microseconds(name), 'µs', 3)),
    notes: [
      ...disturbance([othersCores]),
      `Medians of ${rounds * blocksPerRound} blocks of ${looksPerBlock} looks, interleaved, in one process, ${rules} rules.`,
    ],
    goals: checks.map((name) => goal(`µs, ${titles[name]}`, median(microseconds(name)), '<=', atMostUs)),
    versions: {},
    rounds: names.map((name) => ({ name, nanoseconds: nanoseconds[name], othersCores })),
  }
}
