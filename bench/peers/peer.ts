import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Machine, onServerCore, packageVersions } from '../machine.ts'
import { firstAnswer } from '../probe.ts'
import { freePort, type Program, startProgram, temporaryFolder } from '../processes.ts'

export interface RunningPeer {
  readonly program: Program
  readonly port: number
  /** Over HTTPS. */
  readonly secure?: boolean
  /** The body of its first answer. */
  readonly body: string
}

/** A server that can be measured; `file` is its name for --peers. */
export interface Peer {
  readonly file: string
  readonly title: string
  /** Of what the figure depends on. */
  versions(): Record<string, string>
  /** Why there is no figure of it here. */
  missing(): string | undefined
  start(machine: Machine): Promise<RunningPeer>
}

/** A peer that is a program of bench/peers with the arguments port and log file. */
export function programPeer(file: string, title: string, packages: readonly string[]): Peer {
  const start = async (machine: Machine): Promise<RunningPeer> => {
    const folder = join(temporaryFolder(), file)
    mkdirSync(folder)
    const [port, log] = [await freePort(), join(folder, 'requests.log')]
    const source = fileURLToPath(new URL(`${file}.ts`, import.meta.url))
    const program = await startProgram(title, onServerCore(machine, [process.execPath, source, String(port), log]), folder, { logs: [log] })
    return { program, port, body: await firstAnswer(program, port, 10_000) }
  }
  return { file, title, versions: () => packageVersions(packages), missing: () => undefined, start }
}
