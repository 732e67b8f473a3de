import { type CreateTableBuilder, type Kysely, sql } from 'kysely'
import type { Migration } from 'kysely/migration'

import type { Dialect } from '../unit.ts'

/** Films, votes, the catalogue's count and API keys. The checks repeat what the API validates: a bug above must not reach the disk. */
export const films = (dialect: Dialect): Migration => ({
  async up(db: Kysely<unknown>) {
    await create(dialect, filmTable(dialect, db.schema.createTable('film')))
    await create(dialect, voteTable(dialect, db.schema.createTable('vote')), ', without rowid')
    await create(dialect, catalogueTable(dialect, db.schema.createTable('catalogue')))
    await create(dialect, apiKeyTable(dialect, db.schema.createTable('api_key')))
    await sql`insert into catalogue (id, films) values (1, 0)`.execute(db)
  },
})

type Table = CreateTableBuilder<string, string>

/** Epoch milliseconds, and ids of up to 15 digits that clients ask for, need more than PostgreSQL's 32-bit integer; a STRICT table of SQLite knows no bigint. */
const wide = { sqlite: 'integer', postgres: 'bigint' } as const
const real = { sqlite: 'real', postgres: 'double precision' } as const

/** STRICT makes SQLite hold the column types; PostgreSQL always does. */
const create = (dialect: Dialect, table: Table, sqliteExtra = ''): Promise<void> =>
  (dialect === 'sqlite' ? table.modifyEnd(sql.raw(`strict${sqliteExtra}`)) : table).execute()

const filmTable = (dialect: Dialect, table: Table): Table =>
  table
    .addColumn('id', wide[dialect], (c) =>
      dialect === 'sqlite' ? c.primaryKey().autoIncrement() : c.primaryKey().generatedAlwaysAsIdentity(),
    )
    .addColumn('slot', 'integer', (c) => c.notNull().unique())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('studio', 'text')
    .addColumn('year', 'integer')
    .addColumn('genre', 'text')
    .addColumn('director', 'text')
    .addColumn('runtime_min', 'integer')
    .addColumn('rating', real[dialect])
    .addColumn('likes', 'integer', (c) => c.notNull().defaultTo(0))
    .addColumn('dislikes', 'integer', (c) => c.notNull().defaultTo(0))
    .addCheckConstraint('film_name', sql`length(name) between 1 and 200`)
    .addCheckConstraint('film_counters', sql`likes >= 0 and dislikes >= 0`)

const voteTable = (dialect: Dialect, table: Table): Table =>
  table
    .addColumn('film_id', wide[dialect], (c) => c.notNull().references('film.id').onDelete('cascade'))
    .addColumn('voter', 'text', (c) => c.notNull())
    .addColumn('value', 'integer', (c) => c.notNull().check(sql`value in (-1, 1)`))
    .addColumn('previous', 'integer', (c) => c.notNull().check(sql`previous in (-1, 0, 1)`))
    .addColumn('voted_at', wide[dialect], (c) => c.notNull())
    .addPrimaryKeyConstraint('vote_key', ['film_id', 'voter'])

const catalogueTable = (dialect: Dialect, table: Table): Table =>
  table
    .addColumn('id', 'integer', (c) => c.primaryKey().check(sql`id = 1`))
    .addColumn('films', 'integer', (c) => c.notNull().check(sql`films >= 0`))
    .addColumn('filled_at', wide[dialect])

const apiKeyTable = (dialect: Dialect, table: Table): Table =>
  table
    .addColumn('id', 'text', (c) => c.notNull().primaryKey())
    .addColumn('subject', 'text', (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('secret_hash', 'text', (c) => c.notNull())
    .addColumn('scopes', 'text', (c) => c.notNull())
    .addColumn('created_at', wide[dialect], (c) => c.notNull())
    .addColumn('revoked_at', wide[dialect])
