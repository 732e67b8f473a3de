import { type CompiledQuery, type Kysely, sql } from 'kysely'

import type { Database } from '../../../db/open.ts'
import type { Tables } from '../../../db/tables.ts'
import { type Statement, statement, template, type Unit } from '../../../db/unit.ts'
import type { FactorMethod, Factors } from '../parts.ts'

export interface FactorState {
  readonly hasTotp: boolean
  readonly passkeys: number
  readonly recoveryCodesLeft: number
}

export interface FactorRepository extends Factors {
  stateOf(accountId: string): Promise<FactorState>
  /** Whether a session of that account was opened, or raised, with more than one factor. */
  usedMfa(sessionId: string, accountId: string): Promise<boolean>
}

export const hasFactor = ({ hasTotp, passkeys }: FactorState): boolean => hasTotp || passkeys > 0

export const createFactorRepository = ({ reader }: Pick<Database, 'reader'>): FactorRepository => {
  const queries = compileReads(reader)
  const stateOf = async (accountId: string): Promise<FactorState> => {
    const [row] = (await reader.executeQuery<StateRow>(queries.state({ id: accountId }))).rows
    return { hasTotp: row?.totp === 1, passkeys: row?.passkeys ?? 0, recoveryCodesLeft: row?.codes ?? 0 }
  }
  return {
    stateOf,
    // A recovery code stands for a lost factor; where there is none it opens nothing.
    methods: async (accountId) => methodsOf(await stateOf(accountId)),
    usedMfa: async (sessionId, accountId) => {
      const [row] = (await reader.executeQuery<{ mfa: number }>(queries.session({ sessionId, accountId }))).rows
      return row?.mfa === 1
    },
  }
}

const methodsOf = ({ hasTotp, passkeys, recoveryCodesLeft }: FactorState): readonly FactorMethod[] => [
  ...(hasTotp ? (['totp'] as const) : []),
  ...(passkeys > 0 ? (['passkey'] as const) : []),
  ...((hasTotp || passkeys > 0) && recoveryCodesLeft > 0 ? (['recovery_code'] as const) : []),
]

/** For units of account changes. Each statement must touch one row unless it says otherwise. */
export interface FactorStatements {
  /** A secret that counts for nothing yet; conflicts where one is confirmed. */
  offerTotp(accountId: string, sealedSecret: string): Statement
  /** The one secret that was shown, and it alone; its code is spent with it. */
  confirmTotp(accountId: string, sealedSecret: string, step: number): Statement
  /** RFC 6238 section 5.2: a code is good once, and so is none before it. */
  useTotpStep(accountId: string, sealedSecret: string, step: number): Statement
  /** `keepOne`: conflicts where it is the last factor. */
  removeTotp(accountId: string, keepOne: boolean): Statement
  /** These codes instead of all others. */
  replaceRecoveryCodes(accountId: string, hashes: readonly string[]): Unit
  useRecoveryCode(accountId: string, hash: string): Statement
  /** Recovery codes of whom no factor is left; any number of rows. */
  dropSpareCodes(accountId: string): Statement
  /** A session in which a factor was just proven is one with more than one. */
  raiseSession(sessionId: string, accountId: string, methods: string): Statement
  /** A login that did not see the new factor, because both happen at once, opens nothing; nor do access tokens made before. */
  endTokens(accountId: string): Statement
  /** For somebody who lost them. With `sessions.endAll` in the same unit, nothing is left of them. */
  removeAll(accountId: string): Unit
}

const one = (query: CompiledQuery): Statement => statement(query, 1)

export const createFactorStatements = ({ reader }: Pick<Database, 'reader'>, epochMs: () => number): FactorStatements => {
  const queries = compileWrites(reader)
  const dropCodes = (id: string): Statement => statement(queries.dropCodes({ id }))
  return {
    offerTotp: (id, secret) => one(queries.offerTotp({ id, secret, at: epochMs() })),
    confirmTotp: (id, secret, step) => one(queries.confirmTotp({ id, secret, step, at: epochMs() })),
    useTotpStep: (id, secret, step) => one(queries.useTotpStep({ id, secret, step })),
    removeTotp: (id, keepOne) => one((keepOne ? queries.removeSpareTotp : queries.removeTotp)({ id, at: epochMs() })),
    replaceRecoveryCodes: (id, hashes) => [dropCodes(id), ...hashes.map((hash) => one(queries.addCode({ id, hash })))],
    useRecoveryCode: (id, hash) => one(queries.useCode({ id, hash, at: epochMs() })),
    dropSpareCodes: (id) => statement(queries.dropSpareCodes({ id })),
    raiseSession: (sessionId, id, methods) => one(queries.raiseSession({ sessionId, id, methods: ` ${methods}` })),
    endTokens: (id) => one(queries.endTokens({ id, at: epochMs() })),
    removeAll: (id) => [statement(queries.clearTotp({ id, at: epochMs() })), statement(queries.dropPasskeys({ id })), dropCodes(id)],
  }
}

interface StateRow {
  totp: number
  passkeys: number
  codes: number
}

type Id = { id: string }
type IdAt = { id: string; at: number }

const compileReads = (db: Kysely<Tables>) => ({
  state: template<Id>(['id'], ({ id }) =>
    db
      .selectFrom('account')
      .select([
        sql<number>`case when totp_confirmed_at is null then 0 else 1 end`.as('totp'),
        sql<number>`(select count(*) from passkey p where p.account_id = account.id)`.as('passkeys'),
        sql<number>`(select count(*) from recovery_code c where c.account_id = account.id and c.used_at is null)`.as('codes'),
      ])
      .where('id', '=', id),
  ),
  session: template<{ sessionId: string; accountId: string }>(['sessionId', 'accountId'], ({ sessionId, accountId }) =>
    db.selectFrom('session').select('mfa').where('id', '=', sessionId).where('account_id', '=', accountId),
  ),
})

const noTotp = { totp_secret: null, totp_confirmed_at: null, totp_step: null } as const

const compileWrites = (db: Kysely<Tables>) => {
  const account = db.updateTable('account')
  const live = (sessionId: string, id: string) =>
    db.updateTable('session').where('id', '=', sessionId).where('account_id', '=', id).where('revoked_at', 'is', null)
  return {
    ...compileCodes(db),
    offerTotp: template<IdAt & { secret: string }>(['id', 'secret', 'at'], ({ id, secret, at }) =>
      account.set({ totp_secret: secret, totp_step: null, updated_at: at }).where('id', '=', id).where('totp_confirmed_at', 'is', null),
    ),
    confirmTotp: template<IdAt & { secret: string; step: number }>(['id', 'secret', 'step', 'at'], ({ id, secret, step, at }) =>
      account
        .set({ totp_confirmed_at: at, totp_step: step, updated_at: at })
        .where('id', '=', id)
        .where('totp_secret', '=', secret)
        .where('totp_confirmed_at', 'is', null),
    ),
    useTotpStep: template<Id & { secret: string; step: number }>(['id', 'secret', 'step'], ({ id, secret, step }) =>
      account
        .set({ totp_step: step })
        .where('id', '=', id)
        .where('totp_secret', '=', secret)
        .where('totp_confirmed_at', 'is not', null)
        .where((e) => e.or([e('totp_step', 'is', null), e('totp_step', '<', step)])),
    ),
    removeTotp: template<IdAt>(['id', 'at'], ({ id, at }) =>
      account
        .set({ ...noTotp, updated_at: at })
        .where('id', '=', id)
        .where('totp_secret', 'is not', null),
    ),
    removeSpareTotp: template<IdAt>(['id', 'at'], ({ id, at }) =>
      account
        .set({ ...noTotp, updated_at: at })
        .where('id', '=', id)
        .where('totp_secret', 'is not', null)
        .where(sql<boolean>`(totp_confirmed_at is null or exists (select 1 from passkey p where p.account_id = account.id))`),
    ),
    clearTotp: template<IdAt>(['id', 'at'], ({ id, at }) => account.set({ ...noTotp, updated_at: at }).where('id', '=', id)),
    dropPasskeys: template<Id>(['id'], ({ id }) => db.deleteFrom('passkey').where('account_id', '=', id)),
    endTokens: template<IdAt>(['id', 'at'], ({ id, at }) =>
      account.set({ epoch: sql<number>`epoch + 1`, updated_at: at }).where('id', '=', id),
    ),
    raiseSession: template<Id & { sessionId: string; methods: string }>(['id', 'sessionId', 'methods'], ({ id, sessionId, methods }) =>
      live(sessionId, id).set({ mfa: 1, amr: sql<string>`case when mfa = 1 then amr else amr || cast(${methods} as text) end` }),
    ),
  }
}

const compileCodes = (db: Kysely<Tables>) => ({
  addCode: template<Id & { hash: string }>(['id', 'hash'], ({ id, hash }) =>
    db.insertInto('recovery_code').values({ account_id: id, hash, used_at: null }),
  ),
  dropCodes: template<Id>(['id'], ({ id }) => db.deleteFrom('recovery_code').where('account_id', '=', id)),
  dropSpareCodes: template<Id>(['id'], ({ id }) =>
    db
      .deleteFrom('recovery_code')
      .where('account_id', '=', id)
      .where(sql<boolean>`not exists (select 1 from account a where a.id = recovery_code.account_id and a.totp_confirmed_at is not null)`)
      .where(sql<boolean>`not exists (select 1 from passkey p where p.account_id = recovery_code.account_id)`),
  ),
  useCode: template<IdAt & { hash: string }>(['id', 'hash', 'at'], ({ id, hash, at }) =>
    db.updateTable('recovery_code').set({ used_at: at }).where('account_id', '=', id).where('hash', '=', hash).where('used_at', 'is', null),
  ),
})
