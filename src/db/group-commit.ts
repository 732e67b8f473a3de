import { once } from 'node:events'
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'

import type { Commit, Outcome, Unit } from './unit.ts'

/** More than this many waiting writers means the disk is far behind: refusing at once is kinder than an answer after the deadline. */
const maxWaitingUnits = 10_000

interface Waiting {
  readonly unit: Unit
  readonly settle: (outcome: Outcome) => void
}

export interface GroupCommit {
  readonly commit: Commit
  /** Writes what is waiting, then ends the thread. */
  close(): Promise<void>
}

const unavailable = (reason: string): Outcome => ({ result: 'unavailable', reason })

/**
 * Hands units to the writer thread, one group in flight at a time: whatever arrives meanwhile becomes the next group, so groups grow with
 * the load and a lone write waits for nobody. A writer that dies answers `unavailable`; the next unit starts a new one.
 */
export const openGroupCommit = async (file: string): Promise<GroupCommit> => new WriterThread(file, await startWriter(file))

class WriterThread implements GroupCommit {
  readonly #file: string
  #writer: Worker | undefined
  #waiting: Waiting[] = []
  #inFlight: Waiting[] = []
  #scheduled = false
  #reviving = false
  #closing = false
  #drained: (() => void) | undefined

  constructor(file: string, writer: Worker) {
    this.#file = file
    this.#attach(writer)
  }

  readonly commit: Commit = (unit) =>
    new Promise((resolve) => {
      if (this.#closing) return resolve(unavailable('closing'))
      if (this.#waiting.length >= maxWaitingUnits) return resolve(unavailable('too many writes are waiting'))
      this.#waiting.push({ unit, settle: resolve })
      return this.#schedule()
    })

  async close(): Promise<void> {
    this.#closing = true
    await new Promise<void>((resolve) => {
      this.#drained = resolve
      this.#schedule()
    })
    const writer = this.#writer
    if (writer === undefined) return
    const ended = once(writer, 'exit')
    writer.postMessage('close')
    await ended
  }

  /** setImmediate comes after the reads of this turn of the event loop: requests that arrived together are committed together. */
  #schedule(): void {
    if (this.#scheduled || this.#inFlight.length > 0) return
    this.#scheduled = true
    setImmediate(() => this.#send())
  }

  #send(): void {
    this.#scheduled = false
    if (this.#inFlight.length > 0) return
    if (this.#waiting.length === 0) this.#drained?.()
    else if (this.#writer === undefined) void this.#revive()
    else {
      this.#inFlight = this.#waiting
      this.#waiting = []
      this.#writer.postMessage(this.#inFlight.map((entry) => entry.unit))
    }
  }

  #attach(writer: Worker): void {
    this.#writer = writer
    writer.on('message', (outcomes: readonly Outcome[]) => this.#settleGroup((index) => outcomes[index] ?? unavailable('no outcome')))
    // An 'exit' follows every 'error'; without this listener the error would end the process.
    writer.on('error', () => undefined)
    writer.once('exit', () => {
      this.#writer = undefined
      // Whether the group reached the disk is unknown: it was not acknowledged, so the client is told that it failed.
      this.#settleGroup(() => unavailable('the writer thread ended'))
    })
  }

  /** The next group leaves before the answers of this one are made: the disk does not wait for them. */
  #settleGroup(outcome: (index: number) => Outcome): void {
    const group = this.#inFlight
    this.#inFlight = []
    this.#send()
    for (const [index, entry] of group.entries()) entry.settle(outcome(index))
  }

  async #revive(): Promise<void> {
    if (this.#reviving) return
    this.#reviving = true
    try {
      this.#attach(await startWriter(this.#file))
      this.#schedule()
    } catch {
      const refused = this.#waiting
      this.#waiting = []
      for (const entry of refused) entry.settle(unavailable('the writer thread does not start'))
      if (this.#closing) this.#drained?.()
    } finally {
      this.#reviving = false
    }
  }
}

const startWriter = (file: string): Promise<Worker> =>
  new Promise((resolve, reject) => {
    // The extension differs between the checkout (.ts) and the published build (.js), and no compiler rewrites it inside a URL.
    const worker = new Worker(new URL(`./sqlite-writer${extname(import.meta.filename)}`, import.meta.url), { workerData: { file } })
    worker.once('error', reject)
    worker.once('message', () => {
      worker.off('error', reject)
      resolve(worker)
    })
  })
