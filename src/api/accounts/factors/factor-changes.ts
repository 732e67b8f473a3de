import type { FastifyRequest } from 'fastify'

import type { Role } from '../../../core/access.ts'
import { strongerLogin } from '../../../core/challenge.ts'
import { Problem } from '../../../core/errors.ts'
import type { Unit } from '../../../db/unit.ts'
import type { AuditEntry } from '../../audit/trail.ts'
import { written } from '../../written.ts'
import type { Account } from '../accounts.ts'
import { factsOf, sessionOf } from '../caller.ts'
import { type FactorRepository, type FactorState, type FactorStatements, hasFactor } from './factors.ts'
import type { AccountParts } from '../parts.ts'
import type { Passkeys } from './passkey-table.ts'
import type { PendingLogins } from './pending-logins.ts'
import { accountChanged } from '../sessions/session-answers.ts'

export interface FactorOptions {
  /** The master key's label `sealing`. */
  readonly sealingKey: Buffer
  /** The master key's label `challenges`. */
  readonly challengeKey: Buffer
  /** `auth.require_mfa_for`. */
  readonly requireMfaFor: readonly Role[]
}

export type FactorParts = Pick<
  AccountParts,
  'database' | 'epochMs' | 'observe' | 'accounts' | 'changes' | 'failures' | 'sessions' | 'publicOrigin'
>

export interface FactorContext extends FactorOptions {
  readonly parts: FactorParts
  readonly repository: FactorRepository
  readonly factors: FactorStatements
  readonly passkeys: Passkeys
  readonly pendingLogins: PendingLogins
}

/** Somebody who changes factors of their own. */
export interface Owner {
  readonly account: Account
  readonly sessionId: string
  readonly state: FactorState
  /** The role needs a second factor: the last one stays. */
  readonly mustKeepOne: boolean
}

export interface FactorChange {
  /** Statements whose conflict says that something is no longer as it was. */
  readonly unit: Unit
  readonly action: string
  readonly details?: AuditEntry['details']
  /** What a conflict of `unit` is to the client. */
  readonly conflict?: Problem
}

export interface FactorChanges {
  /** Whose session this is, once it has used a second factor where there is one (OWASP ASVS 5.0 7.5.1). */
  readonly ownerOf: (request: FastifyRequest) => Promise<Owner>
  /** Commits it, audited, and ends all other sessions of the account. */
  readonly commit: (request: FastifyRequest, owner: Owner, change: FactorChange) => Promise<void>
}

const changedMeanwhile = new Problem('conflict', { detail: 'The account was changed meanwhile. Look at it, and try again.' })

/** Of an account whose role needs one. */
export const lastFactor = new Problem('conflict', {
  detail: 'Your role needs a second factor, and this is the last one. Add another first.',
})

const needsFactor = new Problem('unauthenticated', {
  detail: 'This session was opened without the second factor of its account. Log in again with it.',
  headers: {
    'www-authenticate': strongerLogin('A second factor is needed', 300),
    vary: 'Authorization',
  },
})

export const createFactorChanges = ({ parts, repository, requireMfaFor }: FactorContext): FactorChanges => ({
  ownerOf: async (request) => {
    const { accountId, sessionId } = sessionOf(request)
    const [account, state] = await Promise.all([parts.accounts.byId(accountId), repository.stateOf(accountId)])
    if (account === undefined) throw changedMeanwhile
    if (hasFactor(state) && !(await repository.usedMfa(sessionId, accountId))) throw needsFactor
    return { account, sessionId, state, mustKeepOne: requireMfaFor.includes(account.role) }
  },
  commit: async (request, { account: { id }, sessionId }, { unit, action, details = {}, conflict = changedMeanwhile }) => {
    const facts = factsOf(request)
    // First: what `ownerOf` saw of the session holds no more where another session has added a factor meanwhile, which ended this one.
    const all = [parts.sessions.hold(sessionId), ...unit, ...parts.sessions.endAll(id, sessionId)]
    const outcome = await parts.changes.commit(all, [{ actor: id, action, target: id, details, ...facts }])
    if (outcome.result === 'conflict' && outcome.statement === 0) throw accountChanged
    if (outcome.result === 'conflict' && outcome.statement <= unit.length) throw conflict
    written(outcome)
    parts.observe({ event: 'authz_change', ...facts, subject: id, by: id, change: action })
  },
})
