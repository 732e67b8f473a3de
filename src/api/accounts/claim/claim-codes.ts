import { createClaimCode } from '../../../credentials/claim-code.ts'
import type { Database } from '../../../db/open.ts'
import { type Statement, statement, template } from '../../../db/unit.ts'
import { written } from '../../written.ts'

const lifetimeMs = 15 * 60_000

export interface ClaimCodes {
  /** A new code, which is told to whoever starts the server and stored as its hash. Codes of other instances that still hold stay. */
  issue(): Promise<{ readonly code: string; readonly expiresAt: number }>
  /** Whether it was issued, is not used and has not expired. */
  isGood(hash: string): Promise<boolean>
  /** Conflicts where it is not good, any more. */
  use(hash: string): Statement
}

export const createClaimCodes = ({ reader, commit }: Pick<Database, 'reader' | 'commit'>, epochMs: () => number): ClaimCodes => {
  const queries = compileQueries(reader)
  return {
    issue: async () => {
      const { code, hash } = createClaimCode()
      const now = epochMs()
      const expiresAt = now + lifetimeMs
      written(await commit([statement(queries.clear({ now })), statement(queries.add({ hash, expiresAt }), 1)]))
      return { code, expiresAt }
    },
    isGood: async (hash) => (await reader.executeQuery(queries.good({ hash, now: epochMs() }))).rows.length === 1,
    use: (hash) => statement(queries.use({ hash, now: epochMs() }), 1),
  }
}

const compileQueries = (db: Database['reader']) => ({
  clear: template<{ now: number }>(['now'], ({ now }) =>
    db.deleteFrom('claim_code').where((e) => e.or([e('expires_at', '<=', now), e('used_at', 'is not', null)])),
  ),
  add: template<{ hash: string; expiresAt: number }>(['hash', 'expiresAt'], ({ hash, expiresAt }) =>
    db.insertInto('claim_code').values({ hash, expires_at: expiresAt, used_at: null }),
  ),
  good: template<{ hash: string; now: number }>(['hash', 'now'], ({ hash, now }) =>
    db.selectFrom('claim_code').select('hash').where('hash', '=', hash).where('used_at', 'is', null).where('expires_at', '>', now),
  ),
  use: template<{ hash: string; now: number }>(['hash', 'now'], ({ hash, now }) =>
    db.updateTable('claim_code').set({ used_at: now }).where('hash', '=', hash).where('used_at', 'is', null).where('expires_at', '>', now),
  ),
})
