import { type AddressParts, type Cidr, formatAddress, inCidr, parseAddress, parseCidr } from '../../core/address.ts'
import type { Monitor, MonitorDecision, MonitorPolicy } from '../../layers/index.ts'

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
  readonly decisions: Pick<Monitor['decisions'], 'all' | 'about' | 'follow' | 'size'>
  /** Another object after each reload. */
  readonly policy: () => Pick<MonitorPolicy, 'isExempt' | 'exempt'>
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
 * What bouncers poll: all blocks, or what has changed since they asked last. Of a bouncer only its place is kept. A poll looks at the targets
 * that something happened to, here or on another instance; at all of them only the first time, after a reload, and after very much.
 */
export class BouncerFeed {
  readonly #options: BouncerFeedOptions
  readonly #current = new Map<string, Placed>()
  #removed: Placed[] = []
  /** Bouncers that were told less have to be told everything. */
  #forgottenPlace = 0
  #place = 0
  readonly #bouncers = new Map<string, number>()
  /** What changed since the last poll; undefined: too much, or nobody has asked yet. */
  #changed: Set<string> | undefined
  #policy: unknown

  constructor(options: BouncerFeedOptions) {
    this.#options = options
    options.decisions.follow(({ scope, target }) => {
      if (this.#changed === undefined || (scope !== 'client' && scope !== 'range')) return
      this.#changed.add(target)
      if (this.#changed.size > maxChanged) this.#changed = undefined
    })
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
    if (from === this.#place) return { added: [], removed: [], place: from }
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

  /** What refuses all of an address or a network: one question for each length of prefix, however many blocks there are. */
  around({ parts, bits }: Cidr): readonly Block[] {
    this.#refresh()
    const names = Array.from({ length: bits + 1 }, (_, length) => `${formatAddress(networkOf(parts, length))}/${length}`)
    if (bits === widthOf(parts)) names.push(formatAddress(parts))
    return names.flatMap((name) => this.#current.get(name)?.block ?? [])
  }

  /** What refuses a part of a network. */
  inside(network: Cidr): readonly Block[] {
    return this.all().added.filter(({ value }) => {
      const block = readNetwork(value)
      return block !== undefined && network.bits <= block.bits && inCidr(block.parts, network)
    })
  }

  #refresh(): void {
    const { decisions, policy } = this.#options
    sweep(decisions)
    const values = this.#policy === policy() ? this.#changed : undefined
    for (const value of values ?? new Set([...this.#current.keys(), ...targetsOf(decisions.all())])) this.#look(value)
    this.#changed = new Set()
    this.#policy = policy()
    const tooMany = this.#removed.length - (this.#options.maxRemoved ?? 100_000)
    if (tooMany <= 0) return
    this.#forgottenPlace = this.#removed[tooMany - 1]?.place ?? this.#forgottenPlace
    this.#removed = this.#removed.slice(tooMany)
  }

  #look(value: string): void {
    const block = blockOf(value, this.#options)
    const known = this.#current.get(value)?.block
    if (block === undefined) {
      if (known === undefined) return
      this.#current.delete(value)
      this.#removed.push({ block: known, place: ++this.#place })
      return
    }
    // A firewall keeps an address until the time that it was told of: a longer ban is news, a shorter one is not.
    if (known !== undefined && block.expiresAt <= known.expiresAt) return
    this.#current.delete(value)
    this.#current.set(value, { block, place: ++this.#place })
  }
}

const widthOf = (parts: AddressParts): number => (parts.length === 4 ? 32 : 128)

const networkOf = (parts: AddressParts, bits: number): AddressParts => {
  const width = parts.length === 4 ? 8 : 16
  return parts.map((part, i) => part & ~(2 ** (width - Math.max(0, Math.min(width, bits - i * width))) - 1))
}

/** An address is the network of itself alone. */
export const readNetwork = (text: string): Cidr | undefined => {
  const parts = parseAddress(text)
  return parts === undefined ? parseCidr(text) : { parts, bits: widthOf(parts) }
}

const maxChanged = 100_000

const canonical = /^[0-9a-f]{1,4}[.:][0-9a-f.:]*(\/\d{1,3})?$/

/** What has ended is swept away a part at a time. */
const sweep = (decisions: BouncerFeedOptions['decisions']): void => {
  let left = Infinity
  for (let size = decisions.size; size < left; size = decisions.size) left = size
}

const targetsOf = (decisions: readonly MonitorDecision[]): string[] =>
  decisions.filter(({ scope }) => scope === 'client' || scope === 'range').map(({ target }) => target)

/** A firewall refuses the whole of a network; here those in it that are never refused go on. */
const holdsExempt = (network: string, { exempt = [] }: Pick<MonitorPolicy, 'exempt'>): boolean => {
  const cidr = exempt.length === 0 ? undefined : parseCidr(network)
  return cidr !== undefined && exempt.some(({ parts, bits }) => bits >= cidr.bits && inCidr(parts, cidr))
}

/** The longest ban of an address or network. A bouncer takes one address off as a whole, so two bans of it must look like one. */
const blockOf = (value: string, { decisions, policy, epochMs }: BouncerFeedOptions): Block | undefined => {
  // Targets are canonical already; what is no address, such as a client without one, is nobody a firewall could refuse.
  const shape = canonical.exec(value)
  if (shape === null) return undefined
  const isNetwork = shape[1] !== undefined
  const clients = decisions.about('client', value)
  const about = isNetwork ? [...clients, ...decisions.about('range', value)] : clients
  const nowMs = epochMs()
  let longest: MonitorDecision | undefined
  for (const decision of about) {
    if (decision.type !== 'ban' || decision.observed || decision.expiresAt <= nowMs) continue
    if (longest === undefined || decision.expiresAt > longest.expiresAt) longest = decision
  }
  if (longest === undefined || policy().isExempt(value) || (isNetwork && holdsExempt(value, policy()))) return undefined
  return { value, scope: isNetwork ? 'Range' : 'Ip', id: longest.id, rule: longest.rule, expiresAt: longest.expiresAt }
}
