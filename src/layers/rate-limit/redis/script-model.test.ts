import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import fc from 'fast-check'

import { startClockedScript } from '../../../../test/support/clocked-script.ts'
import { describeUnless, servicesMissing } from '../../../../test/support/services.ts'
import type { Decision, Quota, Window } from '../store.ts'

/** The promise of the seam as slowly and plainly as possible, in whole microseconds: every unit ever admitted, and a look at all of them. */
interface Entry {
  /** Of a coarse window the latest moment of the sixtieth. */
  atUs: number
  units: number
}

class SlowLog {
  readonly entries: Entry[] = []
  readonly #quantumUs: number | null

  constructor(quantumUs: number | null) {
    this.#quantumUs = quantumUs
  }

  isSame(a: number, b: number): boolean {
    return this.#quantumUs === null ? a === b : Math.floor(a / this.#quantumUs) === Math.floor(b / this.#quantumUs)
  }

  add(atUs: number, units: number): void {
    const known = this.entries.find((entry) => this.isSame(entry.atUs, atUs))
    if (known === undefined) this.entries.push({ atUs, units })
    else [known.atUs, known.units] = [atUs, known.units + units]
  }

  remove(atUs: number, units: number): void {
    const known = this.entries.find((entry) => this.isSame(entry.atUs, atUs))
    if (known !== undefined) known.units -= Math.min(known.units, units)
    if (known?.units === 0 && this.#quantumUs === null) this.entries.splice(this.entries.indexOf(known), 1)
  }
}

/** For each window a log of its own, though the script shares them. */
class SlowModel {
  readonly #logs = new Map<string, SlowLog>()
  readonly #arrivals = new Map<string, { atUs: number; debtUs: number }>()

  log(scope: string, { name, limit, windowMs }: Window): SlowLog {
    const key = `${scope} ${name}`
    const log = this.#logs.get(key) ?? new SlowLog(limit <= 256 ? null : (windowMs * 1000) / 60)
    this.#logs.set(key, log)
    return log
  }

  debtUs(scope: string, window: Window, nowUs: number): number {
    const { atUs, debtUs } = this.#arrivals.get(`${scope} ${window.name}`) ?? { atUs: nowUs, debtUs: 0 }
    return Math.max(0, debtUs - (nowUs - atUs))
  }

  owe(scope: string, window: Window, nowUs: number, debtUs: number): void {
    this.#arrivals.set(`${scope} ${window.name}`, { atUs: nowUs, debtUs })
  }

  /** Whether nothing was admitted or taken back since. */
  isLatest(scope: string, window: Window, arrivalUs: number): boolean {
    const { atUs, debtUs } = this.#arrivals.get(`${scope} ${window.name}`) ?? { atUs: NaN, debtUs: NaN }
    return Math.abs(atUs + debtUs - arrivalUs) < 1
  }
}

interface Expected {
  readonly remaining: number
  readonly resetMs: number
  readonly waitMs: number
}

const intervalUs = ({ windowMs, limit }: Window): number => (windowMs * 1000) / limit
const aheadUs = (window: Window): number => window.burst! * intervalUs(window) + (window.maxDelayMs ?? 0) * 1000

const expectedOf = (model: SlowModel, scope: string, window: Window, cost: number, charged: number, nowUs: number): Expected => {
  const { limit, windowMs, burst } = window
  if (burst !== undefined) {
    const [interval, ahead] = [intervalUs(window), aheadUs(window)]
    const earlier = model.debtUs(scope, window, nowUs)
    const debt = earlier + charged * interval
    const remaining = Math.max(0, Math.floor((ahead - debt + 0.001) / interval))
    const resetUs = debt === 0 ? 0 : Math.min(debt, debt + (remaining + 1) * interval - ahead)
    const waitUs = cost * interval > ahead + 0.001 ? Infinity : earlier + cost * interval - ahead
    return { remaining, resetMs: resetUs / 1000, waitMs: waitUs > 0.001 ? waitUs / 1000 : 0 }
  }
  const log = model.log(scope, window)
  const inside = log.entries.filter(({ atUs }) => nowUs - atUs < windowMs * 1000)
  const used = inside.reduce((sum, { units }) => sum + units, 0)
  const leavesMs = ({ atUs }: Entry): number => windowMs - (nowUs - atUs) / 1000
  const [oldest] = inside
  const isRenewed = charged > 0 && (used === 0 || (inside.length === 1 && limit > 256 && log.isSame(oldest!.atUs, nowUs)))
  let waitMs = cost > limit ? Infinity : 0
  let freed = 0
  for (const entry of inside) {
    if (used + cost - limit <= freed) break
    freed += entry.units
    waitMs = Math.max(waitMs, leavesMs(entry))
  }
  return {
    remaining: Math.max(0, limit - used - charged),
    resetMs: isRenewed ? windowMs : used === 0 ? 0 : leavesMs(oldest!),
    waitMs,
  }
}

const isClose = (actual: number, expected: number): boolean => actual === expected || Math.abs(actual - expected) < 1e-3

const window = (spec: Omit<Window, 'name'>): Omit<Window, 'name'> => spec
const lengthMs = fc.oneof(fc.constantFrom(1, 60, 1000), fc.integer({ min: 1, max: 5000 }))
const anyWindow = fc.oneof(
  fc.record({ limit: fc.oneof(fc.integer({ min: 1, max: 9 }), fc.constantFrom(50, 255, 256)), windowMs: lengthMs }).map(window),
  fc.record({ limit: fc.integer({ min: 257, max: 600 }), windowMs: lengthMs }).map(window),
  fc.record({ limit: fc.integer({ min: 1, max: 9 }), windowMs: lengthMs, burst: fc.integer({ min: 1, max: 5 }) }).map(window),
  fc
    .record({ limit: fc.integer({ min: 1, max: 9 }), windowMs: lengthMs, burst: fc.constantFrom(1, 3), maxDelayMs: fc.nat(2000) })
    .map(window),
)
const anyQuotas = fc.array(fc.array(anyWindow, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 3 }).map((scopes) =>
  scopes.map((windows, i): Quota => ({
    scope: `scope ${i}`,
    windows: windows.map((each, j) => ({ ...each, name: `${i} ${j}` })),
    ...(i === 2 && { of: 'wider' as const }),
  })),
)
const anyStep = fc.record({
  passUs: fc.oneof(fc.constantFrom(0, 0, 1, 1000), fc.integer({ min: 0, max: 500_000 }), fc.integer({ min: 0, max: 9_000_000 })),
  act: fc.constantFrom('consume', 'consume', 'consume', 'consume', 'refund', 'peek', 'wait'),
  cost: fc.oneof({ weight: 4, arbitrary: fc.constant(1) }, fc.integer({ min: 1, max: 300 })),
})

const takeBack = (model: SlowModel, quotas: readonly Quota[], cost: number, decision: Decision, nowUs: number): void => {
  const atUs = Math.round(decision.at * 1000)
  const arrivals = decision.arrivals?.values()
  for (const { scope, windows } of quotas) {
    for (const each of windows) {
      const arrivalUs = (arrivals?.next().value ?? NaN) * 1000
      if (each.burst === undefined) model.log(scope, each).remove(atUs, cost)
      else if (!each.maxDelayMs || model.isLatest(scope, each, arrivalUs))
        model.owe(scope, each, nowUs, Math.max(0, model.debtUs(scope, each, nowUs) - cost * intervalUs(each)))
    }
  }
}

const admit = (model: SlowModel, quotas: readonly Quota[], cost: number, nowUs: number): void => {
  for (const { scope, windows } of quotas) {
    for (const each of windows) {
      if (each.burst === undefined) model.log(scope, each).add(nowUs, cost)
      else model.owe(scope, each, nowUs, model.debtUs(scope, each, nowUs) + cost * intervalUs(each))
    }
  }
}

const compare = (model: SlowModel, quotas: readonly Quota[], cost: number, decision: Decision, nowUs: number): void => {
  const windows = quotas.flatMap(({ scope, windows: own }) => own.map((each) => ({ scope, each })))
  const charged = decision.allowed ? cost : 0
  const expected = windows.map(({ scope, each }) => expectedOf(model, scope, each, cost, charged, nowUs))
  assert.equal(decision.allowed, cost === 0 || expected.every(({ waitMs }) => waitMs === 0))
  for (const [i, { remaining, resetMs }] of expected.entries()) {
    assert.equal(decision.states[i]!.remaining, remaining)
    assert.ok(isClose(decision.states[i]!.resetMs, resetMs), `reset ${decision.states[i]!.resetMs}, not ${resetMs}`)
  }
  if (cost === 0) return
  const waitMs = Math.max(...expected.map((each) => each.waitMs))
  assert.ok(isClose(decision.retryAfterMs, waitMs), `wait ${decision.retryAfterMs}, not ${waitMs}`)
  assert.deepEqual(
    decision.violated.map(({ name }) => name),
    windows.filter((_, i) => expected[i]!.waitMs > 0).map(({ each }) => each.name),
  )
  const waits = windows.map(({ scope, each }) =>
    each.burst === undefined ? 0 : model.debtUs(scope, each, nowUs) + (cost - each.burst) * intervalUs(each),
  )
  assert.ok(isClose(decision.delayMs, decision.allowed ? Math.max(0, ...waits) / 1000 : 0))
}

let ids = 0
const newId = (): string => `client ${ids++}`

describeUnless(servicesMissing('redis'), 'the script in Redis', () => {
  let script: Awaited<ReturnType<typeof startClockedScript>>
  before(async () => {
    script = await startClockedScript()
  })
  after(() => script[Symbol.asyncDispose]())

  test('decides as the slow model does, for any windows, rates, costs, pauses and refunds', async () => {
    await fc.assert(
      fc.asyncProperty(anyQuotas, fc.array(anyStep, { minLength: 1, maxLength: 60 }), async (quotas, steps) => {
        const id = newId()
        const model = new SlowModel()
        const given: { decision: Decision; cost: number }[] = []
        let last: Decision | undefined
        for (const { passUs, act, cost } of steps) {
          // As long as the last refusal said.
          const waitUs = last !== undefined && last.retryAfterMs !== Infinity ? Math.ceil(last.retryAfterMs * 1000 - 0.01) : 0
          script.nowUs += act === 'wait' ? waitUs : passUs
          if (act === 'peek') compare(model, quotas, 0, await script.peek(id, quotas), script.nowUs)
          else if (act === 'refund') {
            const [taken] = given.splice(Math.floor(passUs % Math.max(1, given.length)), 1)
            if (taken === undefined) continue
            await script.refund(id, quotas, taken.cost, taken.decision)
            takeBack(model, quotas, taken.cost, taken.decision, script.nowUs)
          } else {
            last = await script.consume(id, quotas, cost)
            compare(model, quotas, cost, last, script.nowUs)
            if (last.allowed) admit(model, quotas, cost, script.nowUs)
            if (last.allowed) given.push({ decision: last, cost })
          }
        }
      }),
      { numRuns: 300 },
    )
  })
})
