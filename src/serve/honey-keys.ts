import { type ApiKey, deriveSecret, formatApiKey } from '../credentials/api-key.ts'
import type { MasterKey } from '../credentials/master-key.ts'
import type { CredentialOptions } from './accounts.ts'

/** Enough to lay one in each place where a leak would matter. */
export const maxHoneyKeys = 16

/**
 * Keys that open nothing. They look like any other and are laid where nobody has a reason to be: in a backup, a private repository, a mailbox.
 * Whoever uses one has been there. They follow from the master key, so every instance knows them and nothing is stored. Numbers from 1.
 */
export const honeyKey = (masterKey: MasterKey, number: number): string => formatApiKey(keyOf(masterKey, number))

const keyOf = (masterKey: MasterKey, number: number): ApiKey => {
  const material = masterKey.derive('honey')
  return { id: deriveSecret(material, `id ${number}`).slice(0, 12), secret: deriveSecret(material, `secret ${number}`) }
}

/** Asks what is known of the key as for any other, so that the answer, and its time, are those for a key that is unknown. */
export const withHoneyKeys = (masterKey: MasterKey, others: CredentialOptions): CredentialOptions => {
  const ids = new Set(Array.from({ length: maxHoneyKeys }, (_, i) => keyOf(masterKey, i + 1).id))
  return { ...others, lookupKey: async (id) => (await others.lookupKey?.(id)) ?? (ids.has(id) ? 'honey_key' : undefined) }
}
