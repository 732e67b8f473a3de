import type { Clock } from '../../../core/clock.ts'
import { type RedisCall, RedisCalls } from './calls.ts'
import { Denials } from './denials.ts'
import type { Fallback } from './fallback.ts'
import type { RedisHealth } from './health.ts'
import type { IdentityKeys, KeyNames } from './keys.ts'
import { isBetweenNodes } from './link.ts'
import { answerBytes, readDecision, receiptOf, type RedisPlan, RedisPlanner } from './plan.ts'
import type { Decision, Identity, LimiterStore, Quota } from '../store.ts'

export interface RedisWindowsOptions {
  readonly calls: RedisCalls
  readonly names: KeyNames
  readonly health: RedisHealth
  readonly fallback: Fallback
  readonly clock: Pick<Clock, 'monotonicMs'>
  /** The key of the last call that failed, for the check whether it would succeed again. */
  readonly onFailure: (key: string) => void
}

const mostDenials = 10_000
const nothing = Buffer.alloc(0)

/** The verbs of the limiter over calls of the script: asks Redis while it answers, the fallback while it does not. */
export const createRedisWindows = (options: RedisWindowsOptions): Omit<LimiterStore, 'close'> => new RedisWindows(options)

class RedisWindows implements Omit<LimiterStore, 'close'> {
  readonly #options: RedisWindowsOptions
  readonly #planner = new RedisPlanner()
  readonly #denials = new Denials(mostDenials)

  constructor(options: RedisWindowsOptions) {
    this.#options = options
  }

  consume(identity: Identity, quotas: readonly Quota[], cost: number): Decision | Promise<Decision> {
    if (!Number.isSafeInteger(cost) || cost < 1) throw new RangeError(`the cost of a request must be a whole number above 0, not ${cost}`)
    const { names, health, fallback, clock } = this.#options
    const plan = this.#planner.plan(quotas, identity.wider !== undefined)
    const keys = names.of(identity)
    if (!health.isUp) return this.#without(() => fallback.consume(identity, quotas, cost))
    const denial = this.#denials.find(keys.own, quotas, cost, clock.monotonicMs())
    if (denial !== undefined) return denial
    return this.#decide(
      'consume',
      keys,
      plan,
      cost,
      () => fallback.consume(identity, quotas, cost),
      (decision, askedMs) => {
        if (!decision.allowed) this.#denials.add(keys.own, quotas, cost, decision, askedMs, clock.monotonicMs())
      },
    )
  }

  peek(identity: Identity, quotas: readonly Quota[]): Decision | Promise<Decision> {
    const { names, health, fallback } = this.#options
    const plan = this.#planner.plan(quotas, identity.wider !== undefined)
    const look = (): Decision => fallback.peek(identity, quotas)
    return health.isUp ? this.#decide('peek', names.of(identity), plan, 0, look) : this.#without(look)
  }

  refund(identity: Identity, quotas: readonly Quota[], cost: number, decision: Decision): void | Promise<void> {
    const { names, health, fallback } = this.#options
    if (!decision.allowed) return
    const keys = names.of(identity)
    this.#denials.drop(keys.own)
    // What Redis counted stays counted while it is gone: nothing is replayed.
    if (fallback.refund(identity, quotas, cost, decision) || !health.isUp) return
    const plan = this.#planner.plan(quotas, identity.wider !== undefined)
    return this.#tell('refund', keysOf(keys, plan), plan.encoded, cost, receiptOf(plan, decision)).catch(() => undefined)
  }

  /** Rejects while Redis does not answer: then only what this instance counted alone is forgotten. */
  async reset(identity: Identity): Promise<void> {
    const { names, health, fallback } = this.#options
    const { own, wider } = names.of(identity)
    const key = identity.id === identity.wider && wider !== undefined ? wider : own
    this.#denials.drop(own)
    await fallback.reset(identity)
    if (!health.isUp) throw new Error('the limiter has lost Redis')
    await this.#tell('reset', [key], nothing, 0, nothing)
    // A request that was decided before may have been heard of since.
    this.#denials.drop(own)
  }

  #decide(
    operation: 'consume' | 'peek',
    keys: IdentityKeys,
    plan: RedisPlan,
    cost: number,
    instead: () => Decision,
    decided?: (decision: Decision, askedMs: number) => void,
  ): Promise<Decision> {
    return new Promise((resolve, reject) => {
      const call: RedisCall = {
        operation,
        keys: keysOf(keys, plan),
        plan: plan.encoded,
        cost,
        receipt: nothing,
        answerBytes: answerBytes(plan),
        answered(answer, offset, atUs, askedMs) {
          const decision = readDecision(plan, answer, offset, atUs, cost)
          decided?.(decision, askedMs)
          resolve(decision)
        },
        failed: (error) => {
          this.#fail(call, error)
          try {
            resolve(instead())
          } catch (refusal) {
            reject(refusal)
          }
        },
      }
      this.#options.calls.add(call)
    })
  }

  #tell(operation: 'refund' | 'reset', keys: readonly string[], plan: Buffer, cost: number, receipt: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      const call: RedisCall = {
        operation,
        keys,
        plan,
        cost,
        receipt,
        answerBytes: 0,
        answered: () => resolve(),
        failed: (error) => {
          this.#fail(call, error)
          reject(error)
        },
      }
      this.#options.calls.add(call)
    })
  }

  #fail({ keys }: RedisCall, error: Error): void {
    // Only this call could not be decided.
    if (isBetweenNodes(error)) return
    this.#options.onFailure(keys[0]!)
    this.#options.health.fail(error)
  }

  /** A refusal to decide is a rejection, whenever it is made. */
  #without(decide: () => Decision): Decision | Promise<Decision> {
    try {
      return decide()
    } catch (refusal) {
      return Promise.reject(refusal)
    }
  }
}

const keysOf = ({ own, wider }: IdentityKeys, { hasWider }: RedisPlan): readonly string[] =>
  hasWider && wider !== undefined ? [own, wider] : [own]
