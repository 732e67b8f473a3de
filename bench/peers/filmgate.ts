/** Ours: the real program with all its layers, in a data folder of its own, its log in a file. Nothing is switched off. */
import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Machine, onServerCore, packageVersions } from '../machine.ts'
import { postgresMissing, postgresVersions, startPostgres } from '../postgres.ts'
import { firstAnswer } from '../probe.ts'
import { freePort, startProgram, temporaryFolder } from '../processes.ts'
import type { Peer, RunningPeer } from './peer.ts'

/** The program. */
export const entry = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const startWithinMs = 60_000
/** PostgreSQL wants one that all instances share. */
const secretsKey = randomBytes(32).toString('base64url')

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

# All connections of the load are one client: whom Redis or a database answers at once is served at once.
[concurrency]
per_client = 1000
`

export interface FilmgateOptions {
  /** The tables of filmgate.toml after [server], [ops] and [data]. */
  readonly limits: string
  readonly trustedProxies?: readonly string[]
  /** Without one: SQLite in the data folder. */
  readonly databaseUrl?: string | undefined
  /** URL of the Redis that limits are counted in. Without one: in memory. */
  readonly limitsStore?: string | undefined
  /** One that the program has made before. */
  readonly dataDir?: string
  /** HTTPS, with a certificate that it makes itself. */
  readonly secure?: boolean
}

export function newDataDir(): string {
  const data = join(temporaryFolder(), 'data')
  mkdirSync(data, { mode: 0o700 })
  return data
}

export async function startFilmgate(machine: Machine, options: FilmgateOptions): Promise<RunningPeer> {
  const { databaseUrl, limitsStore, secure } = options
  const folder = temporaryFolder()
  const [port, opsPort] = [await freePort(), await freePort()]
  const config = join(folder, 'filmgate.toml')
  const dataDir = options.dataDir ?? newDataDir()
  writeFileSync(
    config,
    `[server]\nport = ${port}\ntrusted_proxies = ${JSON.stringify(options.trustedProxies ?? [])}\n\n[ops]\nport = ${opsPort}\n\n` +
      `[data]\ndir = ${JSON.stringify(dataDir)}\n${secure === true ? '\n[tls]\nmode = "dev"\n' : ''}${options.limits}`,
  )
  const environment = {
    ...(databaseUrl === undefined ? {} : { DATABASE_URL: databaseUrl, FILMGATE_SECRETS_KEY: secretsKey }),
    ...(limitsStore === undefined ? {} : { REDIS_URL: limitsStore, FILMGATE_SECRETS_KEY: secretsKey }),
  }
  const command = [process.execPath, entry, 'serve', '--config', config]
  const program = await startProgram('Filmgate', onServerCore(machine, command), folder, { environment })
  const asked = secure === true ? { ca: () => readFileSync(join(dataDir, 'dev-ca.pem'), 'utf8') } : {}
  return { program, port, secure: secure === true, body: await firstAnswer(program, port, startWithinMs, asked) }
}

export const filmgate: Peer = {
  file: 'filmgate',
  title: 'Filmgate',
  versions: () => packageVersions(['fastify', 'kysely']),
  missing: () => undefined,
  start: (machine) => startFilmgate(machine, { limits: raisedLimits }),
}

export const filmgatePostgres: Peer = {
  file: 'filmgate-postgres',
  title: 'Filmgate on PostgreSQL',
  versions: () => ({ ...packageVersions(['pg']), ...postgresVersions() }),
  missing: postgresMissing,
  start: async (machine) => startFilmgate(machine, { limits: raisedLimits, databaseUrl: await startPostgres(machine, 'shared') }),
}
