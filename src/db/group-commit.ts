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
export const openGroupCommit = async (file: string): Promise<GroupCommit> => {
  let waiting: Waiting[] = []
  let inFlight: Waiting[] = []
  let scheduled = false
  let closing = false
  let drained: (() => void) | undefined
  let writer: Worker | undefined

  const send = (): void => {
    scheduled = false
    if (inFlight.length > 0) return
    if (waiting.length === 0) return drained?.()
    if (!writer) return revive()
    inFlight = waiting
    waiting = []
    writer.postMessage(inFlight.map((entry) => entry.unit))
  }

  /** setImmediate comes after the reads of this turn of the event loop: requests that arrived together are committed together. */
  const schedule = (): void => {
    if (scheduled || inFlight.length > 0) return
    scheduled = true
    setImmediate(send)
  }

  const settle = (entries: readonly Waiting[], outcome: (index: number) => Outcome): void => {
    for (const [index, entry] of entries.entries()) entry.settle(outcome(index))
  }

  const attach = (fresh: Worker): void => {
    writer = fresh
    fresh.on('message', (outcomes: readonly Outcome[]) => {
      const group = inFlight
      inFlight = []
      send()
      settle(group, (index) => outcomes[index] ?? unavailable('no outcome'))
    })
    // An 'exit' follows every 'error'; without this listener the error would end the process.
    fresh.on('error', () => undefined)
    fresh.once('exit', () => {
      writer = undefined
      const group = inFlight
      inFlight = []
      // Whether the group reached the disk is unknown: it was not acknowledged, so the client is told that it failed.
      settle(group, () => unavailable('the writer thread ended'))
      schedule()
    })
  }

  const revive = (): void => {
    startWriter(file).then(
      (fresh) => {
        attach(fresh)
        send()
      },
      () => {
        const group = waiting
        waiting = []
        settle(group, () => unavailable('the writer thread does not start'))
        drained?.()
      },
    )
  }

  const commit: Commit = (unit) =>
    new Promise((resolve) => {
      if (closing) return resolve(unavailable('closing'))
      if (waiting.length >= maxWaitingUnits) return resolve(unavailable('too many writes are waiting'))
      waiting.push({ unit, settle: resolve })
      return schedule()
    })

  const close = async (): Promise<void> => {
    closing = true
    await new Promise<void>((resolve) => {
      drained = resolve
      schedule()
    })
    if (!writer) return
    const ended = new Promise((resolve) => writer?.once('exit', resolve))
    writer.postMessage('close')
    await ended
  }

  attach(await startWriter(file))
  return { commit, close }
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
