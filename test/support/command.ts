import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { assertSecretsKept, keepEnvironment } from './log-secrecy.ts'

const main = join(import.meta.dirname, '../../src/main.ts')

/** Hundreds of these processes start: compiled once, each is ready in two thirds of the time. */
const compileCache = join(import.meta.dirname, '../../node_modules/.cache/compiled')

export interface CommandOptions {
  /** Default a new, empty one, removed with the rest afterwards. */
  readonly dataDir?: string
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  /** What comes on standard input; default nothing, null leaves it open. */
  readonly input?: string | Uint8Array | null
  /** Called with the process's command line, to run it under another program. */
  readonly wrap?: (command: readonly string[]) => readonly string[]
}

export interface CommandResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunningCommand {
  readonly process: ChildProcess
  /** Resolves when standard error holds a match; rejects when the command ends without. */
  said(pattern: RegExp): Promise<void>
  readonly ended: Promise<CommandResult>
}

/** The real program in a process of its own, with nothing of this process's environment that could change what it does. */
export const startCommand = (args: readonly string[], options: CommandOptions & { readonly cwd: string }): RunningCommand => {
  const command = [process.execPath, main, ...args]
  const [program = '', ...rest] = options.wrap?.(command) ?? command
  const env = {
    PATH: process.env['PATH'] ?? '',
    FILMGATE_SERVER_PORT: '0',
    FILMGATE_OPS_PORT: '0',
    FILMGATE_DATA_DIR: options.dataDir ?? join(options.cwd, 'data'),
    NODE_COMPILE_CACHE: compileCache,
    ...options.env,
  }
  const child = spawn(program, rest, { env, cwd: options.cwd, stdio: ['pipe', 'pipe', 'pipe'], timeout: 60_000, killSignal: 'SIGKILL' })
  const output = { stdout: '', stderr: '' }
  let heard: (() => void) | undefined
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text
    heard?.()
  })
  // It may end before it has read all of it.
  child.stdin.on('error', () => undefined)
  if (options.input !== null) child.stdin.end(options.input ?? '')
  keepEnvironment(env)
  const ended = once(child, 'close').then(([code]) => {
    // Other commands are asked for secrets, and print them.
    if (args[0] === 'serve') assertSecretsKept(output.stdout + output.stderr)
    return { code: code as number | null, ...output }
  })
  return {
    process: child,
    ended,
    said: (pattern) =>
      new Promise((resolve, reject) => {
        heard = () => {
          if (pattern.test(output.stderr)) resolve()
        }
        void ended.then(() => reject(new Error(`it ended before it said ${String(pattern)}:\n${output.stderr}`)))
        heard()
      }),
  }
}

/** Runs a command to its end. */
export const runCommand = async (args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> => {
  const folder = mkdtempSync(join(tmpdir(), 'filmgate-command-'))
  try {
    return await startCommand(args, { cwd: folder, ...options }).ended
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

export interface Folder extends Disposable {
  readonly path: string
}

export const temporaryFolder = (): Folder => {
  const path = mkdtempSync(join(tmpdir(), 'filmgate-folder-'))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}
