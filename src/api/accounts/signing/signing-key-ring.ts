import type { Clock } from '../../../core/clock.ts'
import type { Database } from '../../../db/open.ts'
import { createSigningKeyTable, type SigningKey, type StoredKeys } from './signing-key-table.ts'

export interface KeyRingOptions {
  readonly database: Database
  readonly clock: Clock
  readonly sealingKey: Buffer
  readonly ttlMs: number
}

/** Clocks of instances differ, and one that was busy may have signed a moment later. */
const marginMs = 60_000
/** The database is asked for keys no more often than this, whatever ids are sent. */
const coolDownMs = 1000

export type KeyRing = ReturnType<typeof createKeyRing>

/** What this instance knows of the keys that all of them share. */
export const createKeyRing = ({ database, clock, sealingKey, ttlMs }: KeyRingOptions) => {
  const table = createSigningKeyTable(database, sealingKey)
  let stored: StoredKeys = { keys: [], newest: 0, unusable: [] }
  let reading: { readonly atMs: number; readonly done: Promise<void> } | undefined
  let isReading = false
  let reads = 0
  let isStale = false

  const read = async (): Promise<void> => {
    const mine = ++reads
    isStale = false
    isReading = true
    try {
      const fresh = await table.read()
      // One that began earlier and took longer knows less.
      if (mine === reads) stored = fresh
    } catch (error) {
      isStale = true
      throw error
    } finally {
      if (mine === reads) isReading = false
    }
  }
  const refresh = (): Promise<void> => {
    reading = { atMs: clock.monotonicMs(), done: read() }
    return reading.done
  }
  /** As the last time where that was less than a second ago, its failure included. */
  const refreshSometimes = (): Promise<void> =>
    reading !== undefined && clock.monotonicMs() - reading.atMs < coolDownMs ? reading.done : refresh()

  return {
    table,
    refresh,
    refreshSometimes,
    /**
     * Waits for what was announced to be read: a key that was taken back is not known a moment longer. While announcements may be missed the
     * database is asked, once a second.
     */
    upToDate: async (): Promise<void> => {
      if (isReading) await reading?.done
      else if (isStale || !database.channel.isUp()) await refreshSometimes()
    },
    /** The next one that signs ends the time of a key, and a token's life later nobody needs it. */
    accepted: (): readonly SigningKey[] => {
      const { keys } = stored
      const now = clock.epochMs()
      return keys.filter((_, i) => !keys.slice(i + 1).some(({ activeAt }) => activeAt + ttlMs + marginMs <= now))
    },
    /** The newest whose time has come. Where the clock says that none has, it is wrong: the oldest then. */
    signing: (): SigningKey | undefined => {
      const now = clock.epochMs()
      return stored.keys.findLast(({ activeAt }) => activeAt <= now) ?? stored.keys[0]
    },
    latest: (): SigningKey | undefined => stored.keys.at(-1),
    newest: () => stored.newest,
    unusable: () => stored.unusable,
  }
}
