import { randomBytes } from 'node:crypto'

import { clientNetwork, parseAddress } from '../../core/address.ts'
import type { SecurityEvent } from '../../core/events.ts'
import type { EvidenceSignal } from './decision.ts'
import type { EndedRequest } from './signal.ts'

/** A request that was refused; route and code are ours, nothing of it is what the client wrote. */
export interface RefusedRequest extends Omit<EvidenceSignal, 'at' | 'name' | 'about'> {
  readonly event: 'request'
  readonly verdict: string
  /** The subject that sent it; null: nobody known. */
  readonly subject: string | null
  readonly credential: string | null
}

/** One line of what happened, for operators. */
export interface JournalEntry {
  /** Grows by one with each entry of this process. */
  readonly seq: number
  /** Epoch milliseconds. */
  readonly at: number
  /** Whom and which request it is about; null where it is about none. */
  readonly client: string | null
  readonly requestId: string | null
  /** A security event, or a request that was refused. */
  readonly entry: SecurityEvent | RefusedRequest
}

export interface JournalOptions {
  /** Entries that are held; the oldest goes for the next. */
  readonly capacity?: number
  /** Of one client: beyond it its own oldest goes, so that whoever makes noise hides nothing but its own beginning. */
  readonly share?: number
}

const maxOfRequest = 50

interface Slot {
  readonly held: JournalEntry
  readonly owner: string
  gone: boolean
}

/** Of one client, oldest first; what is before `from` is gone. */
interface Own {
  readonly slots: Slot[]
  from: number
}

/** The newest events of this process, in memory: what the API shows and streams. The log keeps them all. */
export class Journal {
  /** Names this process: a number of another one means another entry. */
  readonly run = randomBytes(6).toString('base64url')
  readonly #capacity: number
  readonly #share: number
  /** In the order of their numbers; those that are gone are swept out now and then. */
  #slots: Slot[] = []
  /** The place of the oldest that may not be gone. */
  #oldest = 0
  #size = 0
  #seq = 0
  readonly #owners = new Map<string, Own>()
  readonly #byRequest = new Map<string, Slot[]>()
  readonly #listeners = new Set<() => void>()

  constructor({ capacity = 20_000, share = 1000 }: JournalOptions = {}) {
    this.#capacity = capacity
    this.#share = share
  }

  get size(): number {
    return this.#size
  }

  /** The number of the newest entry; 0 where there was none. */
  get newest(): number {
    return this.#seq
  }

  add(at: number, entry: JournalEntry['entry']): void {
    const { client, requestId } = 'requestId' in entry ? entry : nobody
    const slot: Slot = { held: { seq: ++this.#seq, at, client, requestId, entry }, owner: ownerOf(client), gone: false }
    const own = this.#owners.get(slot.owner)
    if (own !== undefined && own.slots.length - own.from >= this.#share) this.#remove(own.slots[own.from])
    else if (this.#size >= this.#capacity) this.#remove(this.#first())
    this.#keep(slot)
    for (const listener of this.#listeners) listener()
  }

  /** A request that has ended, and not well. One whose client went away was not refused. */
  refused({ epochMs, requestId, client, method, route, status, verdict, principal }: EndedRequest): void {
    if (verdict === 'aborted') return
    const { subject = null, credential = null } = principal ?? {}
    this.add(epochMs, { event: 'request', requestId, client: client.prefix, method, route, status, verdict, subject, credential })
  }

  /** Newest first, older than `before`. */
  recent(fits: (entry: JournalEntry) => boolean, most: number, before = Infinity): readonly JournalEntry[] {
    const found: JournalEntry[] = []
    for (let i = this.#placeOf(before) - 1; i >= this.#oldest && found.length < most; i--) {
      const slot = this.#slots[i]
      if (slot !== undefined && !slot.gone && fits(slot.held)) found.push(slot.held)
    }
    return found
  }

  /** All about one request, oldest first. */
  ofRequest(requestId: string): readonly JournalEntry[] {
    return (this.#byRequest.get(requestId) ?? []).map(({ held }) => held)
  }

  /** Oldest first, behind a number; `missing` is how many between there and the last of them are gone. */
  after(seq: number, most: number): { readonly entries: readonly JournalEntry[]; readonly missing: number } {
    const entries: JournalEntry[] = []
    for (let i = Math.max(this.#oldest, this.#placeOf(seq + 1)); i < this.#slots.length && entries.length < most; i++) {
      const slot = this.#slots[i]
      if (slot !== undefined && !slot.gone) entries.push(slot.held)
    }
    const last = entries.at(-1)?.seq ?? this.#seq
    return { entries, missing: Math.max(0, last - seq - entries.length) }
  }

  /** Called when there is a new entry; the returned function ends it. */
  follow(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  #keep(slot: Slot): void {
    this.#slots.push(slot)
    this.#size++
    const own = this.#owners.get(slot.owner)
    if (own === undefined) this.#owners.set(slot.owner, { slots: [slot], from: 0 })
    else own.slots.push(slot)
    const { requestId } = slot.held
    if (requestId !== null) this.#keepRequest(requestId, slot)
    // As many as are gone were added before: each entry is looked at a bounded number of times.
    if (this.#slots.length > 2 * this.#capacity) {
      this.#slots = this.#slots.filter(({ gone }) => !gone)
      this.#oldest = 0
    }
  }

  #keepRequest(requestId: string, slot: Slot): void {
    const known = this.#byRequest.get(requestId)
    if (known === undefined) this.#byRequest.set(requestId, [slot])
    else {
      // A proxy that passes on what clients call their requests lets one name stand for as many as they like.
      if (known.length >= maxOfRequest) known.shift()
      known.push(slot)
    }
  }

  #first(): Slot | undefined {
    while (this.#slots[this.#oldest]?.gone === true) this.#oldest++
    return this.#slots[this.#oldest]
  }

  /** Always the oldest of its owner. */
  #remove(slot: Slot | undefined): void {
    if (slot === undefined) return
    slot.gone = true
    this.#size--
    const own = this.#owners.get(slot.owner)
    if (own !== undefined) {
      own.from++
      if (own.from === own.slots.length) this.#owners.delete(slot.owner)
      else if (own.from > this.#share) {
        own.slots.splice(0, own.from)
        own.from = 0
      }
    }
    const { requestId } = slot.held
    if (requestId === null) return
    const left = (this.#byRequest.get(requestId) ?? []).filter((other) => other !== slot)
    if (left.length === 0) this.#byRequest.delete(requestId)
    else this.#byRequest.set(requestId, left)
  }

  /** Of the first slot whose number is not less. */
  #placeOf(seq: number): number {
    let [low, high] = [0, this.#slots.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#slots[middle]?.held.seq ?? Infinity) < seq) low = middle + 1
      else high = middle
    }
    return low
  }
}

const nobody = { client: null, requestId: null }

/** An IPv6 site has as many prefixes as it likes: it has one share (RFC 6177). */
const ownerOf = (client: string | null): string => {
  if (client === null || !client.includes(':')) return client ?? ''
  const parts = parseAddress(client.split('/', 1)[0] ?? '')
  return parts === undefined ? client : clientNetwork(parts)
}
