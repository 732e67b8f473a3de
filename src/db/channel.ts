import type { Statement } from './unit.ts'

/**
 * What instances tell one another. `film_removed`: a film is gone, whatever was read before may still show it. `account_changed`: what
 * accounts, sessions or keys may do has changed. `signing_keys_changed`: there are other keys for access tokens. `decisions_changed`: something
 * was decided about somebody, or lifted.
 */
export type Topic = 'film_removed' | 'account_changed' | 'signing_keys_changed' | 'decisions_changed'

/** Between the instances that share a database; effect within a second (DESIGN: seams). */
export interface Channel {
  /** Statements for a unit: when it is committed, and only then, every instance hears of it, this one too. */
  readonly announce: (topic: Topic) => readonly Statement[]
  /** `heard` is also called where announcements may have been missed. */
  readonly subscribe: (topic: Topic, heard: () => void) => void
  /** While it is down announcements are missed: what they guard must then be read from the database. */
  readonly isUp: () => boolean
}

/** Of a database that is not there: nobody is told anything. */
export const silentChannel: Channel = { announce: () => [], subscribe: () => undefined, isUp: () => true }
