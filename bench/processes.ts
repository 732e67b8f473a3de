import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const killAfterMs = 5000
const logCheckMs = 1000
const maxLogBytes = 256 * 1024 * 1024

/** In the order in which they were started. */
const children = new Set<ChildProcess>()
const stops = new WeakMap<ChildProcess, () => Promise<number | null>>()
const folders = new Set<string>()

export interface Program {
  readonly name: string
  readonly pid: number
  running(): boolean
  /** The end of what it wrote to stderr. */
  complaint(): string
  /** SIGTERM, SIGKILL after 5 s, processes of its own included; the exit code, or null when a signal ended it. */
  stop(): Promise<number | null>
}

/** Whose process it is: root may start one as somebody else. */
export interface Owner {
  readonly uid: number
  readonly gid: number
}

export interface Surroundings {
  /** Variables besides PATH and NODE_ENV. */
  readonly environment?: Readonly<Record<string, string>>
  readonly owner?: Owner | undefined
  /** Log files besides stdout, kept small too. */
  readonly logs?: readonly string[]
  /** Ends it after so long. */
  readonly timeoutMs?: number
  /** Told of everything that it has printed so far. */
  readonly onOutput?: (text: string) => void
  /** Instead of SIGTERM, where that would wait for clients. */
  readonly stopSignal?: NodeJS.Signals
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

function launch(command: readonly string[], stdio: ('ignore' | 'pipe' | number)[], surroundings: Surroundings = {}): ChildProcess {
  const [file, ...args] = command
  if (file === undefined) throw new Error('empty command')
  // An environment of its own: a FILMGATE_ variable or NODE_OPTIONS of the caller must not change what is measured.
  const env = { PATH: '/usr/local/bin:/usr/bin:/bin', NODE_ENV: 'production', ...surroundings.environment }
  const child = spawn(file, args, { stdio, env, timeout: surroundings.timeoutMs ?? 0, ...surroundings.owner })
  children.add(child)
  child.once('exit', () => children.delete(child))
  return child
}

/** Of everything that runs for the bench, the workers of its servers included. */
export function runningPids(): number[] {
  return Array.from(children, ({ pid }) => pid).flatMap((pid) => (pid === undefined ? [] : [pid, ...descendants(pid)]))
}

/** proc_pid_task(5); a process that has just ended has none. */
function descendants(pid: number): number[] {
  try {
    const own = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
    return own.flatMap((child) => [child, ...descendants(child)])
  } catch {
    return []
  }
}

/** A server that dies without a last word leaves its workers behind. */
function killAll(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It has ended meanwhile.
    }
  }
}

async function stopChild(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) {
    const exited = once(child, 'exit')
    child.kill(signal)
    const timer = setTimeout(() => killAll(child.pid === undefined ? [] : [child.pid, ...descendants(child.pid)]), killAfterMs)
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

/** Starts a server with stdout in `<folder>/stdout.log`, a real file as an operator would have. */
export async function startProgram(
  name: string,
  command: readonly string[],
  folder: string,
  surroundings: Surroundings = {},
): Promise<Program> {
  const [stdout, stderr] = [join(folder, 'stdout.log'), join(folder, 'stderr.log')]
  const descriptors = [openSync(stdout, 'a'), openSync(stderr, 'a')] as const
  const child = launch(command, ['ignore', ...descriptors], surroundings)
  descriptors.forEach(closeSync)
  await once(child, 'spawn')
  const timer = keepSmall([stdout, ...(surroundings.logs ?? [])])
  child.once('exit', () => clearInterval(timer))
  const { pid } = child
  if (pid === undefined) throw new Error(`${name} did not start`)
  const stop = (): Promise<number | null> => stopChild(child, surroundings.stopSignal ?? 'SIGTERM')
  stops.set(child, stop)
  return {
    name,
    pid,
    running: () => child.exitCode === null && child.signalCode === null,
    complaint: () => (readFileSync(stderr, 'utf8') || readFileSync(stdout, 'utf8')).trim().slice(-2000),
    stop,
  }
}

/** Runs a command to its end and gives back its stdout. `reached` in the output interrupts it: that is how a wrk that counts ends early. */
export async function capture(command: readonly string[], reached?: string, surroundings: Surroundings = {}): Promise<string> {
  const child = launch(command, ['ignore', 'pipe', 'pipe'], surroundings)
  let [output, complaint] = ['', '']
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output += text
    if (reached !== undefined && text.includes(reached)) child.kill('SIGINT')
    surroundings.onOutput?.(output)
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (complaint += text))
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`${command.join(' ')} failed (${String(code)}): ${complaint || output}`)
  return output
}

/** Ends what was started, by its process id, the last first: a server before its database. Removes the folders. */
export async function stopAll(): Promise<void> {
  for (const child of [...children].toReversed()) await (stops.get(child)?.() ?? stopChild(child, 'SIGTERM'))
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
    killAll(runningPids())
    removeFolders()
  })
}
