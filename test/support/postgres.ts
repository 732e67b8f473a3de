import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chownSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { eventually, within } from './deadline.ts'
import { freePort } from './free-port.ts'
import { type DatabaseServer, queryOnce, type Row } from './postgres-client.ts'
import { childrenOf, hasEnded, isStopped, signal } from './process-tree.ts'
import { postgresFolder } from './services.ts'

const run = promisify(execFile)
const limitMs = 20_000

/** What the program connects as: an ordinary role that owns its databases, so that nothing works by a superuser's rights alone. */
const role = 'filmgate'

export interface PostgresOptions {
  /** Listens on a free port of 127.0.0.1 too, where the role needs its password; `tls` in PEM. */
  readonly tcp?: { readonly tls?: { readonly certificate: string; readonly key: string } }
  /** Off, a commit survives the death of every process but not of the machine: what tests kill is processes. Default false. */
  readonly fsync?: boolean
  /** Further settings, as of postgresql.conf. */
  readonly settings?: Readonly<Record<string, string>>
}

export interface PostgresServer extends DatabaseServer {
  /** The password of the role; only TCP connections are asked for it. */
  readonly password: string
  readonly port: number
  /** Where its socket is. */
  readonly folder: string
  /** The same database over TCP, as of `createDatabase`. */
  tcpUrl(url: string): string
  /** As superuser, in the database of `url` or in `postgres`, on a connection of its own. */
  query(sql: string, parameters?: readonly unknown[], url?: string): Promise<Row[]>
  /** SIGINT ends it at once and in good order, SIGQUIT without order, SIGKILL kills all of its processes. Resolves when all are gone. */
  stop(how: 'SIGINT' | 'SIGQUIT' | 'SIGKILL'): Promise<void>
  /** Again on the same data and addresses. */
  start(): Promise<void>
  /** Stops every one of its processes (SIGSTOP): it answers nothing, its connections stay. */
  pause(): Promise<void>
  resume(): void
  /** A hot standby of its own that copies what is committed here (streaming replication, PostgreSQL manual, chapter 27). */
  startStandby(): Promise<Standby>
}

export interface Standby extends PostgresServer {
  /** Becomes a primary, and answers from now on where `failed`, which must have ended, has answered. */
  takeOver(failed: PostgresServer): Promise<void>
}

/** As whom PostgreSQL runs: it refuses to be root. */
const account = (): { uid?: number; gid?: number } => {
  if (process.getuid?.() !== 0) return {}
  return { uid: postgresId('-u'), gid: postgresId('-g') }
}

const postgresId = (option: '-u' | '-g'): number => Number(execFileSync('id', [option, 'postgres'], { encoding: 'utf8' }))

/** A PostgreSQL server of its own in a temporary folder, reached over a Unix socket. Ends with the test, or with this process at the latest. */
export const startPostgres = async (options: PostgresOptions = {}): Promise<PostgresServer> => {
  const cluster = await prepareCluster(options)
  const access = ['-U', 'postgres', '--auth-local=trust', '--auth-host=scram-sha-256']
  return cluster.begin('initdb', [...access, '-E', 'UTF8', '--locale=C.UTF-8', '--no-sync', '--no-instructions'])
}

const prepareCluster = async (options: PostgresOptions): Promise<Cluster> => {
  const programs = postgresFolder()
  if (programs === undefined) throw new Error('PostgreSQL is not installed (scripts/services installs it)')
  const as = account()
  const folder = mkdtempSync(join(tmpdir(), 'filmgate-pg-'))
  const give = (path: string): void => {
    if (as.uid !== undefined && as.gid !== undefined) chownSync(path, as.uid, as.gid)
  }
  const write = (name: string, text: string): string => {
    const path = join(folder, name)
    writeFileSync(path, text, { mode: 0o600 })
    give(path)
    return path
  }
  give(folder)
  const settings = {
    listen_addresses: options.tcp ? '127.0.0.1' : '',
    port: String(options.tcp ? await freePort() : 5432),
    unix_socket_directories: folder,
    fsync: options.fsync === true ? 'on' : 'off',
    full_page_writes: options.fsync === true ? 'on' : 'off',
    // Files of the folder, which go with it, instead of segments that a killed server would leave behind.
    dynamic_shared_memory_type: 'mmap',
    ...(options.tcp?.tls && {
      ssl: 'on',
      ssl_cert_file: write('server.crt', options.tcp.tls.certificate),
      ssl_key_file: write('server.key', options.tcp.tls.key),
    }),
    ...options.settings,
  }
  return new Cluster({ programs, as, folder, settings })
}

interface ClusterOptions {
  readonly programs: string
  readonly as: { uid?: number; gid?: number }
  readonly folder: string
  readonly settings: Readonly<Record<string, string>>
}

class Cluster implements Standby {
  readonly folder: string
  readonly port: number
  readonly password = randomBytes(16).toString('hex')
  readonly #programs: string
  readonly #settings: Readonly<Record<string, string>>
  /** How its programs are started: nothing of our environment reaches them. */
  readonly #spawn: { readonly uid?: number; readonly gid?: number; readonly cwd: string; readonly env: NodeJS.ProcessEnv }
  #postmaster: ChildProcess | undefined
  #paused: number[] = []
  #databases = 0

  constructor({ programs, as, folder, settings }: ClusterOptions) {
    this.folder = folder
    this.port = Number(settings['port'])
    this.#programs = programs
    this.#settings = settings
    this.#spawn = { ...as, cwd: folder, env: { PATH: '/usr/bin:/bin', LC_ALL: 'C.UTF-8' } }
  }

  /** Fills the folder by one of PostgreSQL's own programs, and starts on it. */
  async begin(program: 'initdb' | 'pg_basebackup', args: readonly string[]): Promise<this> {
    try {
      await run(join(this.#programs, program), ['-D', join(this.folder, 'data'), ...args], { ...this.#spawn, timeout: limitMs })
      await this.start()
      return this
    } catch (error) {
      await this[Symbol.asyncDispose]()
      throw error
    }
  }

  async startStandby(): Promise<Standby> {
    const standby = await prepareCluster({})
    const source = ['-h', this.folder, '-p', String(this.port), '-U', 'postgres']
    return standby.begin('pg_basebackup', [...source, '--write-recovery-conf', '--wal-method=stream', '--checkpoint=fast', '--no-sync'])
  }

  async takeOver(failed: PostgresServer): Promise<void> {
    await this.query('select pg_promote()')
    // As an address moves to another machine: at every moment it leads to one of them.
    const [from, to] = [failed, this].map(({ folder, port }) => join(folder, `.s.PGSQL.${port}`)) as [string, string]
    symlinkSync(to, `${from}.next`)
    renameSync(`${from}.next`, from)
  }

  async start(): Promise<void> {
    const args = Object.entries(this.#settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    const child = spawn(join(this.#programs, 'postgres'), ['-D', join(this.folder, 'data'), ...args], {
      ...this.#spawn,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    this.#postmaster = child
    const end = (): void => {
      this.resume()
      child.kill('SIGQUIT')
    }
    process.once('exit', end)
    child.once('exit', () => process.off('exit', end))
    await within(limitMs, 'PostgreSQL starts', untilReady(child))
  }

  async stop(how: 'SIGINT' | 'SIGQUIT' | 'SIGKILL'): Promise<void> {
    const child = this.#postmaster
    if (child?.pid === undefined) return
    const ended = child.exitCode !== null || child.signalCode !== null
    const exited = ended ? Promise.resolve([]) : once(child, 'exit')
    const all = [child.pid, ...childrenOf(child.pid)]
    if (how === 'SIGKILL') for (const pid of all) signal(pid, how)
    else child.kill(how)
    await within(limitMs, `PostgreSQL ends by ${how}`, exited)
    // Backends that outlive their postmaster would keep the next one from starting.
    await eventually(limitMs, 'the last process of PostgreSQL is gone', () => all.every(hasEnded))
    this.#postmaster = undefined
    this.#paused = []
  }

  async pause(): Promise<void> {
    const pid = this.#postmaster?.pid
    if (pid === undefined) throw new Error('PostgreSQL does not run')
    // The postmaster first: from then on there are no new ones.
    this.#paused = [pid]
    signal(pid, 'SIGSTOP')
    await eventually(limitMs, 'the postmaster stands still', () => isStopped(pid))
    this.#paused.push(...childrenOf(pid))
    for (const one of this.#paused) signal(one, 'SIGSTOP')
    await eventually(limitMs, 'PostgreSQL stands still', () => this.#paused.every((one) => isStopped(one) || hasEnded(one)))
  }

  resume(): void {
    for (const pid of this.#paused) signal(pid, 'SIGCONT')
    this.#paused = []
  }

  async createDatabase(): Promise<string> {
    if (this.#databases++ === 0) await this.query(`create role ${role} login password '${this.password}'`)
    const name = `test_${this.#databases}`
    await this.query(`create database ${name} owner ${role}`)
    return `postgres://${role}@localhost:${this.port}/${name}?host=${encodeURIComponent(this.folder)}`
  }

  tcpUrl(url: string): string {
    return `postgres://${role}:${this.password}@localhost:${this.port}${new URL(url).pathname}`
  }

  query(sql: string, parameters: readonly unknown[] = [], url?: string): Promise<Row[]> {
    const database = url === undefined ? 'postgres' : new URL(url).pathname.slice(1)
    return queryOnce({ host: this.folder, port: this.port, user: 'postgres', database }, sql, parameters)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.resume()
    try {
      await this.stop('SIGQUIT').catch(() => this.stop('SIGKILL'))
    } finally {
      await releaseMemory(join(this.folder, 'data'))
      rmSync(this.folder, { recursive: true, force: true })
    }
  }
}

const untilReady = (child: ChildProcess): Promise<void> =>
  new Promise((resolve, reject) => {
    let said = ''
    child.once('error', reject)
    child.once('exit', () => reject(new Error(`PostgreSQL ended before it was ready:\n${said}`)))
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      // Read to the end, or a full pipe would stop the server; kept only until it runs.
      if (said.includes('ready to accept')) return
      said += text
      if (said.includes('ready to accept')) resolve()
    })
  })

/** After SIGKILL a segment of shared memory remains that only the next start on the folder would free; line 7 of postmaster.pid names it. */
const releaseMemory = async (dataDir: string): Promise<void> => {
  let segment: string | undefined
  try {
    segment = readFileSync(join(dataDir, 'postmaster.pid'), 'utf8').split('\n')[6]?.trim().split(/\s+/)[1]
  } catch {
    return
  }
  if (segment !== undefined && /^\d+$/.test(segment)) await run('ipcrm', ['-m', segment]).catch(() => undefined)
}
