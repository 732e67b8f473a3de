/**
 * Many clients of one memory store, each in turn until all are refused: what the store grows to, and what a decision takes when it is
 * new and when it is full. argv: clients, hours to go on for
 */
import { performance } from 'node:perf_hooks'
import { createMemoryStore, type Decision, parseLimits, type Quota } from '../src/layers/index.ts'
import { quantile } from './stats.ts'

export interface Exhaustion {
  readonly clients: number
  readonly turns: number
  readonly decisions: number
  readonly admitted: number
  readonly logs: number
  readonly growthMb: number
  readonly seconds: number
  /** Newcomers: of the first tenth of the clients, and of the last. */
  readonly firstClientsP99Us: number
  readonly lastClientsP99Us: number
  /** All clients: in the second turn, in the last that is admitted, and refused. */
  readonly secondTurnP99Us: number
  readonly lastTurnP99Us: number
  readonly refusedP99Us: number
}

const perHour = 50
const hourMs = 3_600_000
const timedEvery = 8

const [clients = 0, hours = 0] = process.argv.slice(2).map(Number)
const quotas: readonly Quota[] = [{ scope: 'route GET /', windows: parseLimits('50 per hour; 200 per day') }]

/** An odd factor permutes the addresses of 32.0.0.0 to 47.255.255.255: scattered as clients are, and none comes twice. */
function identity(n: number): { id: string; wider: string } {
  const bits = (n * 40_503 * 4097) % 2 ** 28
  const network = `${32 + (bits >>> 24)}.${(bits >>> 16) & 255}.${(bits >>> 8) & 255}`
  return { id: `${network}.${bits & 255}`, wider: `${network}.0/24` }
}

let aheadMs = 0
const clock = { monotonicMs: () => performance.now() + aheadMs }

/** One request of each client; how many were admitted, and every eighth decision's microseconds in order. */
function turn(consume: (n: number) => Decision, count: number): { readonly admitted: number; readonly us: readonly number[] } {
  const us: number[] = []
  let admitted = 0
  for (let n = 0; n < count; n++) {
    if (n % timedEvery !== 0) {
      if (consume(n).allowed) admitted++
      continue
    }
    const startMs = performance.now()
    if (consume(n).allowed) admitted++
    us.push((performance.now() - startMs) * 1000)
  }
  return { admitted, us }
}

function createConsume(tracked: number) {
  const store = createMemoryStore({ clock, maxTrackedClients: tracked })
  const consume = (n: number): Decision => store.consume(identity(n), quotas, 1)
  return { store, consume }
}

// Compiles what is measured, and gives the heap its working size.
const warm = createConsume(10_000)
for (let i = 0; i <= perHour; i++) turn(warm.consume, 10_000)

const beforeBytes = process.memoryUsage.rss()
const startMs = performance.now()
const { store, consume } = createConsume(clients)
const admittedTurns: (readonly number[])[] = []
let [turns, admitted] = [0, 0]
let refusedUs: readonly number[] = []
for (let hour = 0; hour < hours; hour++) {
  for (;;) {
    const made = turn(consume, clients)
    turns++
    admitted += made.admitted
    if (made.admitted === 0) {
      refusedUs = made.us
      break
    }
    admittedTurns.push(made.us)
  }
  if (hour < hours - 1) aheadMs += hourMs
}
const wanted = clients * perHour * hours
if (admitted !== wanted) throw new Error(`INVALID RUN: ${admitted} admitted, not ${wanted}`)

const p99 = (us: readonly number[] = []): number => quantile(us, 0.99)
const newcomers = admittedTurns[0] ?? []
const tenth = Math.ceil(newcomers.length / 10)
const result: Exhaustion = {
  clients,
  turns,
  decisions: turns * clients,
  admitted,
  logs: store.tracked,
  growthMb: (process.memoryUsage.rss() - beforeBytes) / 1e6,
  seconds: (performance.now() - startMs) / 1000,
  firstClientsP99Us: p99(newcomers.slice(0, tenth)),
  lastClientsP99Us: p99(newcomers.slice(-tenth)),
  secondTurnP99Us: p99(admittedTurns[1]),
  lastTurnP99Us: p99(admittedTurns.at(-1)),
  refusedP99Us: p99(refusedUs),
}
console.log(JSON.stringify(result))
