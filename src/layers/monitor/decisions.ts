import { parseCidr } from '../../core/address.ts'
import type { Client, Principal } from '../../core/request.ts'
import { addressWords, createAddressWords, readAddress } from './address-words.ts'
import type { Decision, DecisionChange, DecisionScope, DecisionType, Evidence } from './decision.ts'
import { Newest } from './newest.ts'
import { PrefixTrie } from './prefix-trie.ts'
import { Soonest } from './soonest.ts'

/** The strongest first. */
const strength: Readonly<Record<DecisionType, number>> = { ban: 3, tighten: 2, require_login: 1, tell: 0 }

/** About 0.5 KB each. */
const maxHeld = 1_000_000
/** About 3 KB each: a ban of each address of a botnet is kept, why only of the newest ones. The store knows it of all. */
const maxEvident = 10_000

const maxExpiredAtOnce = 1000

const none: readonly Decision[] = []

/**
 * The decisions in force, by whom they are about. Looking somebody up costs one question to a Map, and a few steps in a trie where there are
 * ranges, however many there are. Times are epoch milliseconds: decisions outlive the process.
 * Bounded: beyond a million those that would end first are dropped.
 */
export class Decisions {
  /** How many were dropped before their time: above 0, there were more than can be held. */
  dropped = 0
  readonly #epochMs: () => number
  readonly #maxHeld: number
  readonly #isObserved: (rule: string) => boolean
  readonly #byId = new Map<string, Decision>()
  readonly #byTarget: Readonly<Record<DecisionScope, Map<string, readonly Decision[]>>> = {
    client: new Map(),
    range: new Map(),
    principal: new Map(),
    account: new Map(),
  }
  readonly #evidence = new Newest<string, Evidence>(maxEvident)
  readonly #soonest = new Soonest<Decision>(({ expiresAt }) => expiresAt)
  /** By the number of words of an address. */
  readonly #ranges = { 1: new PrefixTrie<Decision>(), 4: new PrefixTrie<Decision>() }
  readonly #address = createAddressWords()
  readonly #followers: ((changed: Decision) => void)[] = []

  /** `isObserved` says of a rule that what it decided refuses nobody now; asked at each look, so a reload holds for what was decided before. */
  constructor(epochMs: () => number, held = maxHeld, isObserved: (rule: string) => boolean = () => false) {
    this.#epochMs = epochMs
    this.#maxHeld = held
    this.#isObserved = isObserved
  }

  /** What ended just now may still be in it. */
  get size(): number {
    this.#expire()
    return this.#byId.size
  }

  /** How many refuse somebody now. */
  get enforced(): number {
    const now = this.#epochMs()
    let count = 0
    for (const decision of this.#byId.values()) if (decision.expiresAt > now && !this.#refusesNobody(decision)) count++
    return count
  }

  apply(change: DecisionChange): void {
    this.#expire()
    if (change.change === 'lifted') this.#remove(change.id)
    else if (change.decision.expiresAt > this.#epochMs()) this.#add(change.decision)
  }

  get(id: string): Decision | undefined {
    const decision = this.#byId.get(id)
    return decision !== undefined && decision.expiresAt > this.#epochMs() ? this.#whole(decision) : undefined
  }

  all(): readonly Decision[] {
    const now = this.#epochMs()
    return [...this.#byId.values()].filter(({ expiresAt }) => expiresAt > now).map((decision) => this.#whole(decision))
  }

  /** What holds for a client: the strongest that is enforced, of one type or of all. Without its evidence, as whoever enforces needs none. */
  ofClient({ prefix, address }: Client, only?: DecisionType): Decision | undefined {
    const own = this.#byTarget.client.get(prefix)
    const found = own === undefined ? undefined : this.#strongest(own, undefined, only)
    return this.#byTarget.range.size === 0 ? found : this.#strongestRange(address, found, only)
  }

  ofPrincipal({ credential }: Principal): Decision | undefined {
    return this.#strongest(this.#byTarget.principal.get(credential) ?? none)
  }

  ofAccount(subject: string): Decision | undefined {
    return this.#strongest(this.#byTarget.account.get(subject) ?? none)
  }

  /** Everything in force about one target, observed ones too. */
  about(scope: DecisionScope, target: string): readonly Decision[] {
    const now = this.#epochMs()
    return (this.#byTarget[scope].get(target) ?? none).filter(({ expiresAt }) => expiresAt > now).map((decision) => this.#whole(decision))
  }

  /** Calls back with each decision that is in force from now on, or no more. One that has ended is told of when it is swept away: see `size`. */
  follow(changed: (decision: Decision) => void): void {
    this.#followers.push(changed)
  }

  #strongest(decisions: readonly Decision[], than?: Decision, only?: DecisionType): Decision | undefined {
    if (decisions.length === 0) return than
    const now = this.#epochMs()
    let found = than
    for (const decision of decisions) {
      if (decision.expiresAt <= now || this.#refusesNobody(decision) || (only !== undefined && decision.type !== only)) continue
      if (found === undefined || strength[decision.type] > strength[found.type]) found = decision
    }
    return found
  }

  #strongestRange(address: string, own: Decision | undefined, only: DecisionType | undefined): Decision | undefined {
    readAddress(address, this.#address)
    const { words, size } = this.#address
    if (size === 0) return own
    const ranges = this.#ranges[size]
    let found = own
    for (let node = ranges.first(words); node !== undefined; node = ranges.next(node, words))
      found = this.#strongest(node.values, found, only)
    return found
  }

  #refusesNobody({ observed, rule }: Decision): boolean {
    return observed || (rule !== null && this.#isObserved(rule))
  }

  /** As it is now. Evidence is held apart, for it is much larger and of few. */
  #whole(decision: Decision): Decision {
    const { evidence = decision.evidence, observed } = {
      evidence: this.#evidence.get(decision.id),
      observed: this.#refusesNobody(decision),
    }
    return evidence === decision.evidence && observed === decision.observed ? decision : { ...decision, evidence, observed }
  }

  #add(whole: Decision): void {
    const { id, scope, target } = whole
    // What comes back from the store comes without.
    const evidence = whole.evidence ?? this.#evidence.get(id) ?? null
    this.#remove(id)
    const decision = whole.evidence === null ? whole : { ...whole, evidence: null }
    if (evidence !== null) this.#evidence.put(id, evidence)
    this.#byId.set(id, decision)
    this.#byTarget[scope].set(target, [...(this.#byTarget[scope].get(target) ?? none), decision])
    if (scope === 'range') this.#inTrie(decision, 'add')
    this.#soonest.add(decision)
    for (const follower of this.#followers) follower(decision)
    if (this.#byId.size > this.#maxHeld) this.#drop()
    // Lifted ones lie in the heap until it is their turn, but never more of them than of the others.
    if (this.#soonest.size > 2 * this.#byId.size + 1000) this.#soonest.keep((held) => this.#byId.get(held.id) === held)
  }

  #remove(id: string): void {
    const decision = this.#byId.get(id)
    if (decision === undefined) return
    const { scope, target } = decision
    this.#byId.delete(id)
    this.#evidence.delete(id)
    const rest = (this.#byTarget[scope].get(target) ?? none).filter((other) => other.id !== id)
    if (rest.length > 0) this.#byTarget[scope].set(target, rest)
    else this.#byTarget[scope].delete(target)
    if (scope === 'range') this.#inTrie(decision, 'remove')
    for (const follower of this.#followers) follower(decision)
  }

  #inTrie(decision: Decision, verb: 'add' | 'remove'): void {
    const cidr = parseCidr(decision.target)
    if (cidr === undefined) return
    const { words, size } = addressWords(cidr.parts)
    if (size !== 0) this.#ranges[size][verb](words, cidr.bits, decision)
  }

  /** Forgets what has expired: a part of it, for a hundred thousand may end in the same moment. */
  #expire(): void {
    const now = this.#epochMs()
    for (let left = maxExpiredAtOnce; left > 0; left--) {
      if ((this.#soonest.first?.expiresAt ?? Infinity) > now) return
      this.#takeSoonest()
    }
  }

  /** The one that would end first; what was lifted is in the way. */
  #drop(): void {
    this.dropped++
    while (!this.#takeSoonest());
  }

  #takeSoonest(): boolean {
    const decision = this.#soonest.takeFirst()
    if (decision === undefined) return true
    // Heard of twice, it is there twice.
    const isHeld = this.#byId.get(decision.id) === decision
    if (isHeld) this.#remove(decision.id)
    return isHeld
  }
}
