import { type CompiledQuery, type Kysely, sql } from 'kysely'

import type { Role } from '../../core/access.ts'
import type { Database } from '../../db/open.ts'
import type { AccountTable, Tables } from '../../db/tables.ts'
import { type Statement, statement, template } from '../../db/unit.ts'

/** Times in epoch milliseconds. */
export interface Account {
  readonly id: string
  readonly username: string
  readonly role: Role
  readonly passwordHash: string | null
  readonly epoch: number
  readonly createdAt: number
  readonly lastLoginAt: number | null
  readonly disabledAt: number | null
  readonly totpSecret: string | null
  readonly totpConfirmedAt: number | null
  readonly totpStep: number | null
}

export interface AccountRepository {
  byId(id: string): Promise<Account | undefined>
  byUsername(username: string): Promise<Account | undefined>
  /** In the order of their names, behind that name. */
  list(after: string, limit: number): Promise<readonly Account[]>
  /** Whether somebody can administer: an admin that is not disabled. */
  hasAdmin(): Promise<boolean>
}

/** For units. Each must touch one row; another number says in its conflict that the account is not as it was believed to be. */
export interface AccountStatements {
  /** Conflicts where the name is taken. */
  add(account: { id: string; username: string; role: Role; passwordHash: string | null }): Statement
  /** As `add`, but as an admin and only where there is none. */
  addFirstAdmin(account: { id: string; username: string; passwordHash: string | null }): Statement
  /** These three end the access tokens made before. The last admin keeps the role, stays, and is not disabled: then they conflict. */
  setRole(id: string, role: Role): Statement
  setDisabled(id: string, disabled: boolean): Statement
  remove(id: string): Statement
  rename(id: string, username: string): Statement
  /** Compare and swap: only while the hash is still `from`. Ends the access tokens made before. */
  setPassword(id: string, from: string | null, to: string): Statement
  /** As `setPassword`, for the same password in stronger parameters: ends nothing. */
  upgradePassword(id: string, from: string, to: string): Statement
  noteLogin(id: string): Statement
}

export const createAccountRepository = ({ reader }: Pick<Database, 'reader'>): AccountRepository => {
  const all = reader.selectFrom('account').selectAll()
  const byId = template<{ id: string }>(['id'], ({ id }) => all.where('id', '=', id))
  const byUsername = template<{ username: string }>(['username'], ({ username }) => all.where('username', '=', username))
  const list = template<{ after: string; limit: number }>(['after', 'limit'], ({ after, limit }) =>
    all.where('username', '>', after).orderBy('username').limit(limit),
  )
  const admins = activeAdmins(reader).limit(1).compile()
  const rows = async (query: CompiledQuery): Promise<readonly Account[]> =>
    (await reader.executeQuery<AccountRow>(query)).rows.map(toAccount)
  return {
    byId: async (id) => (await rows(byId({ id })))[0],
    byUsername: async (username) => (await rows(byUsername({ username })))[0],
    list: (after, limit) => rows(list({ after, limit })),
    hasAdmin: async () => (await reader.executeQuery(admins)).rows.length > 0,
  }
}

export const createAccountStatements = ({ reader: db }: Pick<Database, 'reader'>, epochMs: () => number): AccountStatements => {
  const queries = compileQueries(db)
  const at = epochMs
  return {
    add: (account) => one(queries.add({ ...account, at: at() })),
    addFirstAdmin: (account) => one(queries.addFirstAdmin({ ...account, at: at() })),
    setRole: (id, role) => one(role === 'admin' ? queries.promote({ id, at: at() }) : queries.demote({ id, role, at: at() })),
    setDisabled: (id, disabled) => one(disabled ? queries.disable({ id, at: at() }) : queries.enable({ id, at: at() })),
    remove: (id) => one(queries.remove({ id })),
    rename: (id, username) => one(queries.rename({ id, username, at: at() })),
    setPassword: (id, from, to) =>
      one(from === null ? queries.firstPassword({ id, to, at: at() }) : queries.password({ id, from, to, at: at() })),
    upgradePassword: (id, from, to) => one(queries.upgrade({ id, from, to })),
    noteLogin: (id) => one(queries.noteLogin({ id, at: at() })),
  }
}

const one = (query: CompiledQuery): Statement => statement(query, 1)

type AccountRow = { [K in keyof AccountTable]: K extends 'epoch' ? number : AccountTable[K] }

/** PostgreSQL gives its wide integers as the driver was told to: as numbers. */
const toAccount = (row: AccountRow): Account => ({
  id: row.id,
  username: row.username,
  role: row.role,
  passwordHash: row.password_hash,
  epoch: row.epoch,
  createdAt: row.created_at,
  lastLoginAt: row.last_login_at,
  disabledAt: row.disabled_at,
  totpSecret: row.totp_secret,
  totpConfirmedAt: row.totp_confirmed_at,
  totpStep: row.totp_step,
})

const activeAdmins = (db: Kysely<Tables>) =>
  db.selectFrom('account').select('account.id').where('role', '=', 'admin').where('disabled_at', 'is', null)

type IdAt = { id: string; at: number }

const compileQueries = (db: Kysely<Tables>) => {
  const update = db.updateTable('account')
  const grown = sql<number>`epoch + 1`
  // Two admins that demote each other at once: the chain of the audit trail lets one unit after the other through, and this then sees it.
  const notLastAdmin = sql<boolean>`(role <> 'admin' or disabled_at is not null or (select count(*) from account a where a.role = 'admin' and a.disabled_at is null) > 1)`
  return {
    add: template<{ id: string; username: string; role: Role; passwordHash: string | null; at: number }>(
      ['id', 'username', 'role', 'passwordHash', 'at'],
      ({ id, username, role, passwordHash, at }) =>
        db.insertInto('account').values({ id, username, role, password_hash: passwordHash, created_at: at, updated_at: at }),
    ),
    addFirstAdmin: compileFirstAdmin(db),
    promote: template<IdAt>(['id', 'at'], ({ id, at }) => update.set({ role: 'admin', epoch: grown, updated_at: at }).where('id', '=', id)),
    demote: template<IdAt & { role: Role }>(['id', 'role', 'at'], ({ id, role, at }) =>
      update.set({ role, epoch: grown, updated_at: at }).where('id', '=', id).where(notLastAdmin),
    ),
    disable: template<IdAt>(['id', 'at'], ({ id, at }) =>
      update
        .set({ disabled_at: at, epoch: grown, updated_at: at })
        .where('id', '=', id)
        .where('disabled_at', 'is', null)
        .where(notLastAdmin),
    ),
    enable: template<IdAt>(['id', 'at'], ({ id, at }) =>
      update.set({ disabled_at: null, updated_at: at }).where('id', '=', id).where('disabled_at', 'is not', null),
    ),
    remove: template<{ id: string }>(['id'], ({ id }) => db.deleteFrom('account').where('id', '=', id).where(notLastAdmin)),
    rename: template<IdAt & { username: string }>(['id', 'username', 'at'], ({ id, username, at }) =>
      update.set({ username, updated_at: at }).where('id', '=', id),
    ),
    firstPassword: template<IdAt & { to: string }>(['id', 'to', 'at'], ({ id, to, at }) =>
      update.set({ password_hash: to, epoch: grown, updated_at: at }).where('id', '=', id).where('password_hash', 'is', null),
    ),
    password: template<IdAt & { from: string; to: string }>(['id', 'from', 'to', 'at'], ({ id, from, to, at }) =>
      update.set({ password_hash: to, epoch: grown, updated_at: at }).where('id', '=', id).where('password_hash', '=', from),
    ),
    upgrade: template<{ id: string; from: string; to: string }>(['id', 'from', 'to'], ({ id, from, to }) =>
      update.set({ password_hash: to }).where('id', '=', id).where('password_hash', '=', from),
    ),
    noteLogin: template<IdAt>(['id', 'at'], ({ id, at }) =>
      update.set({ last_login_at: at }).where('id', '=', id).where('disabled_at', 'is', null),
    ),
  }
}

/** Compare and swap: of two that claim at once, one is the first. */
const compileFirstAdmin = (db: Kysely<Tables>) =>
  template<{ id: string; username: string; passwordHash: string | null; at: number }>(
    ['id', 'username', 'passwordHash', 'at'],
    ({ id, username, passwordHash, at }) =>
      db
        .insertInto('account')
        .columns(['id', 'username', 'role', 'password_hash', 'created_at', 'updated_at'])
        .expression(
          db
            .selectFrom('audit_head')
            .select([
              sql<string>`cast(${id} as text)`.as('id'),
              sql<string>`cast(${username} as text)`.as('username'),
              sql<Role>`'admin'`.as('role'),
              sql<string | null>`cast(${passwordHash} as text)`.as('password_hash'),
              sql<number>`cast(${at} as bigint)`.as('created_at'),
              sql<number>`cast(${at} as bigint)`.as('updated_at'),
            ])
            .where((e) => e.not(e.exists(db.selectFrom('account').select('id').where('role', '=', 'admin')))),
        ),
  )
