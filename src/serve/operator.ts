import { deriveSecret, formatApiKey, hashSecret } from '../credentials/api-key.ts'
import type { MasterKey } from '../credentials/master-key.ts'
import type { AuthenticationOptions } from '../layers/index.ts'

type LookupKey = AuthenticationOptions['lookupKey']

/** No key that is made can have it: those are random. */
const operatorId = 'operator0cli'

/**
 * The key with which the command line speaks to a running server. It follows from the master key, so whoever can read that needs no other,
 * and nobody else has it; it is stored nowhere.
 */
export const operatorKey = (masterKey: MasterKey): string => formatApiKey({ id: operatorId, secret: operatorSecret(masterKey) })

const operatorSecret = (masterKey: MasterKey): string => deriveSecret(masterKey.derive('operator'), operatorId)

/** Knows the operator's key besides those of the database. */
export const createOperatorLookup = (masterKey: MasterKey, lookupKey: LookupKey): LookupKey => {
  const secretHash = hashSecret(operatorSecret(masterKey))
  const permissions = new Set(['security:read', 'security:write'] as const)
  const operator = { secretHash, principal: { subject: 'operator', credential: `key:${operatorId}`, permissions } }
  return (id) => (id === operatorId ? Promise.resolve(operator) : lookupKey(id))
}
