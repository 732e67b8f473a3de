import type { SecurityEvent } from '../../core/events.ts'
import { randomWord } from '../../core/keyed-hash.ts'
import { hasParameter } from './parameters.ts'
import type { Aspect, Condition, EventCondition, RequestCondition, Rule, Tag } from './rule.ts'
import type { EndedRequest } from './signal.ts'

/** A rule with everything that can be said before the first signal. */
export interface CompiledRule {
  readonly rule: Rule
  readonly cost: number
  /** In how many milliseconds one signal's worth runs out. */
  readonly costMs: number
  /** In how many a full bucket is empty. */
  readonly capacityMs: number
  /** Keys of other rules are other keys. */
  readonly saltLo: number
  readonly saltHi: number
  readonly groupBy: readonly Aspect[]
  readonly distinct: Aspect | undefined
  readonly isCompleted: boolean
}

/** What a rule wants to know of one kind of signal: any of `pours`, any of `completes`. */
export interface Watch<Test> {
  readonly rule: CompiledRule
  readonly pours: readonly Test[]
  readonly completes: readonly Test[]
}

export type EventTest = (event: SecurityEvent) => boolean

/** What of a request condition is not settled by method and route. */
export type RequestTest = Omit<RequestCondition['request'], 'methods' | 'routes' | 'hasId'>

/** The rules that look at a route, and those of them that look at requests that went well. */
export interface RoutePlan {
  readonly ok: readonly Watch<RequestTest>[]
  readonly other: readonly Watch<RequestTest>[]
}

export interface CompiledRules {
  readonly rules: readonly CompiledRule[]
  /** Undefined where no rule looks at it. */
  ofEvent(name: string): readonly Watch<EventTest>[] | undefined
  ofRoute(method: string | null, route: string | null): RoutePlan
}

/** Throws a RangeError for a rule that means nothing. */
export const compileRules = (rules: readonly Rule[]): CompiledRules => {
  const compiled = rules.map(compileRule)
  if (new Set(rules.map(({ name }) => name)).size < rules.length) throw new RangeError('two rules have the same name')
  const byEvent = watchedEvents(compiled)
  return { rules: compiled, ofEvent: (name) => byEvent.get(name), ofRoute: createRoutePlans(compiled) }
}

const compileRule = (rule: Rule): CompiledRule => {
  const { name, bucket, cost = 1, groupBy } = rule
  const { capacity, leakPerSecond } = bucket
  const complain = (what: string): never => {
    throw new RangeError(`rule ${name}: ${what}`)
  }
  if (!(capacity >= 0 && Number.isFinite(capacity))) complain('the capacity must be 0 or more')
  if (!(leakPerSecond > 0 && Number.isFinite(leakPerSecond))) complain('something must leak')
  if (!(cost > 0 && Number.isFinite(cost))) complain('a signal must cost something')
  if (groupBy.length === 0) complain('nothing to group by')
  if (rule.completedBy !== undefined && capacity < cost) complain('a bucket that nothing fits into is never full')
  return {
    rule,
    cost,
    costMs: (cost / leakPerSecond) * 1000,
    capacityMs: (capacity / leakPerSecond) * 1000,
    saltLo: randomWord(),
    saltHi: randomWord(),
    groupBy,
    distinct: rule.distinct,
    isCompleted: rule.completedBy !== undefined,
  }
}

const isEvent = (condition: Condition): condition is EventCondition => 'event' in condition

const listOf = <T>(value: T | readonly T[]): readonly T[] => (Array.isArray(value) ? (value as readonly T[]) : [value as T])

const watchedEvents = (rules: readonly CompiledRule[]): ReadonlyMap<string, readonly Watch<EventTest>[]> => {
  const byEvent = new Map<string, Watch<EventTest>[]>()
  for (const rule of rules) {
    const { when, completedBy } = rule.rule
    const pouring = when.filter(isEvent)
    const completing = completedBy !== undefined && isEvent(completedBy) ? [completedBy] : []
    for (const name of new Set([...pouring, ...completing].flatMap(({ event }) => listOf(event)))) {
      const ofName = (conditions: readonly EventCondition[]): EventTest[] =>
        conditions.filter(({ event }) => listOf(event).includes(name)).map(eventTest)
      const watches = byEvent.get(name) ?? []
      watches.push({ rule, pours: ofName(pouring), completes: ofName(completing) })
      byEvent.set(name, watches)
    }
  }
  return byEvent
}

const eventTest = ({ where }: EventCondition): EventTest => {
  const wanted = Object.entries(where ?? {}).map(([name, values]) => [name, new Set(listOf(values))] as const)
  if (wanted.length === 0) return () => true
  return (event) =>
    wanted.every(([name, values]) => {
      const value = (event as unknown as Readonly<Record<string, Plain | readonly Plain[] | null>>)[name]
      return value != null && listOf(value).some((one) => values.has(String(one)))
    })
}

/** What events are made of. */
type Plain = string | number | boolean

/** Methods and routes are the server's own, so there are few; should that be wrong, the rest is worked out each time. */
const maxPlans = 4096

const createRoutePlans = (rules: readonly CompiledRule[]): CompiledRules['ofRoute'] => {
  const known = new Map<string | null, Map<string | null, RoutePlan>>()
  let plans = 0
  return (method, route) => {
    let ofRoute = known.get(route)
    const plan = ofRoute?.get(method)
    if (plan !== undefined) return plan
    const made = planOf(rules, method, route)
    if (plans++ >= maxPlans) return made
    if (ofRoute === undefined) known.set(route, (ofRoute = new Map<string | null, RoutePlan>()))
    ofRoute.set(method, made)
    return made
  }
}

const planOf = (rules: readonly CompiledRule[], method: string | null, route: string | null): RoutePlan => {
  const fits = ({ request: { methods, routes, hasId } }: RequestCondition): boolean =>
    (methods === undefined || (method !== null && methods.includes(method))) &&
    (routes === undefined || routes.includes(route)) &&
    (hasId === undefined || (route !== null && /[:*]/.test(route)))
  const testsOf = (conditions: readonly Condition[], ok: boolean): RequestTest[] =>
    conditions
      .filter((condition): condition is RequestCondition => !isEvent(condition))
      .filter((condition) => fits(condition) && couldBe(condition.request.verdicts, ok))
      .map(({ request }) => request)
  const watchesOf = (ok: boolean): Watch<RequestTest>[] =>
    rules
      .map((rule) => {
        const { when, completedBy } = rule.rule
        return { rule, pours: testsOf(when, ok), completes: completedBy === undefined ? [] : testsOf([completedBy], ok) }
      })
      .filter(({ pours, completes }) => pours.length + completes.length > 0)
  return { ok: watchesOf(true), other: watchesOf(false) }
}

const couldBe = (verdicts: readonly string[] | undefined, ok: boolean): boolean =>
  verdicts === undefined || verdicts.some((verdict) => (verdict === 'ok') === ok)

/** The tag that fits, or true where none is asked for; undefined where the request is another. The cheap questions come first. */
export const fitsRequest = (test: RequestTest, request: EndedRequest, tagsOf: () => ReadonlySet<Tag>): Tag | true | undefined => {
  const { status, verdict, principal, target } = request
  if (test.statuses !== undefined && (status === null || !test.statuses.includes(status))) return undefined
  if (test.verdicts?.includes(verdict) === false) return undefined
  if (test.authenticated !== undefined && test.authenticated !== (principal !== null)) return undefined
  if (test.withKey === true && principal?.credential.startsWith('key:') !== true) return undefined
  if (test.foreign !== undefined && test.foreign !== request.isForeign) return undefined
  if (test.parameters !== undefined && !hasParameter(target, test.parameters)) return undefined
  if (test.tags === undefined) return true
  const tags = tagsOf()
  return tags.size === 0 ? undefined : test.tags.find((tag) => tags.has(tag))
}
