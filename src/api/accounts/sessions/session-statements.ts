import { type Kysely, sql } from 'kysely'

import { type Permission, permissionsOf, roles } from '../../../core/access.ts'
import type { Database } from '../../../db/open.ts'
import type { Tables } from '../../../db/tables.ts'
import { type Statement, statement, template, type Unit } from '../../../db/unit.ts'
import type { SessionTimes } from './session-repository.ts'

export interface NewSession {
  readonly id: string
  readonly accountId: string
  /** Of the account when its owner was seen to be it: a password that was changed since opens nothing. */
  readonly epoch: number
  readonly amr: string
  readonly mfa: boolean
  readonly browser: boolean
  readonly client: string | null
  readonly userAgent: string | null
}

/** For units. Where it is said that a statement must touch a row, another number is a conflict. */
export interface SessionStatements {
  /** Must touch a row: the account is as it was, and not disabled. */
  open(session: NewSession): Statement
  /** Ends those of the account that were not used for longest, where there are more than it may have; returns their ids. */
  endSurplus(accountId: string, newest: string): Statement
  addToken(hash: string, sessionId: string): Statement
  /** Must touch a row: of all who come with the token, one uses it. */
  useToken(hash: string): Statement
  /** Must touch a row: the session has not ended, and its account is not disabled. */
  touch(sessionId: string): Statement
  /** Must touch a row: it had not ended. */
  end(sessionId: string): Statement
  /** As `end`, where it may as well have ended by itself. */
  replace(sessionId: string): Statement
  /** Must touch a row: see `Sessions`. */
  hold(sessionId: string, permission?: Permission): Statement
  /** With the logins of the account that are half done. Any number of rows. */
  endAll(accountId: string, except?: string): Unit
  /** Each must touch a row, as `open`. Of units that are not audited, so that nothing else keeps it behind a change of the account. */
  addPending(pending: NewPending): Unit
}

export interface NewPending {
  readonly hash: string
  readonly accountId: string
  readonly epoch: number
  readonly expiresAt: number
  readonly amr: string
  readonly browser: boolean
}

/** Sessions that an account has at once, at most. */
export const maxSessions = 100

export const createSessionStatements = (
  { reader: db }: Pick<Database, 'reader'>,
  { epochMs: now, maxAgeMs, idleMs }: SessionTimes,
): SessionStatements => {
  const [queries, opening] = [compileQueries(db), compileOpening(db)]
  return {
    open: ({ mfa, browser, ...session }) =>
      statement(opening.open({ ...session, mfa: Number(mfa), browser: Number(browser), at: now(), expiresAt: now() + maxAgeMs }), 1),
    endSurplus: (accountId, newest) => statement(queries.endSurplus({ accountId, newest, at: now() })),
    addToken: (hash, sessionId) => statement(queries.addToken({ hash, sessionId, at: now() }), 1),
    useToken: (hash) => statement(queries.useToken({ hash, at: now() }), 1),
    touch: (sessionId) => statement(queries.touch({ sessionId, at: now(), idleSince: now() - idleMs }), 1),
    end: (sessionId) => statement(queries.end({ sessionId, at: now() }), 1),
    hold: (sessionId, permission) => statement(compileHold(db, sessionId, permission), 1),
    replace: (sessionId) => statement(queries.end({ sessionId, at: now() })),
    // No session has the empty id.
    endAll: (accountId, except = '') => [
      statement(queries.endAll({ accountId, except, at: now() })),
      statement(queries.dropPending({ accountId })),
    ],
    addPending: ({ browser, ...pending }) => [
      statement(opening.hold(pending), 1),
      statement(opening.addPending({ ...pending, browser: Number(browser) }), 1),
    ],
  }
}

/** Not one of the hot ones: compiled when it is needed. */
const compileHold = (db: Kysely<Tables>, sessionId: string, permission: Permission | undefined) =>
  db
    .updateTable('session')
    .set((e) => ({ mfa: e.ref('mfa') }))
    .where('id', '=', sessionId)
    .where('revoked_at', 'is', null)
    .where('account_id', 'in', (e) =>
      e
        .selectFrom('account')
        .select('account.id')
        .where('disabled_at', 'is', null)
        .where(
          'role',
          'in',
          roles.filter((role) => permission === undefined || permissionsOf(role).has(permission)),
        ),
    )
    .compile()

type OfSession = { sessionId: string; at: number }

const compileQueries = (db: Kysely<Tables>) => {
  const end = (at: number) => db.updateTable('session').set({ revoked_at: at }).where('revoked_at', 'is', null)
  return {
    endSurplus: template<{ accountId: string; newest: string; at: number }>(['accountId', 'newest', 'at'], ({ accountId, newest, at }) =>
      end(at)
        .where('id', 'in', (e) =>
          e
            .selectFrom('session as s')
            .select('s.id')
            .where('s.account_id', '=', accountId)
            .where('s.id', '<>', newest)
            .where('s.revoked_at', 'is', null)
            .where('s.expires_at', '>', at)
            .orderBy('s.last_used_at', 'desc')
            .orderBy('s.id')
            .limit(1000)
            .offset(maxSessions - 1),
        )
        .returning('id'),
    ),
    addToken: template<{ hash: string } & OfSession>(['hash', 'sessionId', 'at'], ({ hash, sessionId, at }) =>
      db.insertInto('refresh_token').values({ hash, session_id: sessionId, created_at: at }),
    ),
    useToken: template<{ hash: string; at: number }>(['hash', 'at'], ({ hash, at }) =>
      db.updateTable('refresh_token').set({ used_at: at }).where('hash', '=', hash).where('used_at', 'is', null),
    ),
    touch: template<OfSession & { idleSince: number }>(['sessionId', 'at', 'idleSince'], ({ sessionId, at, idleSince }) =>
      db
        .updateTable('session')
        .set({ last_used_at: at })
        .where('id', '=', sessionId)
        .where('revoked_at', 'is', null)
        .where('expires_at', '>', at)
        .where('last_used_at', '>', idleSince)
        .where(sql<boolean>`exists (select 1 from account a where a.id = session.account_id and a.disabled_at is null)`),
    ),
    end: template<OfSession>(['sessionId', 'at'], ({ sessionId, at }) => end(at).where('id', '=', sessionId)),
    endAll: template<{ accountId: string; except: string; at: number }>(['accountId', 'except', 'at'], ({ accountId, except, at }) =>
      end(at).where('account_id', '=', accountId).where('id', '<>', except),
    ),
    dropPending: template<{ accountId: string }>(['accountId'], ({ accountId }) =>
      db.deleteFrom('pending_login').where('account_id', '=', accountId),
    ),
  }
}

interface OpenArgs extends Record<string, string | number | null> {
  id: string
  accountId: string
  epoch: number
  amr: string
  mfa: number
  browser: number
  client: string | null
  userAgent: string | null
  at: number
  expiresAt: number
}

interface PendingArgs extends Record<string, string | number> {
  hash: string
  accountId: string
  epoch: number
  expiresAt: number
  amr: string
  browser: number
}

/** What a query selects without a table PostgreSQL must be told the types of. */
const text = (value: string | null) => sql<string>`cast(${value} as text)`
const wide = (value: number) => sql<number>`cast(${value} as bigint)`
const small = (value: number) => sql<number>`cast(${value} as integer)`

/** Rows that come out of the account's own, so that there are none when it has changed. */
const compileOpening = (db: Kysely<Tables>) => {
  const asItWas = (accountId: string, epoch: number) =>
    db.selectFrom('account').where('account.id', '=', accountId).where('epoch', '=', epoch).where('disabled_at', 'is', null)
  const times = ['id', 'account_id', 'created_at', 'authenticated_at', 'last_used_at', 'expires_at'] as const
  const names = ['id', 'accountId', 'epoch', 'amr', 'mfa', 'browser', 'client', 'userAgent', 'at', 'expiresAt'] as const
  return {
    /**
     * PostgreSQL: takes the lock of the account's row, and so waits for a change of its password that goes on at this moment, or makes that
     * wait. Without it neither would see the other, and a login with the old password could be finished with the new one in force.
     */
    hold: template<{ accountId: string; epoch: number }>(['accountId', 'epoch'], ({ accountId, epoch }) =>
      db
        .updateTable('account')
        .set((e) => ({ epoch: e.ref('epoch') }))
        .where('id', '=', accountId)
        .where('epoch', '=', epoch)
        .where('disabled_at', 'is', null),
    ),
    open: template<OpenArgs>(names, ({ id, accountId, epoch, amr, mfa, browser, client, userAgent, at, expiresAt }) =>
      db
        .insertInto('session')
        .columns([...times, ...(['amr', 'mfa', 'browser', 'client', 'user_agent'] as const)])
        .expression(
          asItWas(accountId, epoch)
            .select([text(id).as('id'), 'account.id as account_id'])
            .select([wide(at).as('created_at'), wide(at).as('authenticated_at'), wide(at).as('last_used_at')])
            .select([wide(expiresAt).as('expires_at'), text(amr).as('amr'), small(mfa).as('mfa'), small(browser).as('browser')])
            .select([text(client).as('client'), text(userAgent).as('user_agent')]),
        ),
    ),
    addPending: template<PendingArgs>(
      ['hash', 'accountId', 'epoch', 'expiresAt', 'amr', 'browser'],
      ({ hash, accountId, epoch, expiresAt, amr, browser }) =>
        db
          .insertInto('pending_login')
          .columns(['hash', 'account_id', 'expires_at', 'amr', 'browser'])
          .expression(
            asItWas(accountId, epoch)
              .select([text(hash).as('hash'), 'account.id as account_id', wide(expiresAt).as('expires_at')])
              .select([text(amr).as('amr'), small(browser).as('browser')]),
          ),
    ),
  }
}
