import { deriveSecret, formatApiKey, hashSecret } from '../credentials/api-key.ts'
import type { MasterKey } from '../credentials/master-key.ts'
import type { KeyLookup } from '../layers/index.ts'
import type { CredentialOptions } from './accounts.ts'

/** No key that is made can begin so: those are random, and 2^47 of them are as likely. */
const idStart = 'operator'
const periodMs = 300_000
const idPeriods = 36 ** 4

/**
 * The key with which the command line speaks to a running server. It follows from the master key, so whoever can read that needs no other,
 * and nobody else has it; it is stored nowhere. It is good for five to ten minutes: whoever listens in the server's place while that is
 * down learns one that soon is worth nothing.
 */
export const operatorKey = (masterKey: MasterKey, epochMs: number): string => formatApiKey(keyOf(masterKey, periodOf(epochMs)))

const periodOf = (epochMs: number): number => Math.floor(epochMs / periodMs)

const keyOf = (masterKey: MasterKey, period: number) => {
  const id = idStart + (period % idPeriods).toString(36).padStart(4, '0')
  return { id, secret: deriveSecret(masterKey.derive('operator'), `${id} ${period}`) }
}

/** Knows the operator's keys of now, of the period before and, where clocks differ, of the next, besides what else is known of credentials. */
export const withOperator = (masterKey: MasterKey, epochMs: () => number, others: CredentialOptions): CredentialOptions => {
  const permissions = new Set(['security:read', 'security:write'] as const)
  const lookup: KeyLookup = async (id) => {
    if (!id.startsWith(idStart)) return undefined
    const now = periodOf(epochMs())
    const period = [now, now - 1, now + 1].find((one) => keyOf(masterKey, one).id === id)
    if (period === undefined) return undefined
    const principal = { subject: 'operator', credential: `key:${id}`, permissions }
    // Where clocks differ it may be of the next period; in that and the one after it, it is known.
    return { secretHash: hashSecret(keyOf(masterKey, period).secret), principal, expiresAt: (period + 2) * periodMs }
  }
  return { ...others, lookupKey: async (id) => (await lookup(id)) ?? others.lookupKey?.(id) }
}
