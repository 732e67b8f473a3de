import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, loadavg, release, totalmem, type } from 'node:os'

/** What a figure is worth nothing without. */
export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryGiB: number
  readonly kernel: string
  readonly node: string
  readonly wrk: string
  readonly pinned: boolean
  /** Load can be told to give way at once to whoever else needs its core (SCHED_IDLE). */
  readonly canYield: boolean
  readonly loadAverage: number
}

const serverCore = 0
const loadCore = 1
const idleClass = ['--idle', '0']

/** By trying: a container may forbid a core that /proc/cpuinfo shows. */
function canPin(): boolean {
  return [serverCore, loadCore].every((core) => spawnSync('taskset', ['-c', String(core), 'true']).status === 0)
}

function wrkVersion(): string {
  const { stdout, error } = spawnSync('wrk', ['-v'], { encoding: 'utf8' })
  if (error) {
    throw new Error(`wrk, the load generator, is missing; without it there are no figures.
  Debian, Ubuntu: apt-get install --no-install-recommends wrk
  others: https://github.com/wg/wrk`)
  }
  return stdout.split(' ').slice(0, 2).join(' ')
}

export function inspectMachine(): Machine {
  const processors = cpus()
  return {
    cpu: processors[0]?.model.trim() ?? 'unknown',
    cores: processors.length,
    memoryGiB: Math.round((totalmem() / 2 ** 30) * 10) / 10,
    kernel: `${type()} ${release()}`,
    node: process.version,
    wrk: wrkVersion(),
    pinned: canPin(),
    canYield: spawnSync('chrt', [...idleClass, 'true']).status === 0,
    loadAverage: loadavg()[0] ?? 0,
  }
}

export function onServerCore(machine: Machine, command: readonly string[]): string[] {
  return machine.pinned ? ['taskset', '-c', String(serverCore), ...command] : [...command]
}

export function onLoadCore(machine: Machine, command: readonly string[]): string[] {
  return machine.pinned ? ['taskset', '-c', String(loadCore), ...command] : [...command]
}

/** Runs only where nobody else on its core wants to: a latency measured beside it does not contain its time slices. */
export function yielding(machine: Machine, command: readonly string[]): string[] {
  return machine.canYield ? ['chrt', ...idleClass, ...command] : [...command]
}

export function describeMachine(machine: Machine): string {
  const where = machine.pinned ? `server on core ${serverCore}, load on core ${loadCore}` : 'NOT pinned: server and load share cores'
  const { cpu, cores, memoryGiB, kernel, node, wrk, loadAverage } = machine
  const busy = loadAverage > 0.5 ? `; NOT quiet: load average ${loadAverage.toFixed(2)} before the run` : ''
  return `${cpu}, ${cores} cores, ${memoryGiB} GiB, ${kernel}, Node ${node}, ${wrk}; ${where}${busy}`
}

/** The installed versions, not the wanted ones. */
export function packageVersions(names: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    names.map((name) => {
      const file = new URL(`../node_modules/${name}/package.json`, import.meta.url)
      const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string }
      return [name, version]
    }),
  )
}
