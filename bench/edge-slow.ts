/* oxlint-disable no-await-in-loop -- one after the other is the point: what runs side by side measures each other */
import { fileURLToPath } from 'node:url'
import { type PartOutcome, row } from './limits-part.ts'
import { type Machine, onLoadCore } from './machine.ts'
import { statusMb } from './memory.ts'
import type { Options } from './options.ts'
import { disturbance, watchOthers } from './others.ts'
import { filmgate, raisedLimits, startFilmgate } from './peers/filmgate.ts'
import type { RunningPeer } from './peers/peer.ts'
import { capture } from './processes.ts'
import { goal, whole } from './report.ts'
import { median, spread } from './stats.ts'
import type { SlowSummary } from './slow-clients.ts'
import { probe, probesPerSecond } from './votes.ts'

const wanted = 2000

interface SlowRound extends SlowSummary {
  readonly round: number
  readonly quietP99Ms: number
  readonly p99Ms: number
  readonly residentMb: number
  readonly othersCores: number
}

/** The fixed-rate client beside the slow ones, once all of those are open. */
async function measureSlow(machine: Machine, running: RunningPeer, round: number, seconds: number): Promise<SlowRound> {
  const others = watchOthers()
  const quiet = await probe(machine, running.port, seconds)
  const source = fileURLToPath(new URL('slow-clients.ts', import.meta.url))
  const command = [process.execPath, source, String(running.port), String(wanted), String(seconds + 4)]
  let probing: Promise<{ readonly p99Ms: number; readonly residentMb: number }> | undefined
  const onOutput = (text: string): void => {
    if (probing !== undefined || !text.includes('HELD')) return
    probing = probe(machine, running.port, seconds).then(({ p99Ms }) => ({ p99Ms, residentMb: statusMb(running.program.pid, 'VmRSS') }))
  }
  const output = await capture(onLoadCore(machine, command), undefined, { onOutput })
  const line = /^SUMMARY (\{.*\})$/m.exec(output)?.[1]
  if (line === undefined || probing === undefined) throw new Error(`the slow clients never held ${wanted} connections: ${output}`)
  const summary = JSON.parse(line) as SlowSummary
  // A crowd that was sent away proves nothing of one that stays.
  if (summary.leastHeld < wanted * 0.9) throw new Error(`INVALID RUN: only ${summary.leastHeld} slow connections were held`)
  return { round, quietP99Ms: quiet.p99Ms, othersCores: others(), ...summary, ...(await probing) }
}

/** GET / of somebody decent while a crowd of slow clients holds connections. */
export async function slowConnections(machine: Machine, { rounds, seconds }: Options): Promise<PartOutcome> {
  const held = await startFilmgate(machine, { limits: raisedLimits })
  const slow: SlowRound[] = []
  for (let round = 1; round <= rounds; round++) {
    const one = await measureSlow(machine, held, round, seconds)
    slow.push(one)
    const p99 = `p99 of GET / ${one.quietP99Ms.toFixed(2)} ms quiet, ${one.p99Ms.toFixed(2)} ms`
    console.error(`round ${round}/${rounds}  ${p99} beside ${one.leastHeld} slow connections, ${whole(one.residentMb)} MB`)
  }
  await held.program.stop()
  const of = (pick: (one: SlowRound) => number): number[] => slow.map(pick)
  const ratios = of(({ p99Ms, quietP99Ms }) => p99Ms / quietP99Ms)
  const resident = of((one) => one.residentMb)
  return {
    rows: [
      row(
        'p99 of GET /, quiet',
        of((one) => one.quietP99Ms),
        'ms',
      ),
      row(
        `p99 of GET /, ${wanted} slow connections`,
        of((one) => one.p99Ms),
        'ms',
      ),
      row('p99, with slow connections / quiet', ratios, ''),
      row('resident set with them', resident, 'MB', 0),
    ],
    notes: [
      ...disturbance(of((one) => one.othersCores)),
      `Slow: headers, bodies and answers that trickle and idle keep-alive, from many addresses, each opened again when it is cut; beside them ` +
        `GET / at ${probesPerSecond}/s, timed from the moment it was due. The fewest held at once: ${spread(of((one) => one.leastHeld)).min}.`,
    ],
    goals: [
      goal(`p99 with ${wanted} slow connections / quiet`, median(ratios), '<=', 3),
      goal(`resident set with ${wanted} slow connections`, Math.max(...resident), '<', 400, ' MB'),
    ],
    versions: filmgate.versions(),
    rounds: slow,
  }
}
