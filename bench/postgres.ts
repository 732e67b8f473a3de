import { execFileSync } from 'node:child_process'
import { chownSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { postgresFolder } from '../test/support/services.ts'
import { type Machine, onServerCore } from './machine.ts'
import { capture, type Owner, type Program, startProgram, temporaryFolder } from './processes.ts'

const readyWithinMs = 20_000

/** Why there are no figures of PostgreSQL here. */
export function postgresMissing(): string | undefined {
  return postgresFolder() === undefined ? 'the programs of PostgreSQL are not installed (scripts/services installs them)' : undefined
}

function programs(): string {
  const folder = postgresFolder()
  if (folder === undefined) throw new Error(postgresMissing())
  return folder
}

/** `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` is 15.18. */
export function postgresVersions(): Record<string, string> {
  const text = execFileSync(join(programs(), 'postgres'), ['--version'], { encoding: 'utf8' })
  return { PostgreSQL: /\d+(\.\d+)?/.exec(text)?.[0] ?? text.trim() }
}

function idOf(option: '-u' | '-g'): number {
  return Number(execFileSync('id', [option, 'postgres'], { encoding: 'utf8' }))
}

/** PostgreSQL refuses to be root. */
function account(): Owner | undefined {
  return process.getuid?.() === 0 ? { uid: idOf('-u'), gid: idOf('-g') } : undefined
}

/**
 * A PostgreSQL server of its own as it comes: every setting is its default, fsync and synchronous_commit among them. A Unix socket and no
 * port. `shared`: on the core of the program that it serves, so that one core is compared with one core; `free`: wherever there is room.
 * Gives back the URL of its database.
 */
export async function startPostgres(machine: Machine, cores: 'shared' | 'free'): Promise<string> {
  const [folder, owner] = [temporaryFolder(), account()]
  if (owner) chownSync(folder, owner.uid, owner.gid)
  const environment = { LC_ALL: 'C.UTF-8' }
  const data = join(folder, 'data')
  const initdb = ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8', '--no-instructions']
  await capture([join(programs(), 'initdb'), ...initdb], undefined, { environment, owner })
  const server = [join(programs(), 'postgres'), '-D', data, '-k', folder, '-c', 'listen_addresses=']
  const surroundings = { environment, owner, stopSignal: 'SIGINT' } as const
  const command = cores === 'shared' ? onServerCore(machine, server) : server
  const program = await startProgram('PostgreSQL', command, folder, surroundings)
  const url = `postgres://postgres@localhost/postgres?host=${encodeURIComponent(folder)}`
  await untilReady(program, url)
  return url
}

async function untilReady(program: Program, url: string): Promise<void> {
  const deadline = performance.now() + readyWithinMs
  while (performance.now() < deadline) {
    if (!program.running()) throw new Error(`PostgreSQL ended before it was ready:\n${program.complaint()}`)
    const ready = await query(url, ['select 1']).then(
      () => true,
      () => false,
    )
    if (ready) return
    await pause(50)
  }
  throw new Error(`PostgreSQL was not ready within ${readyWithinMs} ms:\n${program.complaint()}`)
}

/** One after the other on one connection. */
export async function query(url: string, statements: readonly string[]): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2000 })
  client.on('error', () => undefined)
  try {
    await client.connect()
    for (const statement of statements) await client.query(statement)
  } finally {
    await client.end()
  }
}
