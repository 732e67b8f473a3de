import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { eventually, within } from './deadline.ts'
import { freePort } from './free-port.ts'
import { isStopped, signal } from './process-tree.ts'
import { faketimeLibrary, redisPrograms } from './services.ts'

const run = promisify(execFile)
const limitMs = 20_000

export interface RedisOptions {
  /** Writes every change to its file before it answers, so that what was counted survives every end of the process. Default false: it forgets. */
  readonly persistent?: boolean
  /** Asked of every connection; in `url`. */
  readonly password?: string
  /** Speaks TLS only, with this certificate in PEM, which must be one for `localhost`. */
  readonly tls?: { readonly certificate: string; readonly key: string }
  /** Runs with a wall clock of its own, which `setClockOffset` moves; needs libfaketime. Default false. */
  readonly clock?: boolean
  /** Further settings, as of redis.conf. */
  readonly settings?: Readonly<Record<string, string>>
}

export interface RedisServer extends AsyncDisposable {
  /** `redis://127.0.0.1:PORT` with the password, or `rediss://localhost:PORT`. */
  readonly url: string
  readonly port: number
  /** Where its files are. */
  readonly folder: string
  /** Undefined while it is stopped. */
  readonly pid: number | undefined
  /** What redis-cli prints for this command, without the last line end. Rejects with the server's words where it answers with an error. */
  cli(...args: readonly string[]): Promise<string>
  /** Resolves when the process is gone. */
  stop(how: 'SIGTERM' | 'SIGKILL'): Promise<void>
  /** Again on the same port and folder: with what was counted if `persistent`, else empty. Resolves when it answers. */
  start(): Promise<void>
  /** SIGSTOP: it answers nothing, its connections stay, and new ones are still made. */
  pause(): Promise<void>
  resume(): void
  /** Moves its wall clock, at once, to so far from the machine's; negative is back. Its timers go on. Throws without `clock`. */
  setClockOffset(offsetMs: number): void
  /** A server of its own with the same options that copies what is written here, asynchronously. Resolves when it has a full copy. Not with `tls`. */
  startReplica(): Promise<RedisReplica>
}

export interface RedisReplica extends RedisServer {
  /** Copies no more, and takes writes. */
  promote(): Promise<void>
}

/** A Redis server of its own on a free port of 127.0.0.1. Ends with the test, or with this process at the latest. */
export const startRedis = async (options: RedisOptions = {}): Promise<RedisServer> => begin(options, {})

const begin = async (options: RedisOptions, settings: Readonly<Record<string, string>>): Promise<Redis> => {
  const redis = new Redis(options, await freePort(), settings)
  try {
    await redis.start()
    return redis
  } catch (error) {
    await redis[Symbol.asyncDispose]()
    throw error
  }
}

class Redis implements RedisReplica {
  readonly port: number
  readonly folder = mkdtempSync(join(tmpdir(), 'filmgate-redis-'))
  readonly url: string
  readonly #programs: { readonly server: string; readonly cli: string }
  readonly #options: RedisOptions
  readonly #args: readonly string[]
  #child: ChildProcess | undefined

  constructor(options: RedisOptions, port: number, settings: Readonly<Record<string, string>>) {
    const programs = redisPrograms()
    if (programs === undefined) throw new Error('Redis is not installed (scripts/services installs it)')
    const { tls, password } = options
    this.#programs = programs
    this.#options = options
    this.port = port
    const user = password === undefined ? '' : `:${encodeURIComponent(password)}@`
    this.url = tls ? `rediss://${user}localhost:${port}` : `redis://${user}127.0.0.1:${port}`
    const all = { ...settingsOf(options, port, this.folder), ...settings, ...options.settings }
    this.#args = Object.entries(all).flatMap(([name, value]) => [`--${name}`, value])
    if (options.clock === true) this.setClockOffset(0)
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  async cli(...args: readonly string[]): Promise<string> {
    const server = ['-h', '127.0.0.1', '-p', String(this.port), '-e', ...(this.#options.tls ? ['--tls', '--insecure'] : [])]
    const { password } = this.#options
    // Nothing of our environment reaches it; the password is in none of its arguments, which every user of the machine may read.
    const env = password === undefined ? {} : { REDISCLI_AUTH: password }
    const { stdout } = await run(this.#programs.cli, [...server, ...args], {
      env,
      cwd: this.folder,
      timeout: limitMs,
      killSignal: 'SIGKILL',
    })
    return stdout.replace(/\n$/, '')
  }

  async start(): Promise<void> {
    if (this.#child !== undefined) throw new Error('Redis runs already')
    const env = this.#options.clock === true ? clockEnvironment(this.#clockFile) : {}
    const child = spawn(this.#programs.server, this.#args, { cwd: this.folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    const end = (): void => void child.kill('SIGKILL')
    process.once('exit', end)
    child.once('exit', () => process.off('exit', end))
    await within(limitMs, 'Redis starts', untilReady(child))
  }

  async stop(how: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#child
    if (child?.pid === undefined) return
    const exited = hasExited(child) ? Promise.resolve([]) : once(child, 'exit')
    signal(child.pid, how)
    // A stopped process takes note of SIGTERM only when it goes on.
    this.resume()
    await within(limitMs, `Redis ends by ${how}`, exited)
    this.#child = undefined
  }

  async pause(): Promise<void> {
    const pid = this.pid
    if (pid === undefined) throw new Error('Redis does not run')
    signal(pid, 'SIGSTOP')
    await eventually(limitMs, 'Redis stands still', () => isStopped(pid))
  }

  resume(): void {
    if (this.pid !== undefined) signal(this.pid, 'SIGCONT')
  }

  setClockOffset(offsetMs: number): void {
    if (this.#options.clock !== true) throw new Error('a server without a clock of its own')
    // libfaketime reads the file at every look at the clock, and must never see half of it.
    writeFileSync(`${this.#clockFile}.next`, `${offsetMs < 0 ? '-' : '+'}${(Math.abs(offsetMs) / 1000).toFixed(3)}\n`)
    renameSync(`${this.#clockFile}.next`, this.#clockFile)
  }

  get #clockFile(): string {
    return join(this.folder, 'clock')
  }

  async startReplica(): Promise<RedisReplica> {
    if (this.#options.tls) throw new Error('a replica of a server that speaks TLS is not offered')
    const replica = await begin(this.#options, { replicaof: `127.0.0.1 ${this.port}` })
    await eventually(limitMs, 'the replica has a full copy', async () =>
      (await replica.cli('info', 'replication')).includes('master_link_status:up'),
    )
    return replica
  }

  async promote(): Promise<void> {
    await this.cli('replicaof', 'no', 'one')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.stop('SIGKILL')
    } finally {
      rmSync(this.folder, { recursive: true, force: true })
    }
  }
}

const hasExited = ({ exitCode, signalCode }: ChildProcess): boolean => exitCode !== null || signalCode !== null

const settingsOf = ({ persistent, password, tls }: RedisOptions, port: number, folder: string): Readonly<Record<string, string>> => {
  const write = (name: string, text: string): string => {
    const path = join(folder, name)
    writeFileSync(path, text, { mode: 0o600 })
    return path
  }
  return {
    bind: '127.0.0.1',
    port: tls ? '0' : String(port),
    dir: folder,
    save: '',
    appendonly: persistent === true ? 'yes' : 'no',
    appendfsync: 'always',
    // The default of 5 s waits for further replicas that might want the same copy.
    'repl-diskless-sync-delay': '0',
    ...(password !== undefined && { requirepass: password, masterauth: password }),
    ...(tls && {
      'tls-port': String(port),
      'tls-cert-file': write('server.crt', tls.certificate),
      'tls-key-file': write('server.key', tls.key),
      'tls-auth-clients': 'no',
    }),
  }
}

/** For a program whose wall clock is as far from the machine's as the file says (libfaketime). */
export const clockEnvironment = (file: string): Readonly<Record<string, string>> => {
  const library = faketimeLibrary()
  if (library === undefined) throw new Error('libfaketime is not installed (scripts/services installs it)')
  return {
    // libc before jemalloc, which Redis is linked with: jemalloc looks at the clock while libfaketime, to find the real one, allocates.
    LD_PRELOAD: `${library} libc.so.6`,
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_NO_CACHE: '1',
    DONT_FAKE_MONOTONIC: '1',
    // Else it would leave segments of shared memory behind when it is killed.
    FAKETIME_DISABLE_SHM: '1',
  }
}

const untilReady = (child: ChildProcess): Promise<void> =>
  new Promise((resolve, reject) => {
    let said = ''
    let ready = false
    const hear = (text: string): void => {
      // Read to the end, or a full pipe would stop the server; kept only until it runs.
      if (ready) return
      said += text
      // Versions differ in the capital.
      ready = /ready to accept connections/i.test(said)
      if (ready) resolve()
    }
    child.once('error', reject)
    child.once('exit', () => reject(new Error(`Redis ended before it was ready:\n${said}`)))
    child.stdout?.setEncoding('utf8').on('data', hear)
    child.stderr?.setEncoding('utf8').on('data', hear)
  })
