import { parseAddress, parseCidr } from '../../core/address.ts'
import type { MonitorDecision } from '../../layers/index.ts'

/** Whom a firewall can refuse: an address or a network, until when, and why. */
export interface Block {
  /** `203.0.113.7` or `2001:db8::/64`. */
  readonly value: string
  readonly scope: 'Ip' | 'Range'
  readonly id: string
  readonly rule: string | null
  /** Epoch milliseconds. */
  readonly expiresAt: number
}

export interface Delta {
  /** Blocks that were not told yet. */
  readonly added: readonly Block[]
  /** Those that were told, or may have been, and are over. */
  readonly removed: readonly Block[]
  /** To be given back when the answer has arrived. */
  readonly place: number
}

export interface BouncerFeedOptions {
  readonly decisions: () => readonly MonitorDecision[]
  readonly isExempt: (addressOrPrefix: string) => boolean
  readonly epochMs: () => number
  /** Blocks that are over, kept for whoever has not heard; default 100,000. */
  readonly maxRemoved?: number
  /** Bouncers whose place is known; default 1,000. */
  readonly maxBouncers?: number
}

interface Placed {
  readonly block: Block
  readonly place: number
}

/**
 * What bouncers poll: all blocks, or what has changed since they asked last. Of a bouncer only its place is kept; what has changed is found
 * by comparing what is in force with what was, whatever changed it: a decision, a lift, its time, another instance, the allow list.
 */
export class BouncerFeed {
  readonly #options: BouncerFeedOptions
  readonly #current = new Map<string, Placed>()
  #removed: Placed[] = []
  /** Bouncers that were told less have to be told everything. */
  #forgottenPlace = 0
  #place = 0
  readonly #bouncers = new Map<string, number>()

  constructor(options: BouncerFeedOptions) {
    this.#options = options
  }

  /** Everything in force. */
  all(): Delta {
    this.#refresh()
    return { added: [...this.#current.values()].map(({ block }) => block), removed: [], place: this.#place }
  }

  /** What changed since this bouncer was told of last; of one that is not known, everything. */
  since(bouncer: string): Delta {
    this.#refresh()
    const known = this.#bouncers.get(bouncer) ?? 0
    const from = known < this.#forgottenPlace ? 0 : known
    const added = [...this.#current.values()].filter(({ place }) => place > from).map(({ block }) => block)
    // Whoever is not known may have been told before this process began.
    const removed = this.#removed.filter(({ place, block }) => place > from && !this.#current.has(block.value))
    return { added, removed: removed.map(({ block }) => block), place: this.#place }
  }

  /** The answer has arrived. */
  told(bouncer: string, place: number): void {
    this.#bouncers.delete(bouncer)
    this.#bouncers.set(bouncer, place)
    const [oldest] = this.#bouncers.keys()
    if (oldest !== undefined && this.#bouncers.size > (this.#options.maxBouncers ?? 1000)) this.#bouncers.delete(oldest)
  }

  /** What refuses that address. */
  about(matches: (block: Block) => boolean): readonly Block[] {
    this.#refresh()
    return [...this.#current.values()].map(({ block }) => block).filter(matches)
  }

  #refresh(): void {
    const blocks = blocksOf(this.#options)
    for (const [value, { block }] of this.#current) {
      if (blocks.has(value)) continue
      this.#current.delete(value)
      this.#removed.push({ block, place: ++this.#place })
    }
    for (const [value, block] of blocks) {
      const known = this.#current.get(value)?.block
      // A firewall keeps an address until the time that it was told of: a longer ban is news, a shorter one is not.
      if (known === undefined || block.expiresAt > known.expiresAt) this.#current.set(value, { block, place: ++this.#place })
    }
    const tooMany = this.#removed.length - (this.#options.maxRemoved ?? 100_000)
    if (tooMany <= 0) return
    this.#forgottenPlace = this.#removed[tooMany - 1]?.place ?? this.#forgottenPlace
    this.#removed = this.#removed.slice(tooMany)
  }
}

/** The longest ban of each address or network. A bouncer takes one address off as a whole, so two bans of it must look like one. */
const blocksOf = ({ decisions, isExempt, epochMs }: BouncerFeedOptions): ReadonlyMap<string, Block> => {
  const blocks = new Map<string, Block>()
  const now = epochMs()
  for (const { id, scope, target, type, rule, observed, expiresAt } of decisions()) {
    if (type !== 'ban' || observed || expiresAt <= now || (scope !== 'client' && scope !== 'range')) continue
    const known = blocks.get(target)
    if (known !== undefined && known.expiresAt >= expiresAt) continue
    const kind = parseAddress(target) !== undefined ? 'Ip' : parseCidr(target) !== undefined ? 'Range' : undefined
    if (kind === undefined || isExempt(target)) continue
    blocks.set(target, { value: target, scope: kind, id, rule, expiresAt })
  }
  return blocks
}
