/* oxlint-disable no-await-in-loop -- one after the other is the point: what runs side by side measures each other */
/**
 * A client that asks at fixed moments, whatever the server does: a request that had to wait for its turn has waited.
 * Latency counts from the moment at which a request was due (no coordinated omission). argv: port, requests per second, seconds,
 * and the address to come from where it is to be another client than others here
 */
import { Agent, get } from 'node:http'
import { quantile } from './stats.ts'

export interface FixedRateSummary {
  readonly requests: number
  readonly failed: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  /** How late the client itself was: the part of the figures that is not the server's. */
  readonly sentLateP99Ms: number
}

const warmUpRequests = 200
// A timer of Node may be a millisecond late; the last stretch before a moment is polled.
const pollMs = 1.5

const [port = 0, perSecond = 0, seconds = 0] = process.argv.slice(2).map(Number)
const localAddress = process.argv[5]
const agent = new Agent({ keepAlive: true, maxSockets: 64, ...(localAddress === undefined ? {} : { localAddress }) })
const latenciesMs: number[] = []
const lateMs: number[] = []
let failed = 0

function ask(dueMs: number, measured: boolean): Promise<void> {
  return new Promise((resolve) => {
    const finish = (ok: boolean): void => {
      if (!ok) failed += 1
      if (measured) latenciesMs.push(performance.now() - dueMs)
      resolve()
    }
    if (measured) lateMs.push(performance.now() - dueMs)
    const outgoing = get({ host: '127.0.0.1', port, path: '/', agent, timeout: 10_000 }, (answer) => {
      answer.resume()
      answer.on('end', () => finish(answer.statusCode === 200))
      answer.on('error', () => finish(false))
    })
    outgoing.on('timeout', () => outgoing.destroy())
    outgoing.on('error', () => finish(false))
  })
}

function moment(dueMs: number): Promise<void> {
  return new Promise((resolve) => {
    const poll = (): void => {
      if (performance.now() >= dueMs) resolve()
      else setImmediate(poll)
    }
    setTimeout(poll, Math.max(0, dueMs - performance.now() - pollMs))
  })
}

const total = warmUpRequests + perSecond * seconds
const startMs = performance.now() + 50
const answers: Promise<void>[] = []
for (let i = 0; i < total; i++) {
  const dueMs = startMs + (i * 1000) / perSecond
  if (performance.now() < dueMs) await moment(dueMs)
  answers.push(ask(dueMs, i >= warmUpRequests))
}
await Promise.all(answers)
agent.destroy()

const summary: FixedRateSummary = {
  requests: latenciesMs.length,
  failed,
  p50Ms: quantile(latenciesMs, 0.5),
  p99Ms: quantile(latenciesMs, 0.99),
  maxMs: quantile(latenciesMs, 1),
  sentLateP99Ms: quantile(lateMs, 0.99),
}
console.log(JSON.stringify(summary))
