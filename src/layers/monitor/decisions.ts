import { type Cidr, inCidr, parseAddress, parseCidr } from '../../core/address.ts'
import type { Client, Principal } from '../../core/request.ts'
import type { Decision, DecisionChange, DecisionScope, DecisionType } from './decision.ts'

/** The strongest first. */
const strength: Readonly<Record<DecisionType, number>> = { ban: 3, tighten: 2, require_login: 1, tell: 0 }

const sweepMs = 10_000

/**
 * The decisions in force, by whom they are about. Looking somebody up costs one question to a Map (and one more for each length of prefix
 * among the ranges), however many there are. Times are epoch milliseconds: decisions outlive the process.
 */
export class Decisions {
  readonly #epochMs: () => number
  readonly #byId = new Map<string, Decision>()
  readonly #byTarget: Readonly<Record<DecisionScope, Map<string, Decision[]>>> = {
    client: new Map(),
    range: new Map(),
    principal: new Map(),
    account: new Map(),
  }
  #sweptAt = 0
  readonly #ranges = new Map<string, Cidr>()

  constructor(epochMs: () => number) {
    this.#epochMs = epochMs
  }

  get size(): number {
    return this.#byId.size
  }

  apply(change: DecisionChange): void {
    this.#sweep()
    if (change.change === 'lifted') this.#remove(change.id)
    else if (change.decision.expiresAt > this.#epochMs()) this.#add(change.decision)
  }

  get(id: string): Decision | undefined {
    const decision = this.#byId.get(id)
    return decision !== undefined && decision.expiresAt > this.#epochMs() ? decision : undefined
  }

  all(): readonly Decision[] {
    const now = this.#epochMs()
    return [...this.#byId.values()].filter(({ expiresAt }) => expiresAt > now)
  }

  /** What holds for a client: the strongest that is enforced. */
  ofClient({ prefix, address }: Client): Decision | undefined {
    const own = this.#byTarget.client.get(prefix)
    const found = own === undefined ? undefined : this.#strongest(own)
    return this.#ranges.size === 0 ? found : this.#strongest([...(found === undefined ? [] : [found]), ...this.#ofRanges(address)])
  }

  ofPrincipal({ credential }: Principal): Decision | undefined {
    return this.#strongest(this.#byTarget.principal.get(credential) ?? [])
  }

  ofAccount(subject: string): Decision | undefined {
    return this.#strongest(this.#byTarget.account.get(subject) ?? [])
  }

  /** Everything in force about one target, observed ones too. */
  about(scope: DecisionScope, target: string): readonly Decision[] {
    const now = this.#epochMs()
    return (this.#byTarget[scope].get(target) ?? []).filter(({ expiresAt }) => expiresAt > now)
  }

  /** Forgets what has expired, now and then. */
  #sweep(): void {
    const now = this.#epochMs()
    if (now < this.#sweptAt + sweepMs) return
    this.#sweptAt = now
    for (const { id, expiresAt } of this.#byId.values()) if (expiresAt <= now) this.#remove(id)
  }

  #strongest(decisions: readonly Decision[]): Decision | undefined {
    const now = this.#epochMs()
    let found: Decision | undefined
    for (const decision of decisions) {
      if (decision.observed || decision.expiresAt <= now) continue
      if (found === undefined || strength[decision.type] > strength[found.type]) found = decision
    }
    return found
  }

  #ofRanges(address: string): Decision[] {
    const parts = parseAddress(address)
    if (parts === undefined) return []
    return [...this.#ranges].flatMap(([target, cidr]) => (inCidr(parts, cidr) ? (this.#byTarget.range.get(target) ?? []) : []))
  }

  #add(decision: Decision): void {
    this.#remove(decision.id)
    const { id, scope, target } = decision
    this.#byId.set(id, decision)
    this.#byTarget[scope].set(target, [...(this.#byTarget[scope].get(target) ?? []), decision])
    const cidr = scope === 'range' ? parseCidr(target) : undefined
    if (cidr !== undefined) this.#ranges.set(target, cidr)
  }

  #remove(id: string): void {
    const decision = this.#byId.get(id)
    if (decision === undefined) return
    const { scope, target } = decision
    this.#byId.delete(id)
    const rest = (this.#byTarget[scope].get(target) ?? []).filter((other) => other.id !== id)
    if (rest.length > 0) this.#byTarget[scope].set(target, rest)
    else {
      this.#byTarget[scope].delete(target)
      if (scope === 'range') this.#ranges.delete(target)
    }
  }
}
