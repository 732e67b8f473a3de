import { randomBytes } from 'node:crypto'

import { createLocalJWKSet, jwtVerify } from 'jose'

import { openSigningKeys, type SigningKeys, type SigningKeysOptions } from '../../src/api/accounts/signing/signing-keys.ts'
import { createAuditTrail } from '../../src/api/audit/trail.ts'
import type { Database } from '../../src/db/open.ts'
import { createManualClock, type ManualClock } from './manual-clock.ts'
import { decode } from './token-forge.ts'

export const minute = 60_000
export const hour = 60 * minute
export const day = 24 * hour
export const startMs = 1_790_000_000_000
export const sealingKey = randomBytes(32)

export type Options = Partial<SigningKeysOptions> & { readonly clock?: ManualClock }

export const openKeys = (database: Database, { clock = createManualClock(startMs), ...more }: Options = {}): Promise<SigningKeys> => {
  const trail = createAuditTrail(database, clock.epochMs, Buffer.alloc(32))
  const names = { issuer: 'urn:filmgate:test', audience: 'urn:filmgate:films' }
  return openSigningKeys({ database, trail, clock, timers: clock, sealingKey, ttlMs: 5 * minute, ...names, ...more })
}

export const issue = async ({ issuer }: SigningKeys, clock: ManualClock): Promise<string> => {
  const authenticatedAt = clock.epochMs()
  const facts = { subject: 'u1', sessionId: 's1', epoch: 0, authenticatedAt, notAfter: authenticatedAt + day, amr: ['pwd'] }
  return (await issuer.issue({ ...facts, role: 'viewer' })).token
}

export const kidOf = (token: string): string => String(decode(token, 0)['kid'])
export const kids = async (keys: SigningKeys): Promise<string[]> => (await keys.jwks()).keys.map(({ kid }) => kid)
export const rows = ({ reader }: Database) => reader.selectFrom('signing_key').selectAll().orderBy('generation').execute()

/** As somebody does it who has nothing but the published keys (RFC 7519, RFC 9068). */
export const verifiesByJwks = async (keys: SigningKeys, token: string, clock: ManualClock): Promise<boolean> => {
  const set = createLocalJWKSet({ keys: [...(await keys.jwks()).keys] })
  const rules = { issuer: 'urn:filmgate:test', audience: 'urn:filmgate:films', typ: 'at+jwt', algorithms: ['ES256'] }
  return jwtVerify(token, set, { ...rules, currentDate: new Date(clock.epochMs()) }).then(
    () => true,
    () => false,
  )
}

/** How often the database is read from now on. */
export const countReads = ({ reader }: Database): { readonly reads: number } => {
  const counted = { reads: 0 }
  const run = reader.executeQuery.bind(reader)
  Object.assign(reader, {
    executeQuery: (...args: Parameters<typeof run>) => {
      counted.reads++
      return run(...args)
    },
  })
  return counted
}
