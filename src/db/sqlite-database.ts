import { join } from 'node:path'

import { Kysely } from 'kysely'

import { silentChannel } from './channel.ts'
import type { DatabaseLocation, OpenedDialect } from './database.ts'
import { openGroupCommit } from './group-commit.ts'
import { createSqliteDialect, openConnection } from './sqlite.ts'

export const sqliteFile = ({ dataDir }: DatabaseLocation): string => join(dataDir, 'filmgate.db')

/** `onReadError` says as what a failed read is thrown. */
export const openSqlite = async (location: DatabaseLocation, onReadError: (error: unknown) => unknown): Promise<OpenedDialect> => {
  const file = sqliteFile(location)
  const writer = await openGroupCommit(file)
  const reader: OpenedDialect['reader'] = new Kysely({ dialect: createSqliteDialect(openConnection(file, true), onReadError) })
  return {
    reader,
    commit: writer.commit,
    channel: silentChannel,
    warnings: [],
    close: async () => {
      await reader.destroy()
      await writer.close()
    },
  }
}
