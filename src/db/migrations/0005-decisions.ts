import { type Kysely, sql } from 'kysely'
import type { Migration } from 'kysely/migration'

import type { Dialect } from '../unit.ts'

/** What was decided about clients, credentials and accounts, and in which order. */
export const decisions = (dialect: Dialect): Migration => ({
  async up(db: Kysely<unknown>) {
    const wide = dialect === 'sqlite' ? 'integer' : 'bigint'
    const decision = db.schema
      .createTable('decision')
      .addColumn('id', 'text', (c) => c.notNull().primaryKey())
      .addColumn('seq', wide, (c) => c.notNull().unique())
      .addColumn('scope', 'text', (c) => c.notNull().check(sql`scope in ('client', 'range', 'principal', 'account')`))
      .addColumn('target', 'text', (c) => c.notNull())
      .addColumn('type', 'text', (c) => c.notNull().check(sql`type in ('ban', 'tighten', 'require_login', 'tell')`))
      .addColumn('rule', 'text')
      .addColumn('reason', 'text', (c) => c.notNull())
      .addColumn('decided_by', 'text', (c) => c.notNull())
      .addColumn('created_at', wide, (c) => c.notNull())
      .addColumn('expires_at', wide, (c) => c.notNull())
      .addColumn('offence', 'integer', (c) => c.notNull())
      .addColumn('observed', 'integer', (c) => c.notNull().check(sql`observed in (0, 1)`))
      .addColumn('evidence', 'text')
      .addColumn('lifted_at', wide)
      .addColumn('lifted_by', 'text')
    const head = db.schema
      .createTable('decision_head')
      .addColumn('id', 'integer', (c) => c.primaryKey().check(sql`id = 1`))
      .addColumn('seq', wide, (c) => c.notNull())
    for (const table of [decision, head]) await (dialect === 'sqlite' ? table.modifyEnd(sql`strict`) : table).execute()
    await sql`insert into decision_head (id, seq) values (1, 0)`.execute(db)
    for (const columns of [['created_at', 'id'], ['scope', 'target', 'created_at', 'id'], ['rule', 'created_at', 'id'], ['expires_at']])
      await db.schema
        .createIndex(['decision_by', ...columns.filter((name) => name !== 'id')].join('_'))
        .on('decision')
        .columns(columns)
        .execute()
  },
})
