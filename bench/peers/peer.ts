import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Machine, onServerCore } from '../machine.ts'
import { firstAnswer } from '../probe.ts'
import { freePort, type Program, startProgram, temporaryFolder } from '../processes.ts'

export interface RunningPeer {
  readonly program: Program
  readonly port: number
  /** The body of its first answer. */
  readonly body: string
}

/** A server that can be measured: `file` is its name in bench/peers, `packages` are those whose versions matter. */
export interface Peer {
  readonly file: string
  readonly title: string
  readonly packages: readonly string[]
  start(machine: Machine): Promise<RunningPeer>
}

/** A peer that is a program of bench/peers with the arguments port and log file. */
export function programPeer(file: string, title: string, packages: readonly string[]): Peer {
  const start = async (machine: Machine): Promise<RunningPeer> => {
    const folder = join(temporaryFolder(), file)
    mkdirSync(folder)
    const [port, log] = [await freePort(), join(folder, 'requests.log')]
    const source = fileURLToPath(new URL(`${file}.ts`, import.meta.url))
    const program = await startProgram(title, onServerCore(machine, [process.execPath, source, String(port), log]), folder, [log])
    return { program, port, body: await firstAnswer(program, port, 10_000) }
  }
  return { file, title, packages, start }
}
