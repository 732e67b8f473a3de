import { type Kysely, sql } from 'kysely'
import type { Migration } from 'kysely/migration'

import type { Dialect } from '../unit.ts'

/** The audit trail: rows are added and never changed, which the database itself refuses; each carries a MAC over itself and the row before. */
export const audit = (dialect: Dialect): Migration => ({
  async up(db: Kysely<unknown>) {
    const wide = dialect === 'sqlite' ? 'integer' : 'bigint'
    const trail = db.schema
      .createTable('audit')
      .addColumn('seq', wide, (c) => c.notNull().primaryKey())
      .addColumn('at', wide, (c) => c.notNull())
      .addColumn('actor', 'text', (c) => c.notNull())
      .addColumn('action', 'text', (c) => c.notNull())
      .addColumn('target', 'text', (c) => c.notNull())
      .addColumn('details', 'text', (c) => c.notNull())
      .addColumn('request_id', 'text')
      .addColumn('client', 'text')
      .addColumn('mac', 'text', (c) => c.notNull())
    const head = db.schema
      .createTable('audit_head')
      .addColumn('id', 'integer', (c) => c.primaryKey().check(sql`id = 1`))
      .addColumn('seq', wide, (c) => c.notNull())
      .addColumn('mac', 'text', (c) => c.notNull())
      .addColumn('seal', 'text', (c) => c.notNull())
    for (const table of [trail, head]) await (dialect === 'sqlite' ? table.modifyEnd(sql`strict`) : table).execute()
    await sql`insert into audit_head (id, seq, mac, seal) values (1, 0, '', '')`.execute(db)
    for (const name of [[], ['actor'], ['action'], ['target']])
      await db.schema
        .createIndex(['audit_by', ...name, 'at'].join('_'))
        .on('audit')
        .columns([...name, 'at', 'seq'])
        .execute()
    for (const statement of dialect === 'sqlite' ? sqliteGuards : postgresGuards) await sql.raw(statement).execute(db)
  },
})

const refusal = 'the audit trail is append-only'

/**
 * A slip, or an injection with the program's own rights, is stopped; who owns the database can drop a trigger, which `audit verify` is for.
 * SQLite tells no trigger of rows that INSERT OR REPLACE takes away, so a row whose number is taken is stopped before.
 */
const sqliteGuards = [
  ...['update', 'delete'].map(
    (verb) => `create trigger audit_no_${verb} before ${verb} on audit begin select raise(abort, '${refusal}'); end`,
  ),
  `create trigger audit_no_replace before insert on audit when exists (select 1 from audit where seq = new.seq) begin select raise(abort, '${refusal}'); end`,
  `create trigger audit_head_no_return before update on audit_head when new.seq <= old.seq begin select raise(abort, '${refusal}'); end`,
  `create trigger audit_head_no_insert before insert on audit_head begin select raise(abort, '${refusal}'); end`,
  `create trigger audit_head_no_delete before delete on audit_head begin select raise(abort, '${refusal}'); end`,
]

const postgresGuards = [
  `create function audit_append_only() returns trigger language plpgsql as $$ begin raise exception '${refusal}'; end $$`,
  `create trigger audit_append_only before update or delete or truncate on audit for each statement execute function audit_append_only()`,
  `create trigger audit_head_stays before delete or truncate on audit_head for each statement execute function audit_append_only()`,
  `create trigger audit_head_no_return before update on audit_head for each row when (new.seq <= old.seq) execute function audit_append_only()`,
]
