/** Ours: the real program with all its layers, in a data folder of its own, its log in a file. Nothing is switched off. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Machine, onServerCore } from '../machine.ts'
import { firstAnswer } from '../probe.ts'
import { freePort, startProgram, temporaryFolder } from '../processes.ts'
import type { Peer, RunningPeer } from './peer.ts'

const entry = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const startWithinMs = 60_000

const never = '1000000000 per second; 1000000000 per hour; 1000000000 per day'

/** Every limit is still counted, in as many windows as by default; it is only never reached. */
export const raisedLimits = `
[limits]
default = "1000000000 per day; 1000000000 per hour"
authenticated = "1000000000 per day; 1000000000 per hour"
total = "1000000000 per second; 1000000000 per hour"

[limits.routes]
"GET /" = { only = "${never}" }
"POST /add_film" = { only = "${never}" }
`

export function filmgateExists(): boolean {
  return existsSync(entry)
}

/** `limits` are the tables of filmgate.toml after [server], [ops] and [data]. */
export async function startFilmgate(machine: Machine, limits: string, trustedProxies: readonly string[] = []): Promise<RunningPeer> {
  if (!filmgateExists()) throw new Error(`Filmgate cannot be measured yet: there is no ${entry}`)
  const folder = temporaryFolder()
  const [port, opsPort] = [await freePort(), await freePort()]
  const config = join(folder, 'filmgate.toml')
  const data = join(folder, 'data')
  mkdirSync(data, { mode: 0o700 })
  writeFileSync(
    config,
    `[server]\nport = ${port}\ntrusted_proxies = ${JSON.stringify(trustedProxies)}\n\n[ops]\nport = ${opsPort}\n\n` +
      `[data]\ndir = ${JSON.stringify(data)}\n${limits}`,
  )
  const command = [process.execPath, entry, 'serve', '--config', config]
  const program = await startProgram('Filmgate', onServerCore(machine, command), folder)
  return { program, port, body: await firstAnswer(program, port, startWithinMs) }
}

export const filmgate: Peer = {
  file: 'filmgate',
  title: 'Filmgate',
  packages: [],
  start: (machine) => startFilmgate(machine, raisedLimits),
}
