import assert from 'node:assert/strict'
import { Agent, get, type IncomingMessage } from 'node:http'

import { type Answer, exchange, requestBytes } from '../support/attack.ts'
import { eventually } from '../support/deadline.ts'
import type { TestServer } from '../support/server.ts'

/** What these tests ask for. */
export const limited = '/v1/films/1'

/** This is the only limit of `limited`; of all others there is so much that they are never met. */
export const onlyLimit = (limit: string, total = '100000000 per day'): string => `
[limits]
total = "${total}"
[limits.routes]
"GET /v1/films/:id" = { only = "${limit}" }
[concurrency]
per_client = 2000
`

/** For hundreds of connections of one client. */
export const manyConnections = { FILMGATE_SERVER_MAX_CONNECTIONS_PER_CLIENT: '5000' }

export interface Hit {
  /** 0 where there was no answer. */
  readonly status: number
  /** Of the problem, where it is one. */
  readonly code: string | undefined
  readonly retryAfter: string | undefined
  /** `performance.now()` of this process. */
  readonly sentMs: number
  readonly endedMs: number
}

export interface Hits {
  /** So far, in the order of the answers. */
  readonly all: readonly Hit[]
  /** Resolves when so many more requests are answered. */
  answered(count: number): Promise<void>
  /** Ends it when the answers that are due have come. */
  stop(): Promise<readonly Hit[]>
}

export interface HitOptions {
  /** The loopback address of the client; of several, each lane is the next one. */
  readonly from: string | readonly string[]
  /** Connections, on each of which one request follows the other. Default 8. */
  readonly lanes?: number
  /** What a lane waits between two requests, so that a load leaves the machine time for the rest. Default 0. */
  readonly pauseMs?: number
}

/** Requests for `limited`, without end; each lane asks the servers in turn. */
export const startHits = (servers: readonly TestServer[], { from, lanes = 8, pauseMs = 0 }: HitOptions): Hits => {
  const agent = new Agent({ keepAlive: true })
  const all: Hit[] = []
  const clients = [from].flat()
  const stopping = new AbortController()
  const run = async (lane: number): Promise<void> => {
    for (let turn = lane; !stopping.signal.aborted; turn++) {
      all.push(await hit(servers[turn % servers.length]!, agent, clients[lane % clients.length]!))
      if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs))
    }
  }
  const running = Promise.all(Array.from({ length: lanes }, (_, lane) => run(lane)))
  return {
    all,
    answered: async (count) => {
      const enough = all.length + count
      await eventually(30_000, `${count} answers`, () => all.length >= enough)
    },
    stop: async () => {
      stopping.abort()
      await running
      agent.destroy()
      return all
    },
  }
}

const hit = async ({ port }: TestServer, agent: Agent, localAddress: string): Promise<Hit> => {
  const sentMs = performance.now()
  try {
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      get({ port, host: '127.0.0.1', path: limited, agent, localAddress }, resolve).once('error', reject)
    })
    let body = ''
    for await (const text of answer.setEncoding('utf8')) body += String(text)
    const status = answer.statusCode ?? 0
    const code = status < 400 ? undefined : (JSON.parse(body) as { code: string }).code
    return { status, code, retryAfter: answer.headers['retry-after'], sentMs, endedMs: performance.now() }
  } catch {
    return { status: 0, code: undefined, retryAfter: undefined, sentMs, endedMs: performance.now() }
  }
}

/** How many have this status. */
export const count = (answers: readonly Pick<Hit, 'status'>[], status: number): number =>
  answers.filter((answer) => answer.status === status).length

/** The statuses that there are, with their numbers; for a whole look at a load. */
export const statuses = (answers: readonly Pick<Hit, 'status'>[]): Readonly<Record<number, number>> =>
  Object.fromEntries([...new Set(answers.map(({ status }) => status))].map((status) => [status, count(answers, status)]))

/** More at once would fill the queue of the listening socket. */
const mostConnections = 500

/** All at the same moment from one client, the servers in turn; on each connection one, or as many as it takes, pipelined. */
export const askAtOnce = async (servers: readonly TestServer[], requests: number, from: string): Promise<Answer[]> => {
  const each = Math.ceil(requests / mostConnections)
  const bytes = requestBytes({ target: limited, fields: { Connection: 'keep-alive' } }).toString()
  const asked = Array.from({ length: requests / each }, async (_, i) => {
    const { port } = servers[i % servers.length]!
    return (await exchange(port, bytes.repeat(each), { from, answers: each, timeoutMs: 20_000 })).answers
  })
  return (await Promise.all(asked)).flat()
}

/** What a policy has left, as the answer says. */
export const remaining = (answer: Answer, policy: string): number =>
  Number(new RegExp(`"${policy}";r=(\\d+)`).exec(answer.field('ratelimit') ?? '')?.[1])

/** Resolves at that moment of `performance.now()`, at once if it is over. */
export const untilMs = async (atMs: number): Promise<void> =>
  eventually(Math.max(0, atMs - performance.now()) + 1000, 'the moment comes', () => performance.now() >= atMs)

/** In no span of `windowMs` were more than `limit` surely admitted: each was between its request and its answer. */
export const assertNeverAbove = (hits: readonly Hit[], limit: number, windowMs: number): void => {
  const admitted = hits.filter(({ status }) => status === 200).toSorted((a, b) => a.sentMs - b.sentMs)
  for (const [i, first] of admitted.entries()) {
    const surely = admitted.slice(i).filter(({ endedMs }) => endedMs < first.sentMs + windowMs).length
    assert.ok(surely <= limit, `${surely} were admitted within ${windowMs} ms`)
  }
}
