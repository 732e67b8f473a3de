import type { Kysely } from 'kysely'

import type { Channel } from './channel.ts'
import type { Tables } from './tables.ts'
import type { Timed } from './timed.ts'
import type { Commit } from './unit.ts'

/** What a dialect opens. */
export interface OpenedDialect {
  /** Reads only: its connection cannot write. */
  readonly reader: Kysely<Tables>
  readonly commit: Commit
  readonly channel: Channel
  /** What an operator should know about how it is connected, in sentences without secrets. */
  readonly warnings: readonly string[]
  close(): Promise<void>
}

export interface Reads {
  /** As what a failed read is thrown. */
  readonly onReadError: (error: unknown) => unknown
  readonly timed: Timed
}

export interface Database extends OpenedDialect {
  /** Resolves when a durable write and a read went through just now, else rejects with the reason. */
  probe(): Promise<void>
}

/** Told of everything that was asked of the database. `query` is of a closed list: `commit`, `probe`, or `select` and a table. */
export type OnQuery = (query: string, seconds: number) => void

export interface DatabaseLocation {
  /** `sqlite`, the file filmgate.db in `dataDir`, or `postgres://…`. */
  readonly url: string
  /** Must exist. */
  readonly dataDir: string
}

/** The database cannot be used as it is configured; the message is the end of a sentence that starts with the key, and holds no password. */
export class DatabaseError extends Error {
  override readonly name = 'DatabaseError'
  readonly key: 'database.url' | 'data.dir'

  constructor({ url }: Pick<DatabaseLocation, 'url'>, message: string, cause?: unknown) {
    super(message, { cause })
    this.key = url === 'sqlite' ? 'data.dir' : 'database.url'
  }
}
