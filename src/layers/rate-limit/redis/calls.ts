import type { Clock } from '../../../core/clock.ts'
import { DeadlineQueue } from './deadline-queue.ts'
import { RedisClocks } from './clocks.ts'

/** One call of the script about one identity. */
export interface RedisCall {
  readonly operation: 'consume' | 'peek' | 'refund' | 'reset'
  /** One, or two where a quota counts for the wider prefix. */
  readonly keys: readonly string[]
  readonly plan: Buffer
  readonly cost: number
  readonly receipt: Buffer
  /** Length of its part of the answer. */
  readonly answerBytes: number
  /** Its part begins at `offset`; `atUs` is Redis' time, `askedMs` ours when it was sent. */
  answered(answer: Buffer, offset: number, atUs: number, askedMs: number): void
  /** It may have been counted all the same. */
  failed(error: Error): void
}

export interface RedisCallsOptions {
  /** Resolves with what the script answers. */
  readonly run: (keys: readonly string[], args: readonly (string | Buffer)[]) => Promise<Buffer>
  /** The server that holds a key, by any name. */
  readonly nodeOf: (key: string) => string
  /** Calls can go together if their keys are of one group: in a cluster a slot, else all. */
  readonly groupOf: (key: string) => number
  readonly clock: Pick<Clock, 'monotonicMs'>
  readonly timeoutMs: number
}

/** At most so many calls go together, so that the script holds up nobody for more than about 1 ms. */
const mostTogether = 64
const momentBytes = 8

/**
 * Collects the calls of one turn of the event loop and sends them as one command: the client's part of the work for a command is ten
 * times that for one more call in it, the server's twice.
 *
 * Each command carries the moment, by Redis' clock, after which it must do nothing: what hung for so long that its caller has given it
 * up is not counted later. Where the clock was set forward in between, that answer comes in time: then the call was surely not counted,
 * and is sent once more. Nothing else is ever sent twice.
 */
export class RedisCalls {
  readonly #clocks = new RedisClocks()
  readonly #options: RedisCallsOptions
  readonly #deadlines: DeadlineQueue
  #collected: RedisCall[] = []

  constructor(options: RedisCallsOptions) {
    this.#options = options
    this.#deadlines = new DeadlineQueue(options.clock.monotonicMs, options.timeoutMs)
  }

  /** Asks the server that has the key what time it is: before the first answer, nothing can be told it not to be done late. */
  async learnClock(key: string): Promise<void> {
    const { run, nodeOf, clock } = this.#options
    const askedMs = clock.monotonicMs()
    const answer = await run([key], [String(Number.MAX_SAFE_INTEGER)])
    this.#clocks.learn(nodeOf(key), answer.readDoubleLE(0), askedMs, clock.monotonicMs())
  }

  add(call: RedisCall): void {
    this.#collected.push(call)
    if (this.#collected.length === 1) setImmediate(() => this.#sendCollected())
  }

  close(): void {
    this.#sendCollected()
    this.#deadlines.close()
  }

  #sendCollected(): void {
    const groups = new Map<number, RedisCall[]>()
    for (const call of this.#collected) {
      const group = this.#options.groupOf(call.keys[0]!)
      const calls = groups.get(group)
      if (calls === undefined) groups.set(group, [call])
      else calls.push(call)
    }
    this.#collected = []
    for (const calls of groups.values()) {
      for (let from = 0; from < calls.length; from += mostTogether) this.#send(calls.slice(from, from + mostTogether), true)
    }
  }

  #send(calls: readonly RedisCall[], mayRepeat: boolean): void {
    const { run, nodeOf, clock, timeoutMs } = this.#options
    const node = nodeOf(calls[0]!.keys[0]!)
    const askedMs = clock.monotonicMs()
    const notAfterUs = this.#clocks.at(node, askedMs + timeoutMs)
    const args: (string | Buffer)[] = [String(notAfterUs)]
    for (const { operation, plan, cost, receipt } of calls) args.push(operation, plan, String(cost), receipt)
    const fail = (error: Error): void => {
      for (const call of calls) call.failed(error)
    }
    const awaited = this.#deadlines.add(() => fail(new Error(`no answer within ${timeoutMs} ms`)))
    const bytes = calls.reduce((sum, { answerBytes }) => sum + answerBytes, momentBytes)
    const hear = (answer: Buffer): void => {
      const atUs = answer.readDoubleLE(0)
      this.#clocks.learn(node, atUs, askedMs, clock.monotonicMs())
      if (awaited.settled) return
      awaited.settled = true
      if (atUs > notAfterUs && mayRepeat) this.#send(calls, false)
      else if (atUs > notAfterUs) fail(new Error('the clock of the server jumps'))
      else if (answer.length !== bytes) fail(new Error('an answer that the script does not give'))
      else distribute(calls, answer, atUs, askedMs)
    }
    run(
      calls.flatMap(({ keys }) => keys),
      args,
    ).then(hear, (error: unknown) => {
      if (awaited.settled) return
      awaited.settled = true
      fail(error instanceof Error ? error : new Error(String(error)))
    })
  }
}

const distribute = (calls: readonly RedisCall[], answer: Buffer, atUs: number, askedMs: number): void => {
  let offset = momentBytes
  for (const call of calls) {
    call.answered(answer, offset, atUs, askedMs)
    offset += call.answerBytes
  }
}
