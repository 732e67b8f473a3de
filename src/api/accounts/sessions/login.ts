import type { FastifyReply, FastifyRequest } from 'fastify'

import { Problem } from '../../../core/errors.ts'
import type { Account } from '../accounts.ts'
import { demandOwnPage } from './browser-mode.ts'
import { factsOf } from '../caller.ts'
import { guarded, shutReason } from './login-failures.ts'
import type { AccountParts, MfaAnswer, TokenAnswer } from '../parts.ts'

export type LoginOptions = Pick<
  AccountParts,
  'accounts' | 'statements' | 'passwords' | 'failures' | 'sessions' | 'database' | 'observe' | 'publicOrigin' | 'triedOf'
>

export interface Login {
  readonly username: string
  readonly password: string
  readonly browser?: boolean
}

const refused = new Problem('unauthenticated', {
  detail: 'The username or the password is not right.',
})

/**
 * Whether there is such an account is told by nothing: the same questions to the database and to the limits, a hash of the same cost, the
 * same answer (OWASP ASVS 5.0 6.3.8).
 */
export const createLogin =
  (options: LoginOptions) =>
  async (request: FastifyRequest, reply: FastifyReply, login: Login): Promise<TokenAnswer | MfaAnswer> => {
    const { accounts, passwords, failures, sessions, observe, publicOrigin, triedOf } = options
    const { username, password, browser = false } = login
    // A page that logs its visitor in to somebody else's account would collect what the visitor does there.
    if (browser) demandOwnPage(request, publicOrigin)
    const account = await accounts.byUsername(username)
    const stored = account === undefined || account.disabledAt !== null ? null : account.passwordHash
    const { ok, rehash, isShut } = await guarded(failures, request, { username, account }, async (shut) => {
      const verified = await passwords.verify(password, stored, request)
      // Whoever learned that the password is right would come back when the decision is over.
      return { ...verified, ok: verified.ok && !shut, isShut: shut }
    })
    if (!ok || account === undefined) {
      observe({
        event: 'authn_login_fail',
        ...factsOf(request),
        reason: isShut ? shutReason : reasonOf(account),
        subject: account?.id ?? null,
        tried: triedOf(username),
      })
      throw refused
    }
    if (rehash !== undefined) await upgrade(options, account, rehash)
    const answer = await sessions.proceed(request, reply, account, { amr: ['pwd'], mfa: false, browser })
    if (answer === undefined) throw new Error('nothing was to be committed with the session, so nothing conflicted')
    return answer
  }

/** For the log alone. */
const reasonOf = (account: Account | undefined): string => {
  if (account === undefined) return 'unknown user'
  if (account.disabledAt !== null) return 'disabled account'
  return account.passwordHash === null ? 'account without a password' : 'wrong password'
}

/** The only moment at which the password is known. Whoever was faster has done the same; a store that cannot write fails the session, not this. */
const upgrade = async ({ database, statements }: LoginOptions, { id, passwordHash }: Account, rehash: string): Promise<void> => {
  if (passwordHash !== null) await database.commit([statements.upgradePassword(id, passwordHash, rehash)])
}
