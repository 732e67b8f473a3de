import { spawn } from 'node:child_process'
import { once } from 'node:events'

export interface ToolRun {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
  /** It did not end in its time and was ended. */
  readonly cut: boolean
  readonly seconds: number
}

export interface ToolOptions {
  readonly cwd: string
  readonly timeoutS: number
  readonly env?: Readonly<Record<string, string>>
  /** Ends it before its time. */
  readonly signal?: AbortSignal
}

const groups = new Set<number>()

/** A tool that starts others, as testssl.sh does, is the first of a group: so all of it can be ended. */
const endGroup = (pid: number, signal: NodeJS.Signals): void => {
  try {
    process.kill(-pid, signal)
  } catch {
    // All of it has ended.
  }
}

let interrupted = false

/** Ends what runs and starts nothing more: each check then fails, and takes its servers along. */
export const endTools = (): void => {
  interrupted = true
  for (const pid of groups) endGroup(pid, 'SIGKILL')
}

/** Runs a tool to its end, behind everything else that wants the processor. It sees nothing of this environment and no terminal. */
export const runTool = async (command: readonly string[], { cwd, timeoutS, env = {}, signal }: ToolOptions): Promise<ToolRun> => {
  if (interrupted) throw new Error('interrupted')
  const startedMs = performance.now()
  const child = spawn('nice', ['-n', '10', ...command], {
    cwd,
    // A home of its own: tools leave sessions there, and the next run would take them for findings.
    env: { PATH: '/usr/local/bin:/usr/bin:/bin:/usr/sbin', HOME: cwd, LC_ALL: 'C.UTF-8', TERM: 'dumb', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  const ended = once(child, 'close') as Promise<[number | null]>
  await once(child, 'spawn')
  const { pid = 0 } = child
  groups.add(pid)
  let [stdout, stderr, cut] = ['', '', false]
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const timer = setTimeout(() => {
    cut = true
    endGroup(pid, 'SIGKILL')
  }, timeoutS * 1000)
  signal?.addEventListener('abort', () => endGroup(pid, 'SIGKILL'), { once: true })
  try {
    const [code] = await ended
    if (interrupted) throw new Error('interrupted')
    return { code, stdout, stderr, cut, seconds: (performance.now() - startedMs) / 1000 }
  } finally {
    clearTimeout(timer)
    endGroup(pid, 'SIGKILL')
    groups.delete(pid)
  }
}
