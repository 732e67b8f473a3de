import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const killAfterMs = 5000
const logCheckMs = 1000
const maxLogBytes = 256 * 1024 * 1024

const children = new Set<ChildProcess>()
const folders = new Set<string>()

export interface Program {
  readonly name: string
  readonly pid: number
  running(): boolean
  /** The end of what it wrote to stderr. */
  complaint(): string
  /** SIGTERM, SIGKILL after 5 s; the exit code, or null when a signal ended it. */
  stop(): Promise<number | null>
}

/** A folder that is gone when the bench is. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'filmgate-bench-'))
  folders.add(folder)
  return folder
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no free port')
  return address.port
}

function launch(command: readonly string[], stdio: ('ignore' | 'pipe' | number)[]): ChildProcess {
  const [file, ...args] = command
  if (file === undefined) throw new Error('empty command')
  // An environment of its own: a FILMGATE_ variable or NODE_OPTIONS of the caller must not change what is measured.
  const env = { PATH: '/usr/local/bin:/usr/bin:/bin', NODE_ENV: 'production' }
  const child = spawn(file, args, { stdio, env })
  children.add(child)
  child.once('exit', () => children.delete(child))
  return child
}

export function runningPids(): number[] {
  return Array.from(children, ({ pid }) => pid).filter((pid) => pid !== undefined)
}

async function stopChild(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) {
    const exited = once(child, 'exit')
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), killAfterMs)
    await exited
    clearTimeout(timer)
  }
  return child.exitCode
}

function cutWhenLarge(file: string): void {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0
  if (size > maxLogBytes) truncateSync(file)
}

/** The files are opened for appending, so a log can be cut while it is written, as `copytruncate` does: 1 M requests are 300 MB of it. */
function keepSmall(files: readonly string[]): NodeJS.Timeout {
  return setInterval(() => files.forEach(cutWhenLarge), logCheckMs).unref()
}

/** Starts a server with stdout in `<folder>/stdout.log`, a real file as an operator would have; other logs it writes are kept small too. */
export async function startProgram(
  name: string,
  command: readonly string[],
  folder: string,
  logs: readonly string[] = [],
): Promise<Program> {
  const [stdout, stderr] = [join(folder, 'stdout.log'), join(folder, 'stderr.log')]
  const descriptors = [openSync(stdout, 'a'), openSync(stderr, 'a')] as const
  const child = launch(command, ['ignore', ...descriptors])
  descriptors.forEach(closeSync)
  await once(child, 'spawn')
  const timer = keepSmall([stdout, ...logs])
  child.once('exit', () => clearInterval(timer))
  const { pid } = child
  if (pid === undefined) throw new Error(`${name} did not start`)
  return {
    name,
    pid,
    running: () => child.exitCode === null && child.signalCode === null,
    complaint: () => (readFileSync(stderr, 'utf8') || readFileSync(stdout, 'utf8')).trim().slice(-2000),
    stop: () => stopChild(child),
  }
}

/** Runs a command to its end and gives back its stdout. `reached` in the output interrupts it: that is how a wrk that counts ends early. */
export async function capture(command: readonly string[], reached?: string): Promise<string> {
  const child = launch(command, ['ignore', 'pipe', 'pipe'])
  let [output, complaint] = ['', '']
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output += text
    if (reached !== undefined && text.includes(reached)) child.kill('SIGINT')
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (complaint += text))
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`${command.join(' ')} failed (${String(code)}): ${complaint || output}`)
  return output
}

/** Ends what was started, by its process id, and removes the folders. */
export async function stopAll(): Promise<void> {
  await Promise.all(Array.from(children, stopChild))
  removeFolders()
}

function removeFolders(): void {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
  folders.clear()
}

/** Nothing outlives the bench: not on Ctrl-C, not on an error that nobody caught. */
export function stopWithUs(): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      void stopAll().finally(() => process.exit(130))
    })
  }
  process.on('exit', () => {
    for (const child of children) child.kill('SIGKILL')
    removeFolders()
  })
}
