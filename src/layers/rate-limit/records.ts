import { type KeyedHash, randomWord } from './keyed-hash.ts'
import type { OpenLog } from './quota-plan.ts'
import { Slabs } from './slabs.ts'
import { nowhere, type Place, Table } from './table.ts'

/** One in ten or so of the slots being dead pays for a newcomer; so a table that lives on newcomers keeps about that share of dead ones. */
const sweptPerNewcomer = 16
/** About as long as deciding a request takes. */
const sweptWhenFull = 256

/**
 * The logs of all clients, at most `maxRecords` of them.
 *
 * A live log is never evicted: to be forgotten is a reset, and with eviction anyone who can show many addresses could reset anybody.
 * When there is no room, newcomers are counted together in one overflow log for each kind of log. When there is room again and the
 * overflow log still counts something, a newcomer starts with a copy of it, for it may be one of those who filled it.
 */
export class Records {
  readonly slabs = new Slabs()
  /** How many logs were opened by newcomers for whom there was no room. */
  overflowed = 0
  readonly #maxRecords: number
  readonly #table: Table
  readonly #hash: KeyedHash
  /** The identity of the overflow is a random digest: no name that a client can have leads there. */
  readonly #overflowLo = randomWord()
  readonly #overflowHi = randomWord()
  readonly #originMs: number
  #overflowUntilS = 0
  #identity: string | undefined
  readonly #release = (ref: number): void => this.slabs.release(ref)

  /** `hash` must be of a key of its own, not that of the logs. `originMs` is any moment not after the first. */
  constructor(maxRecords: number, hash: KeyedHash, originMs: number) {
    this.#maxRecords = maxRecords
    this.#table = new Table(maxRecords)
    this.#hash = hash
    this.#originMs = originMs
  }

  get size(): number {
    return this.#table.size
  }

  get full(): boolean {
    return this.#table.size >= this.#maxRecords
  }

  /** Whose logs the next `open` and `count` calls are about. */
  identify(identity: string): void {
    // A request asks twice, for `total` and for its route, and often the next one is of the same client.
    if (identity === this.#identity) return
    this.#hash.digest(identity)
    this.#identity = identity
  }

  /** Brings the client's log into view; whether the client has one of its own. */
  open(log: OpenLog, nowMs: number): boolean {
    const place = this.#find(log, this.#hash.lo, this.#hash.hi)
    log.place = place
    if (place !== nowhere) return true
    if (this.#overflowUntilS > this.#secondsAt(nowMs)) this.#find(log, this.#overflowLo, this.#overflowHi)
    return false
  }

  /** Adds to a log that `open` found; nothing may have been added for a newcomer since. */
  count(log: OpenLog, units: number, nowMs: number): void {
    log.view.append(nowMs, units)
    this.#write(log, log.place, nowMs)
  }

  /** Adds for a newcomer: to a log of its own if there is room, else to the overflow. Ends the life of all places. */
  countNewcomer(log: OpenLog, units: number, nowMs: number): void {
    if (this.full) {
      this.#countOverflow(log, units, nowMs)
      return
    }
    log.view.claim()
    log.view.append(nowMs, units)
    this.#write(log, this.#table.insert(keyOf(this.#hash.lo, log.kind.keyLo), keyOf(this.#hash.hi, log.kind.keyHi)), nowMs)
  }

  /** Looks for dead records, a little for each newcomer and more when there is no room. Ends the life of all places and views. */
  sweep(newcomers: number, nowMs: number): void {
    this.#table.sweep(this.#secondsAt(nowMs), this.full ? sweptWhenFull : sweptPerNewcomer * newcomers, this.#release)
  }

  #countOverflow(log: OpenLog, units: number, nowMs: number): void {
    this.overflowed++
    let place = this.#find(log, this.#overflowLo, this.#overflowHi)
    if (place === nowhere) {
      // One for each kind of log, so beyond the bound by a number that the configuration fixes.
      log.view.claim()
      place = this.#table.insert(keyOf(this.#overflowLo, log.kind.keyLo), keyOf(this.#overflowHi, log.kind.keyHi))
    }
    log.view.append(nowMs, units)
    this.#overflowUntilS = Math.max(this.#overflowUntilS, this.#write(log, place, nowMs))
  }

  #find(log: OpenLog, identityLo: number, identityHi: number): Place {
    const place = this.#table.find(keyOf(identityLo, log.kind.keyLo), keyOf(identityHi, log.kind.keyHi))
    if (place === nowhere) log.view.openEmpty()
    else log.view.open(this.#table.ref(place), this.#table.ring(place))
    return place
  }

  #write(log: OpenLog, place: Place, nowMs: number): number {
    const { view, kind } = log
    // Whole seconds fit 32 bits; one more second hides all rounding. A record that would outlive 136 years is kept for good.
    const deadAtS = Math.min(0xffff_ffff, this.#secondsAt(nowMs + kind.longestMs) + 2)
    this.#table.write(place, view.ref, view.ring, deadAtS)
    return deadAtS
  }

  #secondsAt(nowMs: number): number {
    return Math.floor((nowMs - this.#originMs) / 1000)
  }
}

/**
 * Half of the key of (identity, log). Both halves on both sides come from hashes under secret keys of their own, so two pairs meet with
 * 2^-64 whatever names anyone chooses, and 'a' with 'bc' is as far from 'ab' with 'c' as from anything else.
 */
const keyOf = (identityHalf: number, logHalf: number): number => identityHalf ^ logHalf
