import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { createDetector } from '../../src/layers/monitor/detector.ts'
import type { Aspect, Condition, Rule } from '../../src/layers/monitor/rule.ts'
import { clients, type Told, toldSignal } from '../support/monitor-signals.ts'

const conditions: readonly (readonly [Condition, (told: Told) => boolean])[] = [
  [{ event: 'authn_login_fail' }, ({ signal }) => signal.kind === 'event' && signal.event.event === 'authn_login_fail'],
  [
    { event: ['authn_login_fail', 'session_created'], where: { reason: ['a', 'c'] } },
    ({ signal }) => signal.kind === 'event' && signal.event.event === 'authn_login_fail' && signal.event.reason === 'a',
  ],
  [{ event: 'session_created' }, ({ signal }) => signal.kind === 'event' && signal.event.event === 'session_created'],
  [
    { event: 'input_validation_fail', where: { pointers: ['/a', '/b'] } },
    ({ signal }) =>
      signal.kind === 'event' &&
      signal.event.event === 'input_validation_fail' &&
      signal.event.pointers.some((pointer) => pointer === '/a' || pointer === '/b'),
  ],
  [{ request: { statuses: [404] } }, ({ signal }) => signal.kind === 'request' && signal.request.status === 404],
  [
    { request: { hasId: true, verdicts: ['ok'] } },
    ({ signal, values }) => signal.kind === 'request' && values.id !== undefined && signal.request.verdict === 'ok',
  ],
  [{ request: { parameters: ['like', 'dislike'] } }, ({ values }) => (values.vote ?? []).length > 0],
  [
    { request: { routes: ['/'], methods: ['GET', 'POST'], authenticated: true } },
    ({ signal, values }) => signal.kind === 'request' && values.id === undefined && values.account !== undefined,
  ],
  [{ request: { methods: ['POST'] } }, () => false],
  [
    { request: { foreign: false, statuses: [200, 404] } },
    ({ signal }) => signal.kind === 'request' && !signal.request.isForeign && signal.request.status !== 400,
  ],
  [
    { request: { withKey: true, foreign: true, verdicts: ['ok', 'not_found'] } },
    ({ signal, values }) =>
      signal.kind === 'request' && values.principal !== undefined && signal.request.isForeign && signal.request.status !== 400,
  ],
]

interface ModelRule {
  readonly rule: Rule
  readonly leakSeconds: number
  readonly pours: (told: Told) => boolean
  readonly completes: ((told: Told) => boolean) | undefined
}

const aspect = fc.constantFrom<Aspect>('client', 'network', 'account', 'principal', 'route', 'path', 'id', 'vote', 'pointer')
const anyRule = fc
  .record({
    capacity: fc.integer({ min: 0, max: 4 }),
    leakSeconds: fc.integer({ min: 1, max: 20 }),
    cost: fc.constantFrom(undefined, 1, 2),
    groupBy: fc.oneof(fc.constant<Aspect[]>(['client']), fc.uniqueArray(aspect, { minLength: 1, maxLength: 2 })),
    distinct: fc.option(aspect, { nil: undefined }),
    when: fc.uniqueArray(fc.nat({ max: conditions.length - 1 }), { minLength: 1, maxLength: 3 }),
    completedBy: fc.option(fc.nat({ max: conditions.length - 1 }), { nil: undefined }),
    scope: fc.constantFrom('client' as const, 'range' as const, 'principal' as const, 'account' as const),
  })
  .map(({ leakSeconds, capacity, cost, completedBy, when, groupBy, scope, distinct }): ModelRule => {
    const completing = completedBy === undefined || capacity < (cost ?? 1) ? undefined : conditions[completedBy]!
    return {
      leakSeconds,
      pours: (told) => when.some((which) => conditions[which]![1](told)),
      completes: completing?.[1],
      rule: {
        name: '',
        summary: '',
        groupBy,
        bucket: { capacity, leakPerSecond: 1 / leakSeconds },
        when: when.map((which) => conditions[which]![0]),
        ...(distinct === undefined ? {} : { distinct }),
        ...(cost === undefined ? {} : { cost }),
        ...(completing === undefined ? {} : { completedBy: completing[0] }),
        decision: { type: 'ban', scope, durationMs: 1, maxDurationMs: 1 },
        confidence: 'low',
        spoofable: false,
        references: [],
      },
    }
  })

/** Levels in thousandths of what leaks in a second, so that whole numbers are exact. */
class Model {
  readonly overflows: string[] = []
  readonly #rules: readonly ModelRule[]
  readonly #levels = new Map<string, { level: number; at: number }>()
  readonly #seen = new Map<string, number>()

  constructor(rules: readonly ModelRule[]) {
    this.#rules = rules
  }

  see(told: Told, now: number): void {
    for (const model of this.#rules) {
      const groups = this.#groups(model.rule.groupBy, told)
      if (model.completes?.(told) === true && this.#complete(model, groups, told, now)) continue
      if (model.pours(told)) for (const group of groups) this.#pour(model, group, told, now)
    }
  }

  level({ rule, leakSeconds }: ModelRule, group: string, now: number): number {
    return this.#now(`${rule.name} ${group}`, now) / (leakSeconds * 1000)
  }

  #groups(aspects: readonly Aspect[], { values }: Told): string[] {
    let groups = ['']
    for (const one of aspects) groups = groups.flatMap((group) => (values[one] ?? []).map((value) => `${group}|${value}`))
    return groups
  }

  #now(name: string, now: number): number {
    const { level, at } = this.#levels.get(name) ?? { level: 0, at: 0 }
    return Math.max(0, level - (now - at))
  }

  #pour(model: ModelRule, group: string, told: Told, now: number): void {
    const { rule, leakSeconds } = model
    const [name, unit] = [`${rule.name} ${group}`, leakSeconds * 1000]
    const [cost, capacity] = [(rule.cost ?? 1) * unit, rule.bucket.capacity * unit]
    const values = rule.distinct === undefined ? [''] : (told.values[rule.distinct] ?? [])
    for (const value of values) {
      if (rule.distinct !== undefined) {
        if ((this.#seen.get(`${name} ${value}`) ?? -Infinity) + capacity + cost > now) continue
        this.#seen.set(`${name} ${value}`, now)
      }
      const level = this.#now(name, now) + cost
      const isOver = level > capacity
      if (isOver && model.completes === undefined) {
        this.#levels.delete(name)
        this.#overflow(rule, told)
      } else this.#levels.set(name, { level: Math.min(level, capacity), at: now })
    }
  }

  #complete({ rule, leakSeconds }: ModelRule, groups: readonly string[], told: Told, now: number): boolean {
    const unit = leakSeconds * 1000
    const full = groups.find((group) => this.#now(`${rule.name} ${group}`, now) + (rule.cost ?? 1) * unit > rule.bucket.capacity * unit)
    if (full === undefined) return false
    this.#levels.delete(`${rule.name} ${full}`)
    this.#overflow(rule, told)
    return true
  }

  #overflow({ name, decision }: Rule, { targets }: Told): void {
    const target = targets[decision.scope]
    if (target !== undefined) this.overflows.push(`${name} ${target}`)
  }
}

test('any rules and any signals: what overflows, when, and how full the rest is, is what an exact model says', () => {
  const steps = fc.array(fc.tuple(toldSignal, fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 5000 }))), {
    minLength: 30,
    maxLength: 150,
    size: 'max',
  })
  let overflowed = 0
  fc.assert(
    fc.property(
      fc.array(anyRule, { minLength: 1, maxLength: 4 }),
      steps,
      fc.integer({ min: 0, max: 300_000_000_000 }),
      (some, signals, start) => {
        const rules = some.map((one, i) => ({ ...one, rule: { ...one.rule, name: `r${i}` } }))
        let now = start
        const overflows: string[] = []
        const detector = createDetector({
          rules: rules.map(({ rule }) => rule),
          clock: { monotonicMs: () => now },
          maxTracked: 10_000,
          isExempt: () => false,
          onOverflow: ({ rule, target }) => overflows.push(`${rule.name} ${target}`),
        })
        const model = new Model(rules)
        for (const [one, ms] of signals) {
          now += ms
          detector.see(one.signal)
          model.see(one, now)
          assert.deepEqual(overflows, model.overflows)
        }
        overflowed += overflows.length
        for (const who of clients) {
          const buckets = new Map(detector.bucketsOf(who).map(({ rule, level }) => [rule, level]))
          for (const one of rules.filter(({ rule }) => rule.groupBy.join(' ') === 'client')) {
            assert.ok(Math.abs((buckets.get(one.rule.name) ?? 0) - model.level(one, `|${who}`, now)) < 0.001)
          }
        }
      },
    ),
    { numRuns: 500 },
  )
  assert.ok(overflowed > 1000, `the property means nothing with ${overflowed} overflows`)
})
