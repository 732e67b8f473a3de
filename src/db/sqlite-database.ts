import { join } from 'node:path'

import { Kysely } from 'kysely'

import type { DatabaseLocation, OpenedDialect, Reads } from './database.ts'
import { openGroupCommit } from './group-commit.ts'
import { openSqliteChannel } from './sqlite-channel.ts'
import { createSqliteDialect, openConnection } from './sqlite.ts'

export const sqliteFile = ({ dataDir }: DatabaseLocation): string => join(dataDir, 'filmgate.db')

export const openSqlite = async (location: DatabaseLocation, reads: Reads): Promise<OpenedDialect> => {
  const file = sqliteFile(location)
  const writer = await openGroupCommit(file)
  const connection = openConnection(file, true)
  const reader: OpenedDialect['reader'] = new Kysely({ dialect: createSqliteDialect(connection, reads.onReadError, reads.timed) })
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
