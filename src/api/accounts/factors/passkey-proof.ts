import type { Unit } from '../../../db/unit.ts'
import type { FactorContext } from './factor-changes.ts'
import type { Assertion } from './factor-schema.ts'
import type { Passkey } from './passkey-table.ts'
import { type IsChallenge, type RelyingParty, verifyAssertion } from './webauthn.ts'

export interface Asserted {
  readonly credential: Assertion
  readonly party: RelyingParty
  readonly stored: Passkey
  readonly isChallenge: IsChallenge
}

export type PasskeyProof =
  | { readonly ok: true; readonly amr: readonly string[]; readonly unit: Unit }
  | { readonly ok: false; readonly reason: string }

/** An assertion of a passkey that we know, with the statement that moves its counter. */
export const provePasskey = async (
  { passkeys }: FactorContext,
  { credential, party, stored, isChallenge }: Asserted,
): Promise<PasskeyProof> => {
  const { userHandle } = credential.response
  // Section 7.2, step 6: the authenticator says whose it is, and that must be who we know it as.
  if (typeof userHandle === 'string' && userHandle !== userHandleOf(stored.accountId))
    return { ok: false, reason: 'passkey of another user' }
  const used = await verifyAssertion(credential, party, isChallenge, stored)
  if (used === undefined) return { ok: false, reason: 'passkey not verified' }
  const { counter, amr } = used
  // Section 6.1.1: of two authenticators with one key, one is behind.
  if ((counter > 0 || stored.counter > 0) && counter <= stored.counter) return { ok: false, reason: 'passkey counter went back: a copy?' }
  return { ok: true, amr, unit: [passkeys.use(stored, counter)] }
}

/** What a passkey says whose it is (section 14.6.1): nothing about the person. */
export const userHandleOf = (accountId: string): string => Buffer.from(accountId).toString('base64url')
