import { join } from 'node:path'

import { Kysely } from 'kysely'

import type { DatabaseLocation, OpenedDialect } from './database.ts'
import { openGroupCommit } from './group-commit.ts'
import { openSqliteChannel } from './sqlite-channel.ts'
import { createSqliteDialect, openConnection } from './sqlite.ts'

export const sqliteFile = ({ dataDir }: DatabaseLocation): string => join(dataDir, 'filmgate.db')

/** `onReadError` says as what a failed read is thrown. */
export const openSqlite = async (location: DatabaseLocation, onReadError: (error: unknown) => unknown): Promise<OpenedDialect> => {
  const file = sqliteFile(location)
  const writer = await openGroupCommit(file)
  const connection = openConnection(file, true)
  const reader: OpenedDialect['reader'] = new Kysely({ dialect: createSqliteDialect(connection, onReadError) })
  const channel = openSqliteChannel(file)
  return {
    reader,
    commit: writer.commit,
    channel,
    warnings: [],
    close: async () => {
      channel.close()
      await reader.destroy()
      await writer.close()
    },
  }
}
