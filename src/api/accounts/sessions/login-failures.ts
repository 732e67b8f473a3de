import type { FastifyRequest } from 'fastify'

import { Problem } from '../../../core/errors.ts'
import type { Observe } from '../../../core/events.ts'
import type { Client } from '../../../core/request.ts'
import type { FailureLimit, Identity } from '../../../layers/index.ts'
import { guessesOf } from '../../limits/identities.ts'
import type { Account } from '../accounts.ts'
import type { KnownPlaces } from './known-places.ts'
import type { LoginFailures } from '../parts.ts'

export interface LoginFailuresOptions {
  /** `auth.login_failures`. */
  readonly clients: FailureLimit
  /** `auth.account_failures`. */
  readonly accounts: FailureLimit
  readonly places: KnownPlaces
  readonly observe: Observe
  /** Whether a decision is in force about an account; asked where it was never logged in to. Left out: there are none. */
  readonly isShut?: (accountId: string, request: FastifyRequest) => boolean
}

/**
 * Three counts of wrong guesses (OWASP ASVS 5.0 section 6.1.1). One machine meets that of its prefix, and of its prefix for one account, so
 * that an office shares the first and a slip of one of its people does not use up the second. A thousand machines meet that of the account,
 * which holds only where the account was never logged in to: its owner goes on at the usual place while strangers are refused.
 */
export const createLoginFailures = ({ clients, accounts, places, observe, isShut }: LoginFailuresOptions): LoginFailures => ({
  reserve: async (request, username, account) => {
    const isKnown = await places.isKnown(account?.id, request.client)
    const facts = { requestId: request.id, client: request.client.prefix }
    const giveBackClient = await told(clients.reserve(request, clientIdentities(request.client, username, isKnown)), () =>
      observe({ event: 'authn_login_fail_max', ...facts, limit: 'auth.login_failures' }),
    )
    if (isKnown) return { giveBack: giveBackClient, isShut: false }
    try {
      const giveBackAccount = await told(accounts.reserve(request, [{ id: `@${username}` }]), () => {
        observe({ event: 'authn_login_fail_max', ...facts, limit: 'auth.account_failures' })
        observe({ event: 'authn_login_lock', ...facts, subject: account?.id ?? 'nobody', reason: 'auth.account_failures' })
      })
      return {
        giveBack: async () => void (await Promise.all([giveBackClient(), giveBackAccount()])),
        isShut: account !== undefined && isShut?.(account.id, request) === true,
      }
    } catch (error) {
      // Nothing was looked at: that others guess this account takes nothing from who asks now.
      await giveBackClient()
      throw error
    }
  },
})

/**
 * An IPv6 site has as many prefixes as it likes, so all of it counts, too; but not at a known place, or whoever has another prefix of the same
 * network could lock its owner out. An IPv4 address is its own prefix.
 */
const clientIdentities = ({ address, prefix, network }: Client, username: string, isKnown: boolean): readonly Identity[] => [
  prefix === address || isKnown ? { id: prefix } : { id: prefix, wider: network },
  guessesOf(prefix, username),
]

/** For the log alone. */
export const shutReason = 'a decision about the account'

const told = async <T>(pending: Promise<T>, refused: () => void): Promise<T> => {
  try {
    return await pending
  } catch (error) {
    if (error instanceof Problem && error.code === 'quota_exceeded') refused()
    throw error
  }
}

/**
 * Looks at a guess while a failure for it is taken; what was not looked at (no room to hash, no database) is no failure. `look` is told
 * where the account is shut: then it does as much, and finds that the guess is wrong.
 */
export const guarded = async <T extends { readonly ok: boolean }>(
  failures: LoginFailures,
  request: FastifyRequest,
  who: { readonly username: string; readonly account: Account | undefined },
  look: (isShut: boolean) => Promise<T>,
): Promise<T> => {
  const { giveBack, isShut } = await failures.reserve(request, who.username, who.account)
  let looked: T
  try {
    looked = await look(isShut)
  } catch (error) {
    await giveBack()
    throw error
  }
  if (looked.ok) await giveBack()
  return looked
}
