import type { EventLog } from './event-log.ts'
import { Digests } from './digests.ts'
import { type KeyedHash, randomWord } from '../../../core/keyed-hash.ts'
import type { LogKind, OpenLog, Plan, Scope } from './quota-plan.ts'
import { Slabs } from './slabs.ts'
import type { Identity } from '../store.ts'
import { nowhere, type Place, Table } from './table.ts'

/** One in ten or so of the slots being dead pays for a newcomer; so a table that lives on newcomers keeps about that share of dead ones. */
const sweptPerNewcomer = 16
/** About as long as deciding a request takes. */
const sweptWhenFull = 256
/** For so many logs of clients there is room for one more, of a wider prefix that counts newcomers when all others are taken. */
const oneForWider = 16
/** Where a record keeps the tag of its log: between the head and the count of the ring. */
const tagShift = 9
const tagMask = 0x7f

/**
 * The logs of all clients: at most `maxOwn` of their own, and a sixteenth more for wider prefixes.
 *
 * A live log is never evicted: to be forgotten is a reset, and with eviction anyone who can show many addresses could reset anybody.
 * When there is no room, newcomers of one wider prefix are counted together, and when there is no room for those either, all in one
 * overflow log for each kind of log. A newcomer who comes when there is room again starts with a copy: he may be one of them.
 */
export class Records {
  readonly slabs = new Slabs()
  /** How many logs were opened by newcomers for whom there was no room. */
  overflowed = 0
  readonly #maxOwn: number
  readonly #maxRecords: number
  readonly #table: Table
  /** The identity of the overflow is a random digest: no name that a client can have leads there. */
  readonly #overflowLo = randomWord()
  readonly #overflowHi = randomWord()
  readonly #originMs: number
  #sharedUntilS = 0
  readonly #who: Digests
  readonly #release = (ref: number): void => this.slabs.release(ref)

  /** `hash` must be of a key of its own, not that of the logs. `originMs` is any moment not after the first. */
  constructor(maxOwn: number, hash: KeyedHash, originMs: number) {
    this.#maxOwn = maxOwn
    this.#maxRecords = maxOwn + Math.floor(maxOwn / oneForWider)
    this.#table = new Table(this.#maxRecords)
    this.#who = new Digests(hash)
    this.#originMs = originMs
  }

  get size(): number {
    return this.#table.size
  }

  /** No room for a newcomer of his own. */
  get full(): boolean {
    return this.#table.size >= this.#maxOwn
  }

  /** Whose logs the next calls are about. */
  identify(identity: Identity): void {
    this.#who.of(identity)
  }

  /** Brings the client's log into view; whether the client has one of its own, of these limits. */
  open(log: OpenLog, nowMs: number): boolean {
    log.place = this.#findOwn(log)
    if (log.place !== nowhere) return this.#hasTag(log)
    if (this.#sharedUntilS > this.#secondsAt(nowMs)) this.#openShared(log)
    return false
  }

  /** Adds to a log that `open` found; nothing may have been added for a newcomer since. */
  count(log: OpenLog, units: number, nowMs: number): void {
    log.view.append(nowMs, units)
    this.#write(log, log.place, nowMs)
  }

  /** Adds for a newcomer: to a log of its own if there is room, else to a shared one. Ends the life of all places. */
  countNewcomer(log: OpenLog, units: number, nowMs: number): void {
    if (this.#table.size < (log.isWider ? this.#maxRecords : this.#maxOwn)) this.#insert(log, log.isWider, units, nowMs)
    else this.#countShared(log, units, nowMs)
  }

  /**
   * Where other limits of the scope counted before those of the plan: turns what they counted, of the client and of those he is counted
   * with, into the logs of the plan. Ends the life of all places and views.
   */
  renew(plan: Plan, nowMs: number): void {
    if (plan.logs[0]?.isWider !== true) this.#renewFor(plan, this.#who.idLo, this.#who.idHi, nowMs)
    if (this.#who.hasWider) this.#keepShared(this.#renewFor(plan, this.#who.widerLo, this.#who.widerHi, nowMs))
    this.#keepShared(this.#renewFor(plan, this.#overflowLo, this.#overflowHi, nowMs))
  }

  /** Takes back what `count` or `countNewcomer` wrote at `moment`, if it is still there. Ends the life of all places. */
  takeBack(log: OpenLog, moment: number, units: number): void {
    const place = this.#placeOf(log)
    if (place === nowhere || !log.view.remove(moment, units)) return
    if (log.view.isEmpty) this.#remove(place)
    else this.#table.move(place, log.view.ref, ringOf(log))
  }

  /** Changes the arrival time of a rate; no log, no change. */
  moveArrival(log: OpenLog, moved: (arrival: number) => number): void {
    if (this.#placeOf(log) === nowhere) return
    log.view.arrival = moved(log.view.momentAt(0))
    log.view.append(0, 0)
  }

  /** Ends the life of all places. */
  forget(kind: LogKind, isWider: boolean): void {
    const [lo, hi] = isWider ? [this.#who.widerLo, this.#who.widerHi] : [this.#who.idLo, this.#who.idHi]
    const place = this.#table.find(keyOf(lo, kind.keyLo), keyOf(hi, kind.keyHi))
    if (place !== nowhere) this.#remove(place)
  }

  /** Looks for dead records, a little for each newcomer and more when there is no room. Ends the life of all places and views. */
  sweep(newcomers: number, nowMs: number): void {
    this.#table.sweep(this.#secondsAt(nowMs), this.full ? sweptWhenFull : sweptPerNewcomer * newcomers, this.#release)
  }

  /** All logs of one identity in a scope bear one tag. Returns the second until which the new ones count; 0 where nothing was changed. */
  #renewFor({ logs, scope }: Plan, lo: number, hi: number, nowMs: number): number {
    const held = scope.readers.filter((reader) => (reader.place = this.#find(reader, lo, hi)) !== nowhere)
    const kept = logs.filter(({ kind }) => !kind.isRate)
    const tag = kept[0]?.tag
    if (tag === undefined || held.every((reader) => this.#tagAt(reader.place) === tag)) return 0
    const shared = this.#sharedSources(scope, held, nowMs)
    const renewed = kept.filter((log) => this.#rebuild(log, held, shared, nowMs))
    for (const reader of held) {
      const place = this.#find(reader, lo, hi)
      const known = reader.view.unitsFor(reader.view, nowMs)
      const isHeld = kept.some(({ kind, view }) => kind.longestMs >= reader.kind.longestMs && view.unitsFor(reader.view, nowMs) >= known)
      // What none of the new logs can hold must be there if the former limits come back.
      if (!isHeld && known > 0 && kept.every(({ kind }) => kind !== reader.kind))
        this.#table.move(place, reader.view.ref, reader.view.ring | (tag << tagShift))
      else this.#remove(place)
    }
    return Math.max(0, ...renewed.map((log) => this.#write(log, this.#insertAt(log, lo, hi), nowMs)))
  }

  /** Writes the log anew from those of the same client and those that may count others too; whether there is anything in it. */
  #rebuild(log: OpenLog, own: readonly OpenLog[], shared: readonly OpenLog[], nowMs: number): boolean {
    const entries = [...historyFor(log, own, nowMs), ...historyFor(log, shared, nowMs)]
    log.view.openEmpty()
    if (entries.length === 0) return false
    log.view.claim()
    log.view.adopt(entries.toSorted(([a], [b]) => a - b))
    return true
  }

  /** Where a log of a set is missing the client may have been counted in it together with others. */
  #sharedSources({ sets, sharedReaders }: Scope, held: readonly OpenLog[], nowMs: number): OpenLog[] {
    if (this.#sharedUntilS <= this.#secondsAt(nowMs)) return []
    const kinds = new Set(held.map(({ kind }) => kind))
    if (held.every(({ place }) => sets[this.#tagAt(place)]?.every((kind) => kinds.has(kind)))) return []
    return sharedReaders.filter((reader) => this.#openShared(reader) !== nowhere)
  }

  #insertAt({ kind }: OpenLog, lo: number, hi: number): Place {
    return this.#table.insert(keyOf(lo, kind.keyLo), keyOf(hi, kind.keyHi))
  }

  #keepShared(untilS: number): void {
    this.#sharedUntilS = Math.max(this.#sharedUntilS, untilS)
  }

  #hasTag({ place, tag }: OpenLog): boolean {
    return this.#tagAt(place) === tag
  }

  #tagAt(place: Place): number {
    return (this.#table.ring(place) >>> tagShift) & tagMask
  }

  #remove(place: Place): void {
    this.#release(this.#table.ref(place))
    this.#table.remove(place)
  }

  #insert(log: OpenLog, isWider: boolean, units: number, nowMs: number): number {
    log.view.claim()
    log.view.append(nowMs, units)
    const place = isWider ? this.#insertAt(log, this.#who.widerLo, this.#who.widerHi) : this.#insertAt(log, this.#who.idLo, this.#who.idHi)
    return this.#write(log, place, nowMs)
  }

  #countShared(log: OpenLog, units: number, nowMs: number): void {
    this.overflowed++
    this.#keepShared(this.#addShared(log, units, nowMs))
  }

  /** Returns the second until which that counts. */
  #addShared(log: OpenLog, units: number, nowMs: number): number {
    let place = this.#openShared(log)
    const hasWiderRoom = this.#who.hasWider && this.#table.size < this.#maxRecords
    if (hasWiderRoom && !this.#isWiderAt(log, place)) return this.#insert(log, true, units, nowMs)
    if (place === nowhere) {
      // One for each kind of log, so beyond the bound by a number that the configuration fixes.
      log.view.claim()
      place = this.#insertAt(log, this.#overflowLo, this.#overflowHi)
    }
    log.view.append(nowMs, units)
    return this.#write(log, place, nowMs)
  }

  #isWiderAt(log: OpenLog, place: Place): boolean {
    return (
      place !== nowhere && place === this.#table.find(keyOf(this.#who.widerLo, log.kind.keyLo), keyOf(this.#who.widerHi, log.kind.keyHi))
    )
  }

  /** The log of the wider prefix if it has one, else the overflow. */
  #openShared(log: OpenLog): Place {
    if (this.#who.hasWider && !log.isWider) {
      const place = this.#find(log, this.#who.widerLo, this.#who.widerHi)
      if (place !== nowhere) return place
    }
    return this.#find(log, this.#overflowLo, this.#overflowHi)
  }

  #placeOf(log: OpenLog): Place {
    const own = this.#findOwn(log)
    return own === nowhere ? this.#openShared(log) : own
  }

  #findOwn(log: OpenLog): Place {
    return log.isWider ? this.#find(log, this.#who.widerLo, this.#who.widerHi) : this.#find(log, this.#who.idLo, this.#who.idHi)
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
    this.#table.write(place, view.ref, ringOf(log), deadAtS)
    return deadAtS
  }

  #secondsAt(nowMs: number): number {
    return Math.floor((nowMs - this.#originMs) / 1000)
  }
}

/** What logs that counted the same events know of them together. */
const historyFor = ({ kind, view }: OpenLog, sources: readonly OpenLog[], nowMs: number): ReturnType<EventLog['entriesFor']> => {
  const unitsOf = (source: OpenLog): number => source.view.unitsFor(view, nowMs)
  // Those who remember for longer know no less; of equals the log itself first, which is not blurred.
  const best = sources.toSorted((a, b) => unitsOf(b) - unitsOf(a) || Number(b.kind === kind) - Number(a.kind === kind))
  const entries: ReturnType<EventLog['entriesFor']> = []
  for (const source of best) entries.push(...source.view.entriesFor(view, nowMs, entries.at(-1)?.[0] ?? -Infinity))
  return entries
}

const ringOf = ({ view, tag }: OpenLog): number => view.ring | (tag << tagShift)

/**
 * Half of the key of (identity, log). Both halves on both sides come from hashes under secret keys of their own, so two pairs meet with
 * 2^-64 whatever names anyone chooses, and 'a' with 'bc' is as far from 'ab' with 'c' as from anything else.
 */
const keyOf = (identityHalf: number, logHalf: number): number => identityHalf ^ logHalf
