import { parseArgs } from 'node:util'

const usage = `npm run bench -- [throughput | votes | memory] [options]
  throughput  (default) GET / of Filmgate and its peers, interleaved rounds
  votes       durable votes per second, and what they do to the p99 of GET /
  memory      growth of the resident set: many requests of one client, and many clients
options
  --rounds N       rounds (throughput 5, votes 3)
  --seconds N      seconds of each measurement (throughput 5, votes 10)
  --peers a,b      throughput: only these files of bench/peers (bare-fastify is always there: it is the 1)
  --pace N         votes: votes per second of the paced phase (6000)
  --requests N     memory: requests of the one client (1000000)
  --clients N      memory: distinct clients, three requests each (1000000)`

export type Subcommand = 'throughput' | 'votes' | 'memory'

export interface Options {
  readonly subcommand: Subcommand
  readonly rounds: number
  readonly seconds: number
  readonly peers: readonly string[] | undefined
  readonly votesPerSecond: number
  readonly requests: number
  readonly clients: number
}

const defaults = {
  throughput: { rounds: 5, seconds: 5 },
  votes: { rounds: 3, seconds: 10 },
  memory: { rounds: 1, seconds: 1 },
}

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

export function readOptions(argv: readonly string[]): Options {
  const text = { type: 'string' } as const
  const { values, positionals } = parseArgs({
    args: [...argv],
    options: { rounds: text, seconds: text, peers: text, pace: text, requests: text, clients: text },
    allowPositionals: true,
  })
  const subcommand = positionals[0] ?? 'throughput'
  if (!isSubcommand(subcommand) || positionals.length > 1) throw new Error(`unknown: ${positionals.join(' ')}\n\n${usage}`)
  return {
    subcommand,
    rounds: count('rounds', values.rounds, defaults[subcommand].rounds, 50),
    seconds: count('seconds', values.seconds, defaults[subcommand].seconds, 120),
    peers: values.peers?.split(','),
    votesPerSecond: count('pace', values.pace, 6000, 100_000),
    requests: count('requests', values.requests, 1_000_000, 5_000_000),
    clients: count('clients', values.clients, 1_000_000, 5_000_000),
  }
}
