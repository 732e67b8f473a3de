/** Nanoseconds for each look of the monitor, without a server around it, block by block in turn. argv: blocks */
import type { EndedRequest } from '../src/layers/index.ts'
import { allRules } from '../src/serve/rules.ts'
import type { Decision } from '../src/layers/monitor/decision.ts'
import { Decisions } from '../src/layers/monitor/decisions.ts'
import { createDetector } from '../src/layers/monitor/detector.ts'
import type { Client } from '../src/core/request.ts'

export type LookName =
  | 'plainRequest'
  | 'agentOfMany'
  | 'vote'
  | 'notFoundNewClient'
  | 'notFoundKnownClient'
  | 'loginFailure'
  | 'banNone'
  | 'banPrefixes'
  | 'banRanges'
  | 'banRanges6'

export interface LookBlocks {
  readonly looksPerBlock: number
  readonly rules: number
  readonly nanoseconds: Readonly<Record<LookName, readonly number[]>>
}

const warmUpBlocks = 5
const batchesPerBlock = 20
/** Few enough that what a server has just made of a request is in the processor's cache, as it is there. */
const looksPerBatch = 1000
const looksPerBlock = batchesPerBlock * looksPerBatch
const bans = 100_000
const ranges = 1000

const epochMs = Date.now()
const agent = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'

/** The request of a browser that went well. */
const plain: EndedRequest = {
  epochMs,
  requestId: '0123456789abcdef01234567',
  method: 'GET',
  route: '/',
  status: 200,
  durationMs: 0.1,
  verdict: 'ok',
  userAgent: agent,
  client: { address: '198.51.100.7', prefix: '198.51.100.7', network: '198.51.100.0/24' },
  principal: null,
  isForeign: false,
  target: '/',
  params: {},
  body: undefined,
}

/** Joined, as the server's own: a text put together with `+` would be made one when it is looked up. */
const ipv4 = (i: number): string => [20 + (i >>> 24), (i >>> 16) & 255, (i >>> 8) & 255, i & 255].join('.')
const clientOf = (address: string): Client => ({ address, prefix: address, network: address.replace(/\.\d+$/, '.0/24') })

const decision = (parts: Pick<Decision, 'id' | 'scope' | 'target'>): Decision => ({
  type: 'ban',
  rule: null,
  reason: 'bench',
  by: 'monitor',
  createdAt: epochMs,
  expiresAt: epochMs + 86_400_000,
  offence: 1,
  observed: false,
  evidence: null,
  ...parts,
})

const held = (all: readonly Pick<Decision, 'scope' | 'target'>[]): Decisions => {
  const decisions = new Decisions(Date.now)
  for (const [i, one] of all.entries()) decisions.apply({ change: 'decided', decision: decision({ id: `d${i}`, ...one }) })
  return decisions
}

/** Of any lengths, from all over. */
const ranges4 = Array.from({ length: ranges }, (_, i) => `${1 + ((i * 7) % 223)}.${(i * 31) % 256}.${(i * 17) % 256}.0/${8 + (i % 25)}`)
const ranges6 = Array.from(
  { length: ranges },
  (_, i) => `2001:${(0x600 + i).toString(16)}:${((i * 31) % 65_536).toString(16)}::/${33 + (i % 96)}`,
)
const bannedPrefixes = Array.from({ length: bans }, (_, i) => ({ scope: 'client' as const, target: ipv4(i * 7919) }))
const asRanges = [...ranges4, ...ranges6].map((target) => ({ scope: 'range' as const, target }))

/** Makes a batch, and with it what a server makes of each request, strings included: a string that was looked up before knows its hash. */
type Look = () => () => void
type See = ReturnType<typeof createDetector>['see']

const seeing = (signalOf: (i: number) => Parameters<See>[0]): Look => {
  const detector = createDetector({
    rules: allRules,
    clock: { monotonicMs: () => performance.now() },
    maxTracked: 1_000_000,
    isExempt: () => false,
    onOverflow: () => undefined,
  })
  let next = 0
  return () => {
    const signals = Array.from({ length: looksPerBatch }, () => signalOf(next++))
    return () => signals.forEach((signal) => detector.see(signal))
  }
}

const requests = (parts: (i: number) => Partial<EndedRequest>): Look =>
  seeing((i) => ({ kind: 'request', epochMs, request: { ...plain, ...parts(i) } }))

const notFound = { route: null, status: 404, verdict: 'not_found' }

/** Of clients who are not banned; a batch in which one is would have cost something else. */
const lookups =
  (decisions: Decisions, addressOf: (i: number) => string): Look =>
  () => {
    const clients = Array.from({ length: looksPerBatch }, (_, i) => clientOf(addressOf(i)))
    return () => {
      let found = 0
      for (const client of clients) if (decisions.ofClient(client) !== undefined) found++
      if (found > 0) throw new Error(`INVALID RUN: ${found} clients were banned`)
    }
  }

const free4 = (i: number): string => [250, i >>> 8, i & 255, 9].join('.')
/** In the network of a range each, and in none. */
const free6 = (i: number): string => ['2001', (0x600 + (i % ranges)).toString(16), 'ffff', i.toString(16), '', '9'].join(':')
const none = held([])
const many = held(bannedPrefixes)
const both = held([...bannedPrefixes, ...asRanges])

const looks: Readonly<Record<LookName, Look>> = {
  plainRequest: requests(() => ({})),
  agentOfMany: requests((i) => ({ userAgent: `${agent} ${i % 1000}` })),
  vote: requests((i) => ({ target: `/?like=${i % 3000}`, client: clientOf(ipv4(i % 100_000)) })),
  notFoundNewClient: requests((i) => ({ ...notFound, client: clientOf(ipv4(i)), target: '/no-such-page' })),
  notFoundKnownClient: requests((i) => ({ ...notFound, client: clientOf(ipv4(i % 100)), target: `/no-such-page-${i}` })),
  loginFailure: seeing((i) => ({
    kind: 'event',
    epochMs,
    event: { event: 'authn_login_fail', requestId: 'r', client: ipv4(i % 1000), subject: `u${i % 5000}`, reason: 'wrong password' },
  })),
  banNone: lookups(none, free4),
  banPrefixes: lookups(many, free4),
  banRanges: lookups(both, free4),
  banRanges6: lookups(both, free6),
}

const blocks = Number(process.argv[2])
const names = Object.keys(looks) as LookName[]
const nanoseconds = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<LookName, number[]>
for (let block = -warmUpBlocks; block < blocks; block++) {
  for (const name of names) {
    let ms = 0
    for (let batch = 0; batch < batchesPerBlock; batch++) {
      const run = looks[name]()
      const startMs = performance.now()
      run()
      ms += performance.now() - startMs
    }
    if (block >= 0) nanoseconds[name].push((ms * 1e6) / looksPerBlock)
  }
}
const result: LookBlocks = { looksPerBlock, rules: allRules.length, nanoseconds }
console.log(JSON.stringify(result))
