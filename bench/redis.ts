import { execFileSync } from 'node:child_process'
import { setTimeout as pause } from 'node:timers/promises'
import { createClient } from 'redis'
import { redisPrograms } from '../test/support/services.ts'
import { type Machine, onLoadCore, onServerCore } from './machine.ts'
import { freePort, type Program, startProgram, temporaryFolder } from './processes.ts'

const readyWithinMs = 10_000

export interface RunningRedis {
  readonly program: Program
  readonly url: string
  /** How often each command was carried out, those inside of scripts included. */
  calls(): Promise<ReadonlyMap<string, number>>
}

/** Why there are no figures of Redis here. */
export function redisMissing(): string | undefined {
  return redisPrograms() === undefined ? 'redis-server and redis-cli are not installed (scripts/services installs them)' : undefined
}

function server(): string {
  const programs = redisPrograms()
  if (programs === undefined) throw new Error(redisMissing())
  return programs.server
}

/** `Redis server v=7.0.15 sha=…` is 7.0.15. */
export function redisVersions(): Record<string, string> {
  const text = execFileSync(server(), ['--version'], { encoding: 'utf8' })
  return { Redis: /v=(\S+)/.exec(text)?.[1] ?? text.trim() }
}

async function commandCalls(url: string): Promise<ReadonlyMap<string, number>> {
  const client = createClient({ url, socket: { reconnectStrategy: false } })
  client.on('error', () => undefined)
  await client.connect()
  try {
    const text = await client.info('commandstats')
    return new Map(Array.from(text.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm), ([, name, calls]) => [name ?? '', Number(calls)]))
  } finally {
    client.destroy()
  }
}

/** A Redis server of its own that writes nothing to disk, on a free port: on the core of the program that it serves, or on the load's. */
export async function startRedis(machine: Machine, core: 'server' | 'load'): Promise<RunningRedis> {
  const [folder, port] = [temporaryFolder(), await freePort()]
  const command = [server(), '--bind', '127.0.0.1', '--port', String(port), '--dir', folder, '--save', '', '--appendonly', 'no']
  const program = await startProgram('Redis', core === 'server' ? onServerCore(machine, command) : onLoadCore(machine, command), folder)
  const url = `redis://127.0.0.1:${port}`
  const calls = (): Promise<ReadonlyMap<string, number>> => commandCalls(url)
  await untilReady(program, calls)
  return { program, url, calls }
}

async function untilReady(program: Program, ask: () => Promise<unknown>): Promise<void> {
  const deadline = performance.now() + readyWithinMs
  while (performance.now() < deadline) {
    if (!program.running()) throw new Error(`Redis ended before it was ready:\n${program.complaint()}`)
    const ready = await ask().then(
      () => true,
      () => false,
    )
    if (ready) return
    await pause(50)
  }
  throw new Error(`Redis was not ready within ${readyWithinMs} ms:\n${program.complaint()}`)
}
