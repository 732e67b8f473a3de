/* oxlint-disable no-await-in-loop -- one after the other is the point: what runs side by side measures each other */
/** Microseconds of a decision in each of the limiters' memories, block by block in turn. argv: blocks */
import { createRequire } from 'node:module'
import { RateLimiterMemory } from 'rate-limiter-flexible'
import { clientIdentity, createMemoryStore, type Identity, type LimiterStore, parseLimits, type Quota } from '../src/layers/index.ts'

export type ContenderName = 'raised' | 'admitted' | 'refused' | 'flexible' | 'localStore'

export interface DecisionBlocks {
  readonly decisionsPerBlock: number
  readonly clients: number
  readonly microseconds: Readonly<Record<ContenderName, readonly number[]>>
}

/** The part of `@fastify/rate-limit`'s memory that its plugin calls. */
interface LocalStore {
  incr(key: string, answer: (error: Error | null, state: { readonly current: number }) => void, windowMs: number, max: number): void
}

/** So many decisions of each client. */
type Block = (turns: number) => void | Promise<void>

const warmUpBlocks = 5
const clients = 1000
const turnsPerBlock = 20
const decisionsPerBlock = clients * turnsPerBlock
const dayMs = 86_400_000
const never = 1_000_000_000

const addresses = Array.from({ length: clients }, (_, i) => `32.${(i * 7) % 256}.${i >>> 8}.${i % 256}`)
const identities = addresses.map((address) => clientIdentity({ address, prefix: address, network: address.replace(/\.\d+$/, '.0/24') }))

/** A decision that is not as `allowed` says would have cost something else. */
function ours(limits: string, everyMs: number, allowed: boolean): Block {
  let nowMs = 0
  // The real clock is read, for that is part of the cost; the time is ours.
  const clock = { monotonicMs: () => nowMs + performance.now() * 1e-9 }
  const store: LimiterStore = createMemoryStore({ clock, maxTrackedClients: 1_000_000 })
  const quotas: readonly Quota[] = [{ scope: 'route GET /', windows: parseLimits(limits) }]
  const exhaust = (identity: Identity): void => void store.consume(identity, quotas, 1)
  if (!allowed) identities.forEach(exhaust)
  const decide = (identity: Identity): number => {
    nowMs += everyMs
    const decision = store.consume(identity, quotas, 1)
    return decision instanceof Promise || decision.allowed !== allowed ? 1 : 0
  }
  return (turns) => {
    let unexpected = 0
    for (let turn = 0; turn < turns; turn++) for (const identity of identities) unexpected += decide(identity)
    if (unexpected > 0) throw new Error(`INVALID RUN: ${unexpected} decisions of "${limits}" were not ${allowed ? 'admitted' : 'refused'}`)
  }
}

function flexible(): Block {
  const limiter = new RateLimiterMemory({ points: never, duration: dayMs / 1000 })
  return async (turns) => {
    for (let turn = 0; turn < turns; turn++) for (const address of addresses) await limiter.consume(address)
  }
}

function localStore(): Block {
  const load = createRequire(import.meta.url)
  const Store = load('@fastify/rate-limit/store/LocalStore.js') as new (continueExceeding: boolean, backoff: boolean) => LocalStore
  const store = new Store(false, false)
  return (turns) => {
    let most = 0
    const answer = (_: Error | null, { current }: { readonly current: number }): void => {
      most = Math.max(most, current)
    }
    for (let turn = 0; turn < turns; turn++) for (const address of addresses) store.incr(address, answer, dayMs, never)
    if (most < 1) throw new Error('INVALID RUN: nothing was counted')
  }
}

const defaults = '1 per second; 50 per hour; 200 per day'
const contenders: Readonly<Record<ContenderName, Block>> = {
  raised: ours(`${never} per second; ${never} per hour; ${never} per day`, 0, true),
  admitted: ours(defaults, 450_000 / clients, true),
  refused: ours(defaults, 0, false),
  flexible: flexible(),
  localStore: localStore(),
}

const blocks = Number(process.argv[2])
const names = Object.keys(contenders) as ContenderName[]
const microseconds: Record<ContenderName, number[]> = { raised: [], admitted: [], refused: [], flexible: [], localStore: [] }
for (let block = -warmUpBlocks; block < blocks; block++) {
  for (const name of names) {
    const startMs = performance.now()
    await contenders[name](turnsPerBlock)
    if (block >= 0) microseconds[name].push(((performance.now() - startMs) * 1000) / decisionsPerBlock)
  }
}
const result: DecisionBlocks = { decisionsPerBlock, clients, microseconds }
console.log(JSON.stringify(result))
