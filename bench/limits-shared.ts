/* oxlint-disable no-await-in-loop -- one after the other is the point: what runs side by side measures each other */
/* Part e: what counting in Redis costs the program that counts, beside counting in its own memory. */
import { type CpuMeasurement, type Loaded, measureRounds, ratiosOf } from './limits-cpu.ts'
import { absentPart, type PartOutcome, row } from './limits-part.ts'
import type { Machine } from './machine.ts'
import type { Options } from './options.ts'
import { disturbance } from './others.ts'
import { filmgate, raisedLimits, startFilmgate } from './peers/filmgate.ts'
import { redisMissing, redisVersions, startRedis } from './redis.ts'
import { goal, whole } from './report.ts'
import { median } from './stats.ts'
import { connections, refuseFailures } from './wrk.ts'

const cpuAtMost = 2.5
const throughputAtLeast = 0.3

const inMemory = 'Filmgate, limits in memory'
const besideServer = "Filmgate, limits in Redis on the server's core"
const besideLoad = "Filmgate, limits in Redis on the load's core"

/** A store that fails refuses, and then the run does not count: what `local` would admit has not been in Redis. */
const inRedis = raisedLimits.replace('[limits]', '[limits]\non_store_failure = "deny"\nstore_timeout_ms = 2000')

async function startAll(machine: Machine): Promise<Loaded[]> {
  const loaded: Loaded[] = []
  const add = async (what: string, limits: string, limitsStore?: string): Promise<void> => {
    const running = await startFilmgate(machine, { limits, limitsStore })
    loaded.push({ what, running, check: (run) => refuseFailures(what, run) })
  }
  await add(inMemory, raisedLimits)
  await add(besideServer, inRedis, (await startRedis(machine, 'server')).url)
  await add(besideLoad, inRedis, (await startRedis(machine, 'load')).url)
  return loaded
}

function rowsOf(measurements: readonly CpuMeasurement[], { what }: Loaded): string[][] {
  const own = measurements.filter((one) => one.what === what)
  return [
    row(
      what,
      own.map((one) => one.requestsPerSecond),
      'requests/s',
      0,
    ),
    row(
      what,
      own.map((one) => one.cpuUs),
      'µs of its CPU/request',
    ),
    row(
      what,
      own.map((one) => one.p99Ms),
      'p99 ms',
    ),
  ]
}

export async function shared(machine: Machine, { rounds, seconds }: Options): Promise<PartOutcome> {
  const missing = redisMissing()
  if (missing !== undefined) return absentPart('Redis', missing)
  const all = await startAll(machine)
  const measurements = await measureRounds(
    machine,
    all,
    { rounds, seconds },
    ({ cpuUs, requestsPerSecond: speed }) => `${whole(speed).padStart(8)} requests/s  ${cpuUs.toFixed(1).padStart(6)} µs`,
  )
  const cpu = ratiosOf(measurements, besideServer, inMemory, (one) => one.cpuUs)
  const speed = ratiosOf(measurements, besideServer, inMemory, (one) => one.requestsPerSecond)
  const elsewhere = ratiosOf(measurements, besideLoad, inMemory, (one) => one.requestsPerSecond)
  return {
    rows: [
      ...all.flatMap((one) => rowsOf(measurements, one)),
      row('CPU in Redis / in memory', cpu, ''),
      row('requests/s in Redis / in memory', speed, ''),
      row("requests/s in Redis on the load's core / in memory", elsewhere, ''),
    ],
    notes: [
      ...disturbance(measurements.map((one) => one.othersCores)),
      `GET /, ${rounds} rounds of ${seconds} s, interleaved, ${connections} connections, keep-alive; ratios within a round. CPU: user and system time ` +
        "of the program alone. Two consumes a request, `total` and the route's. Judged with Redis on the core of the program, so that one core is " +
        "compared with one core; on the load's core Redis and wrk share it.",
    ],
    goals: [
      goal('CPU of a request, in Redis / in memory', median(cpu), '<=', cpuAtMost),
      goal('requests/s, in Redis / in memory', median(speed), '>=', throughputAtLeast),
    ],
    versions: { ...filmgate.versions(), ...redisVersions() },
    rounds: measurements,
  }
}
