import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { type CommandResult, runCommand, temporaryFolder } from './command.ts'
import { assertSecretsKept, keepConfig, keepEnvironment, keepFiles } from './log-secrecy.ts'

/** Limits so high that a test about something else never meets them, yet counted like any. */
export const raisedLimits = `
[limits]
default = "100000000 per day"
authenticated = "100000000 per day"
total = "100000000 per day"
[limits.routes]
"GET /" = { only = "100000000 per day" }
"POST /add_film" = { only = "100000000 per day" }
"POST /v1/auth/login" = { only = "100000000 per day" }
"POST /v1/auth/refresh" = { only = "100000000 per day" }
"POST /v1/auth/logout" = { only = "100000000 per day" }
"POST /csp-report" = { only = "100000000 per day" }
`

/** As many at once as a load of a test brings. */
const raisedConcurrency = { FILMGATE_CONCURRENCY_PER_CLIENT: '10000', FILMGATE_CONCURRENCY_TOTAL: '100000' }

export interface StartOptions {
  /** What filmgate.toml holds besides ports and folders; TOML tables, so `[server]` may not be opened again: use `env`. */
  readonly toml?: string
  readonly env?: Readonly<Record<string, string>>
  /** An existing data folder, to start again on it; it is then kept. */
  readonly dataDir?: string
  /** Called with the process's command line, to run it under another program. */
  readonly wrap?: (command: readonly string[]) => readonly string[]
}

export type LogRecord = Readonly<Record<string, unknown>> & { readonly msg: string }

export interface TestServer extends AsyncDisposable {
  readonly url: string
  readonly opsUrl: string
  readonly port: number
  readonly dataDir: string
  readonly process: ChildProcess
  /** The starter API key. */
  key(): string
  /** Everything on standard output so far, one object a line. */
  log(): readonly LogRecord[]
  /** Resolves with the first record that fits, also one that is already there; rejects after 5 s. */
  logged(fits: (record: LogRecord) => boolean): Promise<LogRecord>
  stderr(): string
  /** Sends a signal and resolves with the exit code, null for a death by signal. */
  kill(signal: NodeJS.Signals): Promise<number | null>
}

const main = join(import.meta.dirname, '../../src/main.ts')

/**
 * The real program, in a process and a data folder of its own, on free ports. Resolves when it listens; rejects with its last words. Its end
 * rejects when a secret that this test file used stands in its log.
 */
export const startServer = async (options: StartOptions = {}): Promise<TestServer> => {
  const folder = mkdtempSync(join(tmpdir(), 'filmgate-test-'))
  const dataDir = options.dataDir ?? join(folder, 'data')
  const configFile = join(folder, 'filmgate.toml')
  writeFileSync(configFile, options.toml ?? raisedLimits)
  const command = [process.execPath, main, 'serve', '--config', configFile]
  const [program = '', ...args] = options.wrap?.(command) ?? command
  const env = {
    PATH: process.env['PATH'] ?? '',
    FILMGATE_SERVER_PORT: '0',
    FILMGATE_OPS_PORT: '0',
    FILMGATE_DATA_DIR: dataDir,
    ...(options.toml === undefined ? raisedConcurrency : {}),
    ...options.env,
  }
  const child = spawn(program, args, { env, cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
  keepEnvironment(env)
  keepConfig(options.toml ?? '')
  const output = collect(child)
  const exited = once(child, 'exit') as Promise<[number | null, string | null]>

  const kill = async (signal: NodeJS.Signals): Promise<number | null> => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal)
    const [code] = await exited
    await output.ended
    return code
  }
  const dispose = async (): Promise<void> => {
    await kill('SIGKILL')
    keepFiles(dataDir)
    rmSync(folder, { recursive: true, force: true })
    assertSecretsKept(output.written() + output.stderr())
  }
  try {
    const { url, opsUrl } = await output.listening
    keepFiles(dataDir)
    return {
      url,
      opsUrl,
      port: Number(new URL(url).port),
      dataDir,
      process: child,
      key: () => readFileSync(join(dataDir, 'starter.key'), 'utf8').trim(),
      log: output.log,
      logged: output.logged,
      stderr: output.stderr,
      kill,
      [Symbol.asyncDispose]: dispose,
    }
  } catch (error) {
    await dispose()
    throw error
  }
}

/** Runs the program until it ends by itself, for starts that must fail. */
export const runToEnd = async ({ toml = '', dataDir, env = {} }: StartOptions = {}): Promise<CommandResult> => {
  using folder = temporaryFolder()
  const configFile = join(folder.path, 'filmgate.toml')
  writeFileSync(configFile, toml)
  const options = { cwd: folder.path, env, ...(dataDir === undefined ? {} : { dataDir }) }
  return await runCommand(['serve', '--config', configFile], options)
}

interface Waiter {
  readonly fits: (record: LogRecord) => boolean
  readonly resolve: (record: LogRecord) => void
}

const collect = (child: ChildProcess) => {
  const records: LogRecord[] = []
  const pieces: string[] = []
  const waiters = new Set<Waiter>()
  let stderr = ''
  let rest = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    pieces.push(text)
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const record = JSON.parse(line) as LogRecord
      records.push(record)
      for (const waiter of waiters) if (waiter.fits(record)) waiter.resolve(record)
    }
  })
  const ended = Promise.all([once(child.stdout ?? child, 'close'), once(child.stderr ?? child, 'close')])
  const listening = new Promise<{ url: string; opsUrl: string }>((resolve, reject) => {
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
      const match = /listens on (\S+) \(health: (\S+)\/readyz\)/.exec(stderr)
      if (match) resolve({ url: match[1] ?? '', opsUrl: match[2] ?? '' })
    })
    child.once('close', () => reject(new Error(`the server ended before it listened:\n${stderr}`)))
  })
  const logged = (fits: Waiter['fits']): Promise<LogRecord> => {
    const known = records.find(fits)
    if (known) return Promise.resolve(known)
    return new Promise((resolve, reject) => {
      const deadline = setTimeout(() => settle(() => reject(new Error('no such log line within 5 s'))), 5000)
      const waiter: Waiter = { fits, resolve: (record) => settle(() => resolve(record)) }
      const settle = (finish: () => void): void => {
        clearTimeout(deadline)
        waiters.delete(waiter)
        finish()
      }
      waiters.add(waiter)
    })
  }
  return { listening, ended, logged, log: () => records, written: () => pieces.join(''), stderr: () => stderr }
}
