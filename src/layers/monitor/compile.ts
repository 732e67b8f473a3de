import type { SecurityEvent } from '../../core/events.ts'
import { randomWord } from '../../core/keyed-hash.ts'
import { hasParameter } from './parameters.ts'
import type { Aspect, Condition, EventCondition, RequestCondition, Rule, Tag } from './rule.ts'
import type { EndedRequest } from './signal.ts'

/** Buckets count in these, in whole numbers: nothing is rounded from one signal to the next, so nothing adds up. */
export const ticksPerMs = 1024

/** A rule with everything that can be said before the first signal. */
export interface CompiledRule {
  readonly rule: Rule
  readonly cost: number
  /** In how many ticks one signal's worth runs out. */
  readonly costTicks: number
  /** In how many a full bucket is empty. */
  readonly capacityTicks: number
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

/** What of a request condition is not settled by the route and by what kind of request it is. */
export type RequestTest = Pick<RequestCondition['request'], 'statuses' | 'verdicts' | 'parameters' | 'tags'>

/** The rules that a request may concern. */
export interface RequestWatches {
  readonly untagged: readonly Watch<RequestTest>[]
  /** Of rules that ask for nothing but requests that look like something. */
  readonly tagged: readonly Watch<RequestTest>[]
}

export interface RoutePlan {
  of(request: EndedRequest): RequestWatches
}

export interface CompiledRules {
  readonly rules: readonly CompiledRule[]
  /** Undefined where no rule looks at it. */
  ofEvent(name: string): readonly Watch<EventTest>[] | undefined
  ofRoute(method: string | null, route: string | null): RoutePlan
}

/** A year. */
const maxTicks = 366 * 86_400_000 * ticksPerMs

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
  const costTicks = Math.round((cost / leakPerSecond) * 1000 * ticksPerMs)
  const capacityTicks = Math.round((capacity / cost) * costTicks)
  if (costTicks < 1 || costTicks + capacityTicks > maxTicks) complain('it leaks too fast or too slowly to be counted')
  if (groupBy.length === 0) complain('nothing to group by')
  if (rule.completedBy !== undefined && capacity < cost) complain('a bucket that nothing fits into is never full')
  return {
    rule,
    cost,
    costTicks,
    capacityTicks,
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
  const made = new Map<string | null, Map<string | null, RoutePlan>>()
  let plans = 0
  return (method, route) => {
    let ofRoute = made.get(route)
    const plan = ofRoute?.get(method)
    if (plan !== undefined) return plan
    const added = planOf(rules, method, route)
    if (plans++ >= maxPlans) return added
    if (ofRoute === undefined) made.set(route, (ofRoute = new Map<string | null, RoutePlan>()))
    ofRoute.set(method, added)
    return added
  }
}

type RequestParts = RequestCondition['request']

const planOf = (rules: readonly CompiledRule[], method: string | null, route: string | null): RoutePlan => {
  const fits = ({ request: { methods, routes, hasId } }: RequestCondition): boolean =>
    (methods === undefined || (method !== null && methods.includes(method))) &&
    (routes === undefined || routes.includes(route)) &&
    (hasId === undefined || (route !== null && /[:*]/.test(route)))
  const partsOf = (conditions: readonly Condition[]): RequestParts[] =>
    conditions
      .filter((condition): condition is RequestCondition => !isEvent(condition))
      .filter(fits)
      .map(({ request }) => request)
  const candidates = rules
    .map((rule) => ({ rule, pours: partsOf(rule.rule.when), completes: partsOf(rule.rule.completedBy ? [rule.rule.completedBy] : []) }))
    .filter(isWatch)
  const known: (RequestWatches | undefined)[] = Array.from({ length: kinds })
  return {
    of: (request) => {
      const kind = kindOf(request)
      return (known[kind] ??= watchesOf(candidates, kind))
    },
  }
}

const isWatch = ({ pours, completes }: Watch<unknown>): boolean => pours.length + completes.length > 0

/** A kind of request: what the usual one is not, a bit each. Most rules can be left out by that alone. */
const notOk = 1
const failed = 2
const hasQuery = 4
const known = 8
const withKey = 16
const foreign = 32
const kinds = 64

const kindOf = ({ verdict, status, target, principal, isForeign }: EndedRequest): number =>
  (verdict === 'ok' ? 0 : notOk) |
  (status !== null && status < 400 ? 0 : failed) |
  (target.includes('?') ? hasQuery : 0) |
  (principal === null ? 0 : principal.credential.startsWith('key:') ? known | withKey : known) |
  (isForeign ? foreign : 0)

const watchesOf = (candidates: readonly Watch<RequestParts>[], kind: number): RequestWatches => {
  const has = (bit: number): boolean => (kind & bit) !== 0
  const couldFit = (parts: RequestParts): boolean =>
    (parts.verdicts?.some((verdict) => (verdict !== 'ok') === has(notOk)) ?? true) &&
    (parts.statuses?.some((status) => status >= 400 === has(failed)) ?? true) &&
    (parts.parameters === undefined || has(hasQuery)) &&
    (parts.authenticated ?? has(known)) === has(known) &&
    (parts.withKey ?? has(withKey)) === has(withKey) &&
    (parts.foreign ?? has(foreign)) === has(foreign)
  const watches = candidates
    .map(({ rule, pours, completes }) => ({ rule, pours: pours.filter(couldFit), completes: completes.filter(couldFit) }))
    .filter(isWatch)
  const isTagged = ({ pours, completes }: Watch<RequestParts>): boolean => [...pours, ...completes].every(({ tags }) => tags !== undefined)
  return { untagged: watches.filter((watch) => !isTagged(watch)), tagged: watches.filter(isTagged) }
}

/** The tag that fits, or true where none is asked for; undefined where the request is another. The cheap questions come first. */
export const fitsRequest = (test: RequestTest, request: EndedRequest, tagsOf: () => ReadonlySet<Tag>): Tag | true | undefined => {
  const { status, verdict, target } = request
  if (test.statuses !== undefined && (status === null || !test.statuses.includes(status))) return undefined
  if (test.verdicts?.includes(verdict) === false) return undefined
  if (test.parameters !== undefined && !hasParameter(target, test.parameters)) return undefined
  if (test.tags === undefined) return true
  const tags = tagsOf()
  return tags.size === 0 ? undefined : test.tags.find((tag) => tags.has(tag))
}
