import { fileURLToPath } from 'node:url'
import { type Machine, onLoadCore, yielding } from './machine.ts'
import { capture } from './processes.ts'

export const connections = 64

/** What summary.lua prints. `status` counts answers of 400 and above. */
export interface WrkSummary {
  readonly requests: number
  readonly seconds: number
  readonly status: number
  readonly connect: number
  readonly read: number
  readonly write: number
  readonly timeout: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly counters: Readonly<Record<string, number>>
}

interface Load {
  readonly port: number
  readonly secure?: boolean | undefined
  readonly seconds: number
  /** A file of bench/; without one: plain GET /. */
  readonly script?: 'summary.lua' | 'votes.lua' | 'clients.lua'
  readonly args?: readonly (string | number)[]
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** What the script prints when it has counted enough. */
  readonly reached?: string
  /** Gives way to another client on the same core. */
  readonly yielding?: boolean
}

export async function runWrk(machine: Machine, load: Load): Promise<WrkSummary> {
  const script = fileURLToPath(new URL(load.script ?? 'summary.lua', import.meta.url))
  const fields = Object.entries(load.headers ?? {}).flatMap(([name, value]) => ['-H', `${name}: ${value}`])
  const wrk = [
    'wrk',
    '-t1',
    `-c${connections}`,
    `-d${load.seconds}s`,
    ...fields,
    '-s',
    script,
    `http${load.secure === true ? 's' : ''}://127.0.0.1:${load.port}/`,
  ]
  const plain = [...wrk, ...(load.args ?? []).map(String)]
  const command = load.yielding === true ? yielding(machine, plain) : plain
  const output = await capture(onLoadCore(machine, command), load.reached)
  const line = /^SUMMARY (\{.*\})$/m.exec(output)?.[1]
  if (line === undefined) throw new Error(`wrk printed no summary: ${output}`)
  return JSON.parse(line) as WrkSummary
}

export function requestsPerSecond(run: WrkSummary): number {
  return run.requests / run.seconds
}

/** A refused request is not a served one, and it is cheaper: a run with a single one is no measurement. */
export function refuseFailures(name: string, run: WrkSummary): void {
  const { status, connect, read, write, timeout, requests } = run
  if (status + connect + read + write + timeout === 0 && requests > 0) return
  throw new Error(
    `${name}: INVALID RUN: of ${requests} answers ${status} were refused (status 400 or above); ` +
      `socket errors: connect ${connect}, read ${read}, write ${write}, timeout ${timeout}`,
  )
}
