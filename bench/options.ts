import { parseArgs } from 'node:util'

const usage = `npm run bench -- [throughput | votes | memory | scale | import | limits | auth | edge | monitor | detection] [options]
  throughput  (default) GET / of Filmgate and its peers, interleaved rounds
  votes       durable votes per second, and what they do to the p99 of GET /
  memory      growth of the resident set: many requests of one client, and many clients
  scale       GET / with 10,000 and with many films, on SQLite and on PostgreSQL, interleaved rounds
  import      films per second of "filmgate films import" into an empty SQLite database
  limits      what limits cost and whether they hold: in memory, on Redis, under a flood
  auth        GET / with an access token and with an API key beside nobody's; what logins do to its p99
  edge        GET / over HTTPS beside plain HTTP, headers and CORS on bare Fastify, and 2,000 slow connections beside GET /
  monitor     what the access log and the monitor take of bare Fastify, and what single looks of the monitor cost
  detection   attacks by tools and by generators, good traffic, and what the monitor decides about them
options
  --rounds N       rounds (throughput 5, votes 3, scale 5, import 3, limits 5, auth 5, edge 5, monitor 5)
  --seconds N      seconds of each measurement (throughput 5, votes 10, scale 5, limits 5, auth 5, edge 5, monitor 5)
  --peers a,b      throughput: only these (bare-fastify is always there: it is the 1):
                   fastify-plugins, express, hono, flask, filmgate, filmgate-postgres
  --database NAME  votes: sqlite (default) or postgres
  --pace N         votes: votes per second of the paced phase (6000, on PostgreSQL 2000)
  --films N        scale, import: how many films are many (1000000)
  --requests N     memory: requests of the one client (1000000)
  --clients N      memory, limits: distinct clients, three requests each (1000000)
  --part a,b       limits: only these. a a decision, b requests/s beside bare Fastify, c many clients, d Redis counts exactly,
                   e Redis beside memory, f a flood
  --only TEXT      detection: only the scenarios with this in their name`

const databases = ['sqlite', 'postgres'] as const
export type Database = (typeof databases)[number]

const limitsParts = ['a', 'b', 'c', 'd', 'e', 'f'] as const
export type LimitsPart = (typeof limitsParts)[number]

export type Subcommand = 'throughput' | 'votes' | 'memory' | 'scale' | 'import' | 'limits' | 'auth' | 'edge' | 'monitor' | 'detection'

export interface Options {
  readonly subcommand: Subcommand
  readonly rounds: number
  readonly seconds: number
  readonly peers: readonly string[] | undefined
  readonly database: Database
  readonly votesPerSecond: number
  readonly films: number
  readonly requests: number
  readonly clients: number
  readonly parts: readonly LimitsPart[]
  readonly areAllParts: boolean
  readonly only: string | undefined
}

const defaults = {
  throughput: { rounds: 5, seconds: 5 },
  votes: { rounds: 3, seconds: 10 },
  memory: { rounds: 1, seconds: 1 },
  scale: { rounds: 5, seconds: 5 },
  import: { rounds: 3, seconds: 1 },
  limits: { rounds: 5, seconds: 5 },
  auth: { rounds: 5, seconds: 5 },
  edge: { rounds: 5, seconds: 5 },
  monitor: { rounds: 5, seconds: 5 },
  detection: { rounds: 1, seconds: 1 },
}
const paces: Record<Database, number> = { sqlite: 6000, postgres: 2000 }

function isSubcommand(text: string): text is Subcommand {
  return Object.hasOwn(defaults, text)
}

/** A whole number of at most `max`: every run of the bench is bounded in count and time. */
function count(name: string, text: string | undefined, fallback: number, max: number): number {
  if (text === undefined) return fallback
  const value = Number(text)
  if (!/^\d{1,9}$/.test(text) || value < 1 || value > max) throw new Error(`--${name} must be a whole number from 1 to ${max}\n\n${usage}`)
  return value
}

function databaseOf(text: string | undefined): Database {
  const database = databases.find((name) => name === (text ?? 'sqlite'))
  if (database === undefined) throw new Error(`--database must be ${databases.join(' or ')}\n\n${usage}`)
  return database
}

function partsOf(text: string | undefined): readonly LimitsPart[] {
  if (text === undefined) return limitsParts
  const unknown = text.split(',').filter((name) => !limitsParts.some((part) => part === name))
  if (unknown.length > 0) throw new Error(`--part must be of ${limitsParts.join(', ')}\n\n${usage}`)
  return limitsParts.filter((part) => text.split(',').includes(part))
}

export function readOptions(argv: readonly string[]): Options {
  const text = { type: 'string' } as const
  const { values, positionals } = parseArgs({
    args: [...argv],
    options: {
      rounds: text,
      seconds: text,
      peers: text,
      database: text,
      pace: text,
      films: text,
      requests: text,
      clients: text,
      part: text,
      only: text,
    },
    allowPositionals: true,
  })
  const subcommand = positionals[0] ?? 'throughput'
  if (!isSubcommand(subcommand) || positionals.length > 1) throw new Error(`unknown: ${positionals.join(' ')}\n\n${usage}`)
  const database = databaseOf(values.database)
  const parts = partsOf(values.part)
  return {
    subcommand,
    rounds: count('rounds', values.rounds, defaults[subcommand].rounds, 50),
    seconds: count('seconds', values.seconds, defaults[subcommand].seconds, 120),
    peers: values.peers?.split(','),
    database,
    votesPerSecond: count('pace', values.pace, paces[database], 100_000),
    films: count('films', values.films, 1_000_000, 10_000_000),
    requests: count('requests', values.requests, 1_000_000, 5_000_000),
    clients: count('clients', values.clients, 1_000_000, 5_000_000),
    parts,
    areAllParts: parts.length === limitsParts.length,
    only: values.only,
  }
}
