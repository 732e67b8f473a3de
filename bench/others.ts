import { readFileSync } from 'node:fs'
import { runningPids } from './processes.ts'

// USER_HZ of every Linux that Node runs on.
const ticksPerSecond = 100
/** More than this much of a core, and what was measured is also somebody else's work. */
const quietCores = 0.1

function fields(file: string, after: string): number[] {
  const text = readFileSync(file, 'utf8')
  return text
    .slice(text.lastIndexOf(after) + after.length)
    .trim()
    .split(/\s+/)
    .map(Number)
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

/** user, nice, system, irq, softirq, steal of all cores: proc_stat(5). */
function busyTicks(): number {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = fields('/proc/stat', 'cpu  ').slice(0, 8)
  return user + nice + system + irq + softirq + steal
}

/** utime, stime, and of those that have ended cutime, cstime: fields 14 to 17 of proc_pid_stat(5), the 12th after the name. */
function ownTicks(): number {
  return sum(['self', ...runningPids()].map((process) => ticksOf(process)))
}

/** 0 of one that has ended since it was listed: its parent has its ticks now. */
function ticksOf(process: string | number): number {
  try {
    return sum(fields(`/proc/${process}/stat`, ') ').slice(11, 15))
  } catch {
    return 0
  }
}

/** Seconds of a core that the process used so far, its threads and its ended children included. */
export function cpuSeconds(pid: number): number {
  return ticksOf(pid) / ticksPerSecond
}

/** Cores that neither the servers nor the load nor the bench itself kept busy since this call, the hypervisor's theft included. */
export function watchOthers(): () => number {
  const [startMs, busy, own] = [performance.now(), busyTicks(), ownTicks()]
  return () => {
    const ticks = busyTicks() - busy - (ownTicks() - own)
    return Math.max(0, ticks / ticksPerSecond / ((performance.now() - startMs) / 1000))
  }
}

/** A note for the table when the machine was not ours alone. */
export function disturbance(othersCores: readonly number[]): string[] {
  const most = Math.max(...othersCores)
  const times = othersCores.filter((cores) => cores > quietCores).length
  if (times === 0) return []
  return [
    `**DISTURBED: in ${times} of ${othersCores.length} measurements other programs kept up to ${most.toFixed(2)} cores busy. ` +
      'Do not quote these figures; run it again on a quiet machine.**',
  ]
}
