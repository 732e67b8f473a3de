import type { Statement } from './unit.ts'

/** What instances tell one another. `film_removed`: a film is gone, whatever was read before may still show it. */
export type Topic = 'film_removed'

/** Between the instances that share a database; effect within a second (DESIGN: seams). */
export interface Channel {
  /** Statements for a unit: when it is committed, and only then, every instance hears of it, this one too. */
  readonly announce: (topic: Topic) => readonly Statement[]
  /** `heard` is also called where announcements may have been missed. */
  readonly subscribe: (topic: Topic, heard: () => void) => void
  /** While it is down announcements are missed: what they guard must then be read from the database. */
  readonly isUp: () => boolean
}

/** One process on a file of its own: there is nobody to tell. What another process (the command line) writes is seen when batches age. */
export const silentChannel: Channel = { announce: () => [], subscribe: () => undefined, isUp: () => true }
