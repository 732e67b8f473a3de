import type { Kysely } from 'kysely'

import { hashOpaqueToken } from '../../../credentials/opaque-token.ts'
import type { Database } from '../../../db/open.ts'
import type { Tables } from '../../../db/tables.ts'
import { type Statement, statement, template } from '../../../db/unit.ts'
import type { Account, AccountRepository } from '../accounts.ts'

/** Codes that may be tried for one login (OWASP ASVS 5.0 6.6.3). */
const maxAttempts = 5

/** A login whose first factor was right. */
export interface PendingLogin {
  readonly hash: string
  readonly account: Account
  readonly amr: readonly string[]
  readonly browser: boolean
  /** Of WebAuthn, where one was asked for. */
  readonly challenge: string | null
}

export interface PendingLogins {
  /** Undefined for a token that is unknown, over, finished or tried too often, or whose account may not log in. */
  find(token: string): Promise<PendingLogin | undefined>
  /** One attempt more, by compare and swap before the code is looked at: not even at once is there a sixth. A passkey's takes its challenge. */
  countAttempt(pending: PendingLogin, challenge?: string): Statement
  setChallenge(pending: PendingLogin, challenge: string): Statement
  /** Of two that finish the same login, one does. */
  finish(pending: PendingLogin): Statement
}

export const createPendingLogins = (
  { reader }: Pick<Database, 'reader'>,
  accounts: AccountRepository,
  epochMs: () => number,
): PendingLogins => {
  const queries = compileQueries(reader)
  return {
    find: async (token) => {
      const hash = hashOpaqueToken('fgm', token)
      if (hash === undefined) return undefined
      const [row] = (await reader.executeQuery<PendingRow>(queries.find({ hash, at: epochMs() }))).rows
      const account = row && (await accounts.byId(row.account_id))
      if (!row || account === undefined || account.disabledAt !== null) return undefined
      return { hash, account, amr: row.amr.split(' '), browser: row.browser === 1, challenge: row.challenge }
    },
    countAttempt: ({ hash }, challenge) => {
      const at = epochMs()
      return statement(challenge === undefined ? queries.countAttempt({ hash, at }) : queries.spendChallenge({ hash, challenge, at }), 1)
    },
    setChallenge: ({ hash }, challenge) => statement(queries.setChallenge({ hash, challenge, at: epochMs() }), 1),
    finish: ({ hash }) => statement(queries.finish({ hash, at: epochMs() }), 1),
  }
}

interface PendingRow {
  account_id: string
  amr: string
  browser: number
  challenge: string | null
}

type HashAt = { hash: string; at: number }
type HashChallengeAt = HashAt & { challenge: string }

const compileQueries = (db: Kysely<Tables>) => {
  const live = (hash: string, at: number) =>
    db.updateTable('pending_login').where('hash', '=', hash).where('finished_at', 'is', null).where('expires_at', '>', at)
  return {
    find: template<HashAt>(['hash', 'at'], ({ hash, at }) =>
      db
        .selectFrom('pending_login')
        .select(['account_id', 'amr', 'browser', 'challenge'])
        .where('hash', '=', hash)
        .where('finished_at', 'is', null)
        .where('attempts', '<', maxAttempts)
        .where('expires_at', '>', at),
    ),
    countAttempt: template<HashAt>(['hash', 'at'], ({ hash, at }) =>
      live(hash, at)
        .where('attempts', '<', maxAttempts)
        .set((e) => ({ attempts: e('attempts', '+', 1) })),
    ),
    spendChallenge: template<HashChallengeAt>(['hash', 'challenge', 'at'], ({ hash, challenge, at }) =>
      live(hash, at)
        .where('attempts', '<', maxAttempts)
        .where('challenge', '=', challenge)
        .set((e) => ({ attempts: e('attempts', '+', 1), challenge: null })),
    ),
    setChallenge: template<HashChallengeAt>(['hash', 'challenge', 'at'], ({ hash, challenge, at }) => live(hash, at).set({ challenge })),
    finish: template<HashAt>(['hash', 'at'], ({ hash, at }) => live(hash, at).set({ finished_at: at })),
  }
}
