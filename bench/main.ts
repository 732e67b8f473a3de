/** `npm run bench`: what Filmgate costs, measured against its peers in one run on one machine. */
import { auth } from './auth.ts'
import { detection } from './detection.ts'
import { edge } from './edge.ts'
import { importFilms } from './import.ts'
import { limits } from './limits.ts'
import { describeMachine, inspectMachine, type Machine } from './machine.ts'
import { memory } from './memory.ts'
import { monitor } from './monitor.ts'
import { type Options, readOptions, type Subcommand } from './options.ts'
import { stopAll, stopWithUs } from './processes.ts'
import { type Outcome, render, save } from './report.ts'
import { scale } from './scale.ts'
import { throughput } from './throughput.ts'
import { votes } from './votes.ts'

const subcommands: Record<Subcommand, (machine: Machine, options: Options) => Promise<Outcome>> = {
  throughput,
  votes,
  memory,
  scale,
  import: importFilms,
  limits,
  auth,
  edge,
  monitor,
  detection,
}

async function run(): Promise<void> {
  const options = readOptions(process.argv.slice(2))
  const machine = inspectMachine()
  const startedAt = new Date()
  console.log(`${describeMachine(machine)}\n`)
  const outcome = await subcommands[options.subcommand](machine, options)
  console.log(`${render(outcome)}\n`)
  console.log(`Every round: ${save(options, startedAt, machine, outcome)}`)
}

stopWithUs()
try {
  await run()
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
} finally {
  await stopAll()
}
