import type { Clock } from '../../core/clock.ts'
import type { Principal } from '../../core/request.ts'
import type { Checked } from './credentials.ts'

export interface RememberedOptions {
  readonly clock: Clock
  readonly check: (credential: string) => Promise<Checked | string>
  /** What was learned holds as long as this stays the same; undefined: not at all. */
  readonly generation: () => number | undefined
  readonly maxRemembered: number
}

export type Remembered = ReturnType<typeof createRemembered>

/** Whom a credential speaks for, or why it is refused. */
export type Found = Principal | string

/** However still it is, now and then it is asked again: for what nobody announces, such as the end of a session by its age. */
const maxFreshMs = 60_000

interface Entry extends Checked {
  principal?: Principal
  /** Epoch milliseconds. */
  freshUntil: number
  generation?: number | undefined
  asking?: { readonly generation: number | undefined; readonly found: Promise<Found> }
}

/** At most so many; the oldest goes for the next. */
const createEntries = (max: number) => {
  const entries = new Map<string, Entry>()
  return {
    get: (digest: string) => entries.get(digest),
    forget: (digest: string) => entries.delete(digest),
    keep: (digest: string, entry: Entry): void => {
      if (entries.size >= max && !entries.has(digest)) {
        // A Map is in the order in which its entries came.
        const [oldest] = entries.keys()
        if (oldest !== undefined) entries.delete(oldest)
      }
      entries.set(digest, entry)
    },
  }
}

/** Asks whom an entry speaks for now. Many requests at once share one question, but only those that come before the next change. */
const createAsking = (entries: ReturnType<typeof createEntries>, { clock, generation }: RememberedOptions) => {
  const load = async (digest: string, entry: Entry, asked: number | undefined): Promise<Found> => {
    const speaker = await entry.ask()
    const now = clock.epochMs()
    if (speaker === undefined || typeof speaker === 'string' || speaker.expiresAt <= now) {
      entries.forget(digest)
      return typeof speaker === 'object' ? 'expired' : (speaker ?? 'speaks for nobody')
    }
    entry.principal = speaker.principal
    entry.generation = asked
    entry.freshUntil = Math.min(speaker.expiresAt, now + maxFreshMs)
    entries.keep(digest, entry)
    return speaker.principal
  }
  return (digest: string, entry: Entry): Promise<Found> => {
    const asked = generation()
    const { asking } = entry
    if (asking !== undefined && (entry.isSelfContained || (asked !== undefined && asking.generation === asked))) return asking.found
    const found = load(digest, entry, asked).finally(() => {
      if (entry.asking?.found === found) delete entry.asking
    })
    entry.asking = { generation: asked, found }
    return found
  }
}

/**
 * What is known of credentials, in one bounded map by their SHA-256: signatures are checked once, and whom they speak for is asked once until
 * something changes. It never says more than the sources would: an entry is good in the generation that was there before it was asked about.
 */
export const createRemembered = (options: RememberedOptions) => {
  const { clock, check, generation } = options
  const entries = createEntries(options.maxRemembered)
  const ask = createAsking(entries, options)
  /** Seen for the first time and not answered yet: no more than requests in flight. */
  const newcomers = new Map<string, Promise<Entry | string>>()

  const start = async (credential: string): Promise<Entry | string> => {
    const checked = await check(credential)
    return typeof checked === 'string' ? checked : { ...checked, freshUntil: 0 }
  }

  return {
    /** Without a promise: undefined where it has to be asked. */
    fresh: (digest: string): Principal | undefined => {
      const entry = entries.get(digest)
      if (entry === undefined || entry.freshUntil <= clock.epochMs()) return undefined
      if (entry.isSelfContained) return entry.principal
      const now = generation()
      return now !== undefined && entry.generation === now ? entry.principal : undefined
    },

    find: async (digest: string, credential: string): Promise<Found> => {
      const begun = entries.get(digest) ?? newcomers.get(digest)
      if (begun !== undefined) {
        const known = await begun
        return typeof known === 'string' ? known : ask(digest, known)
      }
      const starting = start(credential)
      newcomers.set(digest, starting)
      try {
        const entry = await starting
        return typeof entry === 'string' ? entry : await ask(digest, entry)
      } finally {
        newcomers.delete(digest)
      }
    },
  }
}
