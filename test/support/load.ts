import assert from 'node:assert/strict'

import { assertUnavailable } from './health.ts'
import type { Ledger, Written } from './ledger.ts'
import type { TestServer } from './server.ts'

export interface Load {
  /** Resolves when so many more writes were acknowledged. */
  acknowledged(count: number): Promise<void>
  /** Ends it when the answers that are due have come. */
  stop(): Promise<void>
  /** How long the slowest 503 took. */
  slowestRefusalMs(): number
  refusals(): number
}

const writers = 12

/** Votes and films of many clients, all the time: every write is acknowledged or is a whole 503, whatever happens to the store meanwhile. */
export const startLoad = (server: TestServer, ledger: Ledger, prefix = '10.5'): Load => {
  const stopping = new AbortController()
  let slowestMs = 0
  let refusals = 0
  const waiters = new Set<{ left: number; readonly resolve: () => void }>()

  const note = (written: Written, tookMs: number): void => {
    if (written.fate === 'acknowledged') {
      for (const waiter of waiters) if (--waiter.left <= 0) waiter.resolve()
      return
    }
    // Who is on the way to a program that is told to end may find nobody.
    if (written.status === undefined && stopping.signal.aborted) return
    assertUnavailable(written)
    refusals++
    slowestMs = Math.max(slowestMs, tookMs)
  }

  const write = async (writer: number): Promise<void> => {
    for (let turn = 0; !stopping.signal.aborted; turn++) {
      const startedMs = performance.now()
      const [voter, filmId] = [`${prefix}.${writer}.${turn % 50}`, 1 + (turn % 9)]
      // Of one whose last vote is in doubt nobody could say which came last.
      if (turn % 9 !== 0 && ledger.isOpen(voter, filmId)) continue
      const written = turn % 9 === 0 ? await ledger.addFilm(server) : await ledger.vote(server, voter, filmId, turn % 4 === 0 ? -1 : 1)
      note(written, performance.now() - startedMs)
      // Clients that keep to Retry-After would be kinder, but the store must be found again by whoever comes.
      if (written.fate !== 'acknowledged') await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  const writing = Promise.all(Array.from({ length: writers }, (_, writer) => write(writer)))
  // It is looked at in stop(), at the latest.
  writing.catch(() => undefined)
  return {
    acknowledged: (count) => {
      const enough = new Promise<void>((resolve) => void waiters.add({ left: count, resolve }))
      return Promise.race([enough, writing.then(() => assert.fail('the load ended'))])
    },
    stop: async () => {
      stopping.abort()
      await writing
    },
    slowestRefusalMs: () => slowestMs,
    refusals: () => refusals,
  }
}
