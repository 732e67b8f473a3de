import { deriveSecret, formatApiKey, hashSecret } from '../credentials/api-key.ts'
import type { MasterKey } from '../credentials/master-key.ts'
import type { KeyLookup } from '../layers/index.ts'

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

/** Knows the operator's keys of now, of the period before and, where clocks differ, of the next, besides those of the database. */
export const createOperatorLookup = (masterKey: MasterKey, epochMs: () => number, lookupKey: KeyLookup): KeyLookup => {
  const permissions = new Set(['security:read', 'security:write'] as const)
  return (id) => {
    if (!id.startsWith(idStart)) return lookupKey(id)
    const now = periodOf(epochMs())
    const key = [now, now - 1, now + 1].map((period) => ({ period, ...keyOf(masterKey, period) })).find((one) => one.id === id)
    if (key === undefined) return lookupKey(id)
    const principal = { subject: 'operator', credential: `key:${id}`, permissions }
    return Promise.resolve({ secretHash: hashSecret(key.secret), principal, expiresAt: (key.period + 2) * periodMs })
  }
}
