import { checkQuotas } from '../check-quotas.ts'
import type { Decision, Quota, Window, WindowState } from '../store.ts'

/** What the script must know of a set of quotas, encoded once; see script.ts, which says the same in Lua. */
export interface RedisPlan {
  readonly quotas: readonly Quota[]
  /** MessagePack: [keys, [[key, scope, shape, ttlMs, [[log, lengthUs, limit] or [log, intervalUs, aheadUs, waits], ...]], ...]]. */
  readonly encoded: Buffer
  /** Whether a quota counts for the wider prefix: then the script gets two keys. */
  readonly hasWider: boolean
  /** In the order of the states. */
  readonly windows: readonly PlannedWindow[]
  readonly hasRates: boolean
}

export interface PlannedWindow {
  readonly window: Window
  /** 0 where it is no rate. */
  readonly intervalUs: number
  readonly burstUs: number
  readonly aheadUs: number
}

/** As in the memory store: up to here every event is remembered, above by sixtieths of the window. */
const mostExactUnits = 256
const doubleBytes = 8
const statesBytes = 3 * doubleBytes
/** A nanosecond: what the rounding of doubles may take. */
const epsilonUs = 1e-3

/** Turns each set of quotas into a plan once; `hasWider` is whether the identity has a wider prefix. */
export class RedisPlanner {
  readonly #own = new WeakMap<readonly Quota[], RedisPlan>()
  readonly #all = new WeakMap<readonly Quota[], RedisPlan>()

  /** Throws a RangeError for windows that mean nothing and for two quotas of one scope. */
  plan(quotas: readonly Quota[], withWider: boolean): RedisPlan {
    const plans = withWider ? this.#all : this.#own
    let plan = plans.get(quotas)
    if (plan === undefined) {
      checkQuotas(quotas)
      plan = buildPlan(withWider ? quotas : quotas.filter(({ of }) => of !== 'wider'))
      plans.set(quotas, plan)
    }
    return plan
  }
}

const buildPlan = (quotas: readonly Quota[]): RedisPlan => {
  const hasWider = quotas.some(({ of }) => of === 'wider')
  const windows = quotas.flatMap((quota) => quota.windows.map((window) => plannedWindow(window)))
  const encoded = encode([hasWider ? 2 : 1, quotas.map(encodable)])
  return { quotas, encoded, hasWider, windows, hasRates: windows.some(({ intervalUs }) => intervalUs > 0) }
}

const plannedWindow = (window: Window): PlannedWindow => {
  const { limit, windowMs, burst, maxDelayMs = 0 } = window
  if (burst === undefined) return { window, intervalUs: 0, burstUs: 0, aheadUs: 0 }
  const intervalUs = (windowMs * 1000) / limit
  return { window, intervalUs, burstUs: burst * intervalUs, aheadUs: burst * intervalUs + maxDelayMs * 1000 }
}

interface Log {
  readonly kind: 'e' | 'c' | 'r'
  lengthUs: number
}

/** All exact windows of a scope read one log, as long as the longest of them; each other window has one of its own. */
const encodable = (quota: Quota): Encodable => {
  const logs: Log[] = []
  const logOf = (window: Window): number => {
    const lengthUs = Math.ceil(window.windowMs * 1000)
    const kind = window.burst !== undefined ? 'r' : window.limit <= mostExactUnits ? 'e' : 'c'
    const known = logs.findIndex((log) => log.kind === kind && (kind === 'e' || (kind === 'c' && log.lengthUs === lengthUs)))
    if (known === -1) return logs.push({ kind, lengthUs })
    logs[known]!.lengthUs = Math.max(logs[known]!.lengthUs, lengthUs)
    return known + 1
  }
  let longestUs = 0
  const windows = quota.windows.map((window): Encodable => {
    const { intervalUs, aheadUs } = plannedWindow(window)
    const lengthUs = Math.ceil(window.windowMs * 1000)
    // A unit that is counted with others of its sixtieth counts for up to so much longer.
    longestUs = Math.max(longestUs, intervalUs > 0 ? aheadUs : lengthUs + lengthUs / 60)
    const log = logOf(window)
    return intervalUs > 0 ? [log, intervalUs, aheadUs, window.maxDelayMs ? 1 : 0] : [log, lengthUs, window.limit]
  })
  return [quota.of === 'wider' ? 2 : 1, quota.scope, shapeOf(logs), Math.ceil(longestUs / 1000) + 1, windows]
}

const shapeOf = (logs: readonly Log[]): Buffer => {
  const shape = Buffer.alloc(1 + logs.length * 9)
  shape.writeUInt8(logs.length)
  for (const [i, { kind, lengthUs }] of logs.entries()) {
    shape.write(kind, 1 + i * 9, 'latin1')
    shape.writeDoubleLE(lengthUs, 2 + i * 9)
  }
  return shape
}

type Encodable = number | string | Buffer | readonly Encodable[]

/** MessagePack of what a plan is made of: every number as a double, every length in four bytes. */
const encode = (value: Encodable): Buffer => {
  if (typeof value === 'number') {
    const bytes = Buffer.alloc(9, 0xcb)
    bytes.writeDoubleBE(value, 1)
    return bytes
  }
  const text = typeof value === 'string' ? Buffer.from(value) : value
  const head = Buffer.alloc(5, Buffer.isBuffer(text) ? 0xdb : 0xdd)
  head.writeUInt32BE(text.length, 1)
  return Buffer.concat(Buffer.isBuffer(text) ? [head, text] : [head, ...text.map(encode)])
}

/** How many bytes the answer to one consume or peek has. */
export const answerBytes = ({ windows }: RedisPlan): number => doubleBytes + windows.length * statesBytes

/** The decision in an answer of the script that begins at `offset`; `atUs` is Redis' time. A peek has a cost of 0. */
export const readDecision = (plan: RedisPlan, answer: Buffer, offset: number, atUs: number, cost: number): Decision => {
  const { windows } = plan
  const allowed = cost === 0 || answer.readDoubleLE(offset) === 1
  const taken = allowed ? cost : 0
  const states: WindowState[] = []
  const violated: Window[] = []
  let retryAfterMs = 0
  let delayMs = 0
  let at = offset + doubleBytes
  for (const planned of windows) {
    const used = answer.readDoubleLE(at)
    const waitUs = answer.readDoubleLE(at + 16)
    const { window, intervalUs, burstUs } = planned
    if (intervalUs > 0) {
      const debtUs = used + taken * intervalUs
      states.push(rateState(planned, debtUs))
      if (allowed && cost > 0 && debtUs - burstUs > epsilonUs) delayMs = Math.max(delayMs, (debtUs - burstUs) / 1000)
    } else {
      states.push({ window, remaining: Math.max(0, window.limit - used - taken), resetMs: answer.readDoubleLE(at + 8) / 1000 })
    }
    if (!allowed && waitUs !== 0) {
      violated.push(window)
      retryAfterMs = Math.max(retryAfterMs, waitUs < 0 ? Infinity : waitUs / 1000)
    }
    at += statesBytes
  }
  const arrivals = allowed && cost > 0 && plan.hasRates ? arrivalsIn(plan, answer, offset, atUs, cost) : undefined
  return { allowed, states, violated, retryAfterMs, delayMs, at: atUs / 1000, arrivals }
}

/** What is left of a rate is left until the next interval is over. */
const rateState = ({ window, intervalUs, aheadUs }: PlannedWindow, debtUs: number): WindowState => {
  const remaining = Math.max(0, Math.floor((aheadUs - debtUs + epsilonUs) / intervalUs))
  const resetUs = debtUs === 0 ? 0 : Math.max(0, debtUs + (remaining + 1) * intervalUs - aheadUs)
  return { window, remaining, resetMs: Math.min(resetUs, debtUs) / 1000 }
}

const arrivalsIn = ({ windows }: RedisPlan, answer: Buffer, offset: number, atUs: number, cost: number): number[] =>
  windows.map(({ intervalUs }, i) => {
    if (intervalUs === 0) return NaN
    return (atUs + answer.readDoubleLE(offset + doubleBytes + i * statesBytes) + cost * intervalUs) / 1000
  })

/** What the script needs to take back a decision: its moment and its arrival times, in microseconds. */
export const receiptOf = ({ windows }: RedisPlan, { at, states, arrivals }: Decision): Buffer => {
  const receipt = Buffer.alloc((1 + windows.length) * doubleBytes)
  receipt.writeDoubleLE(Math.round(at * 1000))
  if (arrivals === undefined) return receipt
  for (const [i, { window }] of windows.entries()) {
    const arrival = arrivals[states.findIndex((state) => state.window === window)] ?? 0
    receipt.writeDoubleLE(arrival * 1000, (1 + i) * doubleBytes)
  }
  return receipt
}
