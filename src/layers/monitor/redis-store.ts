import { randomBytes } from 'node:crypto'

import type { Observe } from '../../core/events.ts'
import type { DecisionChange } from './decision.ts'
import { createSealed, type Sealed } from './redis/sealed.ts'
import { lackingScript, publishScript, readScript } from './redis/scripts.ts'

/** Runs a script about keys of one slot. Rejects at once while there is no connection, and is never sent again by itself. */
export type RunScript = (keys: readonly string[], args: readonly (string | Buffer)[]) => Promise<unknown>

export interface SharedDecisionsOptions {
  /** Of a connection that somebody else looks after, such as the limiter's: two would fail twice. */
  readonly script: (text: string) => RunScript
  /** Whether its owner counts that connection as up: of what fails with it, the owner tells. */
  readonly isUp: () => boolean
  /** Begins the name of every key. Default `filmgate:`. */
  readonly prefix?: string | undefined
  /** Seals what is shared. All instances of an installation have it. */
  readonly secret: Buffer
  readonly observe: Observe
  readonly epochMs: () => number
  /** So long is an answer waited for. */
  readonly timeoutMs: number
  /** Changes that Redis keeps, up to 8 KB each and mostly 1 to 3: of more the newest. Default 20,000. */
  readonly most?: number | undefined
}

/** What instances that share Redis, and perhaps no database, tell one another. */
export interface SharedDecisions {
  /** Rejects where Redis does not have it. What it knows already, or knows to be lifted, changes nothing. */
  publish(changes: readonly DecisionChange[]): Promise<void>
  /** Those of them that Redis does not know. */
  lacking(changes: readonly DecisionChange[]): Promise<readonly DecisionChange[]>
  /**
   * Resolves after the first look, which calls back with all that is there; rejects where there was none within the deadline, and goes on looking.
   * `heard` also gets what this instance published. `mayLack`: Redis came back empty, or older than it was, or was away.
   */
  start(heard: (changes: readonly DecisionChange[]) => void, mayLack: () => void): Promise<void>
  close(): void
}

/** Three looks within the second that a change may take to be heard. */
const lookMs = 300
/** Bodies in one answer, 8 KB each at most: who waits behind it on the connection must not notice. */
const page = 50
const mostKept = 20_000
/** A failover loses what the old master had not passed on; the numbers behind that are given again. */
const againAfterFailure = 1000
/** Looks that fail though the connection's owner sees nothing wrong: then it is something about decisions alone, such as a right that is missing. */
const failuresToTell = 10
/** Of a change whose own end is not known. */
const keptMs = 7 * 24 * 3_600_000

export const createSharedDecisions = (options: SharedDecisionsOptions): SharedDecisions => new RedisDecisions(options)

class RedisDecisions implements SharedDecisions {
  readonly #options: SharedDecisionsOptions
  readonly #keys: readonly string[]
  readonly #sealed: Sealed
  readonly #run: Record<'publish' | 'read' | 'lacking', RunScript>
  #epoch = ''
  #seq = 0
  #looked = false
  #failures = 0
  #told = false
  /** A call that is late: nothing else is asked before it is over, or they would pile up on a connection that hangs. */
  #late: Promise<unknown> | undefined
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(options: SharedDecisionsOptions) {
    this.#options = options
    this.#keys = ['head', 'log', 'bodies', 'ends'].map((name) => `${options.prefix ?? 'filmgate:'}{decisions}:${name}`)
    this.#sealed = createSealed(options.secret)
    const { script } = options
    this.#run = { publish: script(publishScript), read: script(readScript), lacking: script(lackingScript) }
  }

  async publish(changes: readonly DecisionChange[]): Promise<void> {
    const keptUntil = this.#options.epochMs() + keptMs
    const args = changes.flatMap((change) => {
      const over = change.change === 'decided' ? change.decision.expiresAt : keptUntil
      return [...kindAndId(change), this.#sealed.seal(change), String(over)]
    })
    await this.#ask('publish', [randomBytes(12).toString('base64url'), String(this.#options.most ?? mostKept), ...args])
  }

  async lacking(changes: readonly DecisionChange[]): Promise<readonly DecisionChange[]> {
    const places = new Set((await this.#ask('lacking', changes.flatMap(kindAndId))) as number[])
    return changes.filter((_, i) => places.has(i))
  }

  async start(heard: (changes: readonly DecisionChange[]) => void, mayLack: () => void): Promise<void> {
    try {
      await this.#look(heard, mayLack)
    } finally {
      this.#lookAgain(heard, mayLack)
    }
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
  }

  #lookAgain(heard: (changes: readonly DecisionChange[]) => void, mayLack: () => void): void {
    if (this.#closed) return
    this.#timer = setTimeout(() => {
      this.#look(heard, mayLack)
        .then(
          () => this.#worked(),
          (error: unknown) => this.#failed(error),
        )
        .finally(() => this.#lookAgain(heard, mayLack))
    }, lookMs).unref()
  }

  /** Page by page, until nothing is new. */
  async #look(heard: (changes: readonly DecisionChange[]) => void, mayLack: () => void): Promise<void> {
    for (;;) {
      const known = this.#failures > 0 ? Math.max(0, this.#seq - againAfterFailure) : this.#seq
      const [epochBytes, seq, upTo, ...bodies] = (await this.#ask('read', [this.#epoch, String(known), String(page)])) as Answer
      if (this.#closed) return
      const epoch = String(epochBytes)
      const isOther = !this.#looked || epoch !== this.#epoch || seq < known || this.#failures > 0
      ;[this.#epoch, this.#seq, this.#looked] = [epoch, upTo, true]
      this.#worked()
      const changes = bodies
        .map((body) => (body === null ? undefined : this.#sealed.open(Buffer.from(body))))
        .filter((one) => one !== undefined)
      if (changes.length > 0) heard(changes)
      if (isOther) mayLack()
      if (upTo >= seq) return
    }
  }

  async #ask(what: 'publish' | 'read' | 'lacking', args: readonly string[]): Promise<unknown> {
    if (this.#late !== undefined) throw new Error('an earlier call is still under way')
    const { timeoutMs } = this.#options
    const call = this.#run[what](this.#keys, args)
    const { promise: late, reject } = Promise.withResolvers<never>()
    const timer = setTimeout(() => {
      const over = (): void => void (this.#late = undefined)
      this.#late = call.then(over, over)
      reject(new Error(`no answer within ${timeoutMs} ms`))
    }, timeoutMs)
    try {
      return await Promise.race([call, late])
    } finally {
      clearTimeout(timer)
    }
  }

  #worked(): void {
    this.#failures = 0
    if (this.#told) this.#options.observe({ event: 'sys_store_recovered', store })
    this.#told = false
  }

  #failed(error: unknown): void {
    if (this.#closed) return
    this.#failures = this.#options.isUp() ? this.#failures + 1 : 1
    if (this.#failures < failuresToTell || this.#told) return
    this.#told = true
    this.#options.observe({ event: 'sys_store_failure', store, error: error instanceof Error ? error.message : String(error) })
  }
}

const store = 'redis decisions'

type Answer = readonly [epoch: Buffer | string, seq: number, upTo: number, ...bodies: (Buffer | string | null)[]]

const kindAndId = (change: DecisionChange): [string, string] => (change.change === 'decided' ? ['d', change.decision.id] : ['l', change.id])
