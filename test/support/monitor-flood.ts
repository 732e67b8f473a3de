/** A process that lets a million clients do what the rules look for, and prints what it took. Run with --expose-gc. */
import { createDetector, type Detector } from '../../src/layers/monitor/detector.ts'
import { allRules } from '../../src/serve/rules.ts'

export interface Flood {
  readonly tracked: number
  readonly megabytes: number
  /** Whether what an attacker did before the flood still counts after it. */
  readonly isAttackerKnown: boolean
}

const clients = 1_000_000
/** The last resort gives back the pages that V8 keeps for later, too. */
const collect = (globalThis as { gc?: (options: { type: 'major'; execution: 'sync'; flavor: 'last-resort' }) => void }).gc
if (collect === undefined) throw new Error('run with --expose-gc')

const residentMb = (): number => {
  collect({ type: 'major', execution: 'sync', flavor: 'last-resort' })
  return process.memoryUsage().rss / 1e6
}

const overflowed = new Set<string>()
const watching = (maxTracked: number): Detector =>
  createDetector({
    rules: allRules,
    clock: { monotonicMs: () => 1000 },
    maxTracked,
    isExempt: () => false,
    onOverflow: ({ target }) => void overflowed.add(target),
  })

const ask = (detector: Detector, address: string, target: string): void =>
  detector.see({
    kind: 'request',
    epochMs: 1_700_000_000_000,
    request: {
      epochMs: 1_700_000_000_000,
      requestId: '0123456789abcdef01234567',
      method: 'GET',
      route: null,
      status: 404,
      durationMs: 1,
      verdict: 'not_found',
      userAgent: 'Mozilla/5.0',
      client: { address, prefix: address },
      principal: null,
      isForeign: false,
      target,
      params: {},
      body: undefined,
    },
  })

const pathOf = (i: number): string => `/no-${'abcdefghijklmnopqrstuvwxyz'[i]}`
const clientAt = (i: number): string => `${10 + (i >>> 24)}.${(i >>> 16) & 255}.${(i >>> 8) & 255}.${i & 255}`
const attacker = '203.0.113.7'

// The heap takes its working size by the garbage of requests, whatever is kept of them.
const warmUp = watching(1000)
for (let i = 0; i < 100_000; i++) ask(warmUp, clientAt(i % 1000), pathOf(i % 2))

const detector = watching(clients)
// One more would be a decision.
for (let i = 0; i < 15; i++) ask(detector, attacker, pathOf(i))
const before = residentMb()
for (let i = 0; i < clients; i++) ask(detector, clientAt(i), pathOf(0))
for (let i = 0; i < clients; i += 4) ask(detector, clientAt(i), pathOf(1))
const megabytes = residentMb() - before
ask(detector, attacker, pathOf(15))
const flood: Flood = { tracked: detector.tracked, megabytes, isAttackerKnown: overflowed.has(attacker) }
console.log(JSON.stringify(flood))
