import type { Protections } from '../app.ts'
import type { Config } from '../config.ts'
import {
  type ConcurrencyLimits,
  CorsPolicies,
  type CorsRules,
  exposedLimitFields,
  type LimitRules,
  Limits,
  parseLimits,
  type ThrottlePolicy,
} from '../layers/index.ts'

/** What the layers read at each request, so that a reload changes it between two of them. */
export interface LiveProtections extends Protections {
  /** Throws for limits that mean nothing, and then changes nothing. */
  replace(config: Config): void
}

export const createProtections = (config: Config): LiveProtections => {
  const limits = new Limits(rulesOf(config))
  const cors = new CorsPolicies(corsRulesOf(config))
  let throttles = throttlesOf(config)
  let concurrent: ConcurrencyLimits = config.concurrency
  return {
    limits,
    cors,
    throttleOf: (routeName) => throttles.get(routeName),
    concurrency: () => concurrent,
    replace: (next) => {
      const nextThrottles = throttlesOf(next)
      limits.replace(rulesOf(next))
      cors.replace(corsRulesOf(next))
      throttles = nextThrottles
      concurrent = next.concurrency
    },
  }
}

const rulesOf = ({ limits }: Config): LimitRules => {
  const { default: anonymous, authenticated, total, routes, keys, exempt, mode } = limits
  // A principal's credential says what it is besides its id.
  const credentials = Object.fromEntries(Object.entries(keys).map(([id, rule]) => [`key:${id}`, rule]))
  return { anonymous, authenticated, total, routes, keys: credentials, exempt, mode }
}

/** What a page reads of an answer besides its body: how much it may ask still, why not, where to go on, and the name of what went wrong. */
const exposeHeaders = [...exposedLimitFields, 'Location', 'ETag', 'Link', 'X-Request-Id', 'WWW-Authenticate']

const corsRulesOf = ({ cors }: Config): CorsRules => ({ ...cors, exposeHeaders })

const throttlesOf = ({ throttle }: Config): ReadonlyMap<string, ThrottlePolicy> =>
  new Map(
    Object.entries(throttle.routes).flatMap(([route, { pace: text, burst, maxWaitMs, maxWaiting }]) => {
      const [pace] = parseLimits(text)
      return pace === undefined ? [] : [[route, { pace, burst, maxWaitMs, maxWaiting }] as const]
    }),
  )
