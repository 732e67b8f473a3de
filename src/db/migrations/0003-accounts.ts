import { type CreateTableBuilder, type Kysely, sql } from 'kysely'
import type { Migration } from 'kysely/migration'

import type { Dialect } from '../unit.ts'

/** Accounts with their factors, sessions and keys, the keys that sign access tokens, and what instances tell one another. */
export const accounts = (dialect: Dialect): Migration => ({
  async up(db: Kysely<unknown>) {
    const table = (name: string): Table => db.schema.createTable(name)
    for (const one of [
      accountTable(dialect, table('account')),
      recoveryCodeTable(dialect, table('recovery_code')),
      passkeyTable(dialect, table('passkey')),
      knownPlaceTable(dialect, table('known_place')),
      sessionTable(dialect, table('session')),
      refreshTokenTable(dialect, table('refresh_token')),
      pendingLoginTable(dialect, table('pending_login')),
      spentChallengeTable(dialect, table('spent_challenge')),
      claimCodeTable(dialect, table('claim_code')),
      signingKeyTable(dialect, table('signing_key')),
      announcementTable(dialect, table('announcement')),
    ])
      await (dialect === 'sqlite' ? one.modifyEnd(sql`strict`) : one).execute()
    for (const name of ['expires_at', 'last_used_at']) await db.schema.alterTable('api_key').addColumn(name, wide[dialect]).execute()
    await createIndexes(db)
  },
})

type Table = CreateTableBuilder<string, string>

/** A STRICT table of SQLite knows no bigint. */
const wide = { sqlite: 'integer', postgres: 'bigint' } as const

const createIndexes = async (db: Kysely<unknown>): Promise<void> => {
  for (const [table, column] of [
    ['passkey', 'account_id'],
    ['session', 'account_id'],
    ['refresh_token', 'session_id'],
    ['pending_login', 'account_id'],
    ['api_key', 'subject'],
  ] as const)
    await db.schema.createIndex(`${table}_by_${column}`).on(table).column(column).execute()
}

const ownedBy = (table: Table, owner: 'account' | 'session'): Table =>
  table.addColumn(`${owner}_id`, 'text', (c) => c.notNull().references(`${owner}.id`).onDelete('cascade'))

const accountTable = (dialect: Dialect, table: Table): Table =>
  table
    .addColumn('id', 'text', (c) => c.notNull().primaryKey())
    .addColumn('username', 'text', (c) => c.notNull().unique())
    .addColumn('role', 'text', (c) => c.notNull().check(sql`role in ('viewer', 'editor', 'moderator', 'admin')`))
    .addColumn('password_hash', 'text')
    .addColumn('epoch', 'integer', (c) => c.notNull().defaultTo(0))
    .addColumn('created_at', wide[dialect], (c) => c.notNull())
    .addColumn('updated_at', wide[dialect], (c) => c.notNull())
    .addColumn('last_login_at', wide[dialect])
    .addColumn('disabled_at', wide[dialect])
    .addColumn('totp_secret', 'text')
    .addColumn('totp_confirmed_at', wide[dialect])
    .addColumn('totp_step', wide[dialect])

const recoveryCodeTable = (dialect: Dialect, table: Table): Table =>
  ownedBy(table, 'account')
    .addColumn('hash', 'text', (c) => c.notNull())
    .addColumn('used_at', wide[dialect])
    .addPrimaryKeyConstraint('recovery_code_key', ['account_id', 'hash'])

const passkeyTable = (dialect: Dialect, table: Table): Table =>
  ownedBy(
    table.addColumn('id', 'text', (c) => c.notNull().primaryKey()),
    'account',
  )
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('public_key', 'text', (c) => c.notNull())
    .addColumn('counter', wide[dialect], (c) => c.notNull())
    .addColumn('transports', 'text', (c) => c.notNull())
    .addColumn('created_at', wide[dialect], (c) => c.notNull())
    .addColumn('last_used_at', wide[dialect])

const knownPlaceTable = (dialect: Dialect, table: Table): Table =>
  ownedBy(table, 'account')
    .addColumn('place', 'text', (c) => c.notNull())
    .addColumn('last_used_at', wide[dialect], (c) => c.notNull())
    .addPrimaryKeyConstraint('known_place_key', ['account_id', 'place'])

const sessionTable = (dialect: Dialect, table: Table): Table =>
  ownedBy(
    table.addColumn('id', 'text', (c) => c.notNull().primaryKey()),
    'account',
  )
    .addColumn('created_at', wide[dialect], (c) => c.notNull())
    .addColumn('authenticated_at', wide[dialect], (c) => c.notNull())
    .addColumn('last_used_at', wide[dialect], (c) => c.notNull())
    .addColumn('expires_at', wide[dialect], (c) => c.notNull())
    .addColumn('amr', 'text', (c) => c.notNull())
    .addColumn('mfa', 'integer', (c) => c.notNull().check(sql`mfa in (0, 1)`))
    .addColumn('browser', 'integer', (c) => c.notNull().check(sql`browser in (0, 1)`))
    .addColumn('client', 'text')
    .addColumn('user_agent', 'text')
    .addColumn('revoked_at', wide[dialect])

const refreshTokenTable = (dialect: Dialect, table: Table): Table =>
  ownedBy(
    table.addColumn('hash', 'text', (c) => c.notNull().primaryKey()),
    'session',
  )
    .addColumn('created_at', wide[dialect], (c) => c.notNull())
    .addColumn('used_at', wide[dialect])

const pendingLoginTable = (dialect: Dialect, table: Table): Table =>
  ownedBy(
    table.addColumn('hash', 'text', (c) => c.notNull().primaryKey()),
    'account',
  )
    .addColumn('expires_at', wide[dialect], (c) => c.notNull())
    .addColumn('attempts', 'integer', (c) => c.notNull().defaultTo(0))
    .addColumn('amr', 'text', (c) => c.notNull())
    .addColumn('browser', 'integer', (c) => c.notNull().check(sql`browser in (0, 1)`))
    .addColumn('challenge', 'text')
    .addColumn('finished_at', wide[dialect])

const spentChallengeTable = (dialect: Dialect, table: Table): Table =>
  table.addColumn('hash', 'text', (c) => c.notNull().primaryKey()).addColumn('expires_at', wide[dialect], (c) => c.notNull())

const claimCodeTable = (dialect: Dialect, table: Table): Table =>
  table
    .addColumn('hash', 'text', (c) => c.notNull().primaryKey())
    .addColumn('expires_at', wide[dialect], (c) => c.notNull())
    .addColumn('used_at', wide[dialect])

const signingKeyTable = (dialect: Dialect, table: Table): Table =>
  table
    .addColumn('kid', 'text', (c) => c.notNull().primaryKey())
    .addColumn('generation', 'integer', (c) => c.notNull().unique())
    .addColumn('public_jwk', 'text', (c) => c.notNull())
    .addColumn('sealed_private', 'text', (c) => c.notNull())
    .addColumn('created_at', wide[dialect], (c) => c.notNull())
    .addColumn('active_at', wide[dialect], (c) => c.notNull())

const announcementTable = (dialect: Dialect, table: Table): Table =>
  table.addColumn('topic', 'text', (c) => c.notNull().primaryKey()).addColumn('count', wide[dialect], (c) => c.notNull())
