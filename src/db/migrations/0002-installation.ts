import { type Kysely, sql } from 'kysely'
import type { Migration } from 'kysely/migration'

import type { Dialect } from '../unit.ts'

/** What all instances on one database must agree on. */
export const installation = (dialect: Dialect): Migration => ({
  async up(db: Kysely<unknown>) {
    const table = db.schema
      .createTable('installation')
      .addColumn('id', 'integer', (c) => c.primaryKey().check(sql`id = 1`))
      .addColumn('key_check', 'text', (c) => c.notNull())
    await (dialect === 'sqlite' ? table.modifyEnd(sql`strict`) : table).execute()
  },
})
