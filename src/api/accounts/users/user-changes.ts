import type { Role } from '../../../core/access.ts'
import { bearerChallenge } from '../../../core/challenge.ts'
import { Problem } from '../../../core/errors.ts'
import { createAccountId } from '../../../credentials/ids.ts'
import type { Outcome, Statement, Unit } from '../../../db/unit.ts'
import type { AuditEntry } from '../../audit/trail.ts'
import { written } from '../../written.ts'
import type { Account, AccountRepository, AccountStatements } from '../accounts.ts'
import { type ApiKeyRepository, type ApiKeyStatements, starterSubject } from '../keys/api-keys.ts'
import type { AccountChanges } from '../changes.ts'
import type { Also } from '../parts.ts'

export interface UserChangesOptions {
  readonly accounts: AccountRepository
  readonly statements: AccountStatements
  readonly keys: Pick<ApiKeyRepository, 'oldestOf'>
  readonly keyStatements: Pick<ApiKeyStatements, 'revokeAll' | 'removeAll'>
  readonly changes: AccountChanges
  /** Statements that end the sessions of an account, and its logins that are half done. */
  readonly endSessions: (accountId: string) => Unit
  /** Statements that take away its second factors and passkeys. */
  readonly removeFactors: (accountId: string) => Unit
}

/** Who does it, as the audit trail has it. */
export interface By extends Pick<AuditEntry, 'actor' | 'requestId' | 'client'> {
  /** What must still be so when it is done: a password takes a while to hash, and meanwhile an admin may have become less. */
  readonly hold?: Statement
}

export interface UserChange {
  readonly role?: Role
  readonly disabled?: boolean
  readonly passwordHash?: string
  readonly removeFactors?: boolean
}

export type UserAction = 'user.role' | 'user.disable' | 'user.enable' | 'user.password' | 'user.remove_factors' | 'user.remove'

/** `last_admin`: nobody could administer any more. `stale`: somebody else changed it at the same moment. */
export type Refused = 'gone' | 'last_admin' | 'stale'

/** What others do to accounts, by the API and by the command line. */
export interface UserChanges {
  /** The id; undefined where the name is taken. */
  add(by: By, user: { username: string; role: Role; passwordHash: string }): Promise<string | undefined>
  /** All of it or nothing; what is so already is no change. Resolves with what was done. */
  change(by: By, account: Account, change: UserChange): Promise<readonly UserAction[] | Refused>
  /** Sessions, keys and factors go with it. */
  remove(by: By, account: Account): Promise<'removed' | Refused>
}

interface Step {
  readonly action: UserAction
  readonly unit: Unit
  readonly details?: AuditEntry['details']
}

export const createUserChanges = (options: UserChangesOptions): UserChanges => {
  const { accounts, statements, keys, keyStatements, changes } = options
  const stepsOf = createSteps(options)
  /** The starter key is for those who have nobody to ask for another one. */
  const endStarter = async (by: By): Promise<Also> => ({
    unit: [keyStatements.revokeAll(starterSubject)],
    entries: (await keys.oldestOf(starterSubject)) === undefined ? [] : [{ ...who(by), action: 'key.revoke_all', target: starterSubject }],
  })
  const commit = async ({ hold }: By, unit: Unit, entries: readonly AuditEntry[]): Promise<Outcome> => {
    if (hold === undefined) return changes.commit(unit, entries)
    const outcome = await changes.commit([hold, ...unit], entries)
    if (outcome.result === 'committed') return { ...outcome, rows: outcome.rows.slice(1) }
    if (outcome.result === 'unavailable') return outcome
    if (outcome.statement === 0) throw notAnyMore
    return { ...outcome, statement: outcome.statement - 1 }
  }
  const refusalOf = async ({ id }: Account, action: UserAction | undefined): Promise<Refused> => {
    const now = await accounts.byId(id)
    if (now === undefined) return 'gone'
    return isActiveAdmin(now) && leavesNoAdmin.has(action) ? 'last_admin' : 'stale'
  }
  return {
    add: async (by, { username, role, passwordHash }) => {
      const id = createAccountId()
      const entry = { ...who(by), action: 'user.create', target: id, details: { username, role } }
      const starter = role === 'admin' ? await endStarter(by) : nothing
      const unit = [statements.add({ id, username, role, passwordHash }), ...starter.unit]
      const outcome = await commit(by, unit, [entry, ...starter.entries])
      if (outcome.result === 'conflict') return undefined
      written(outcome)
      return id
    },
    change: async (by, account, change) => {
      const steps = stepsOf(account, change)
      if (steps.length === 0) return []
      const entries = steps.map(({ action, details = {} }) => ({ ...who(by), action, target: account.id, details }))
      const starter = change.role === 'admin' ? await endStarter(by) : nothing
      const unit = steps.flatMap((step) => step.unit)
      const outcome = await commit(by, [...unit, ...starter.unit], [...entries, ...starter.entries])
      if (outcome.result === 'conflict') return refusalOf(account, actionAt(steps, outcome.statement))
      written(outcome)
      return steps.map(({ action }) => action)
    },
    remove: async (by, account) => {
      const { id, username, role } = account
      const entry = { ...who(by), action: 'user.remove', target: id, details: { username, role } }
      const outcome = await commit(by, [statements.remove(id), keyStatements.removeAll(id)], [entry])
      if (outcome.result === 'conflict') return refusalOf(account, 'user.remove')
      written(outcome)
      return 'removed'
    },
  }
}

const who = ({ actor, requestId = null, client = null }: By): Pick<AuditEntry, 'actor' | 'requestId' | 'client'> => ({
  actor,
  requestId,
  client,
})

const notAnyMore = new Problem('unauthenticated', {
  detail: 'Your session has ended, or may not do this any more. Log in again.',
  headers: { 'www-authenticate': bearerChallenge({ error: 'invalid_token' }) },
})

const nothing: Also = { unit: [], entries: [] }

const leavesNoAdmin: ReadonlySet<UserAction | undefined> = new Set(['user.role', 'user.disable', 'user.remove'])

/** Which step a statement of the whole unit belongs to. */
const actionAt = (steps: readonly Step[], index: number): UserAction | undefined =>
  steps.flatMap(({ action, unit }) => unit.map(() => action))[index]

const isActiveAdmin = ({ role, disabledAt }: Account): boolean => role === 'admin' && disabledAt === null

const createSteps =
  ({ statements, keyStatements, endSessions, removeFactors }: UserChangesOptions) =>
  (account: Account, change: UserChange): readonly Step[] => {
    const { id } = account
    const steps: Step[] = []
    if (change.role !== undefined && change.role !== account.role) {
      const unit = [statements.setRole(id, change.role)]
      steps.push({ action: 'user.role', unit, details: { from: account.role, to: change.role } })
    }
    if (change.disabled === true && account.disabledAt === null) {
      // For good: whoever comes back is not to find open what made somebody close it.
      const unit = [statements.setDisabled(id, true), ...endSessions(id), keyStatements.revokeAll(id)]
      steps.push({ action: 'user.disable', unit })
    }
    if (change.disabled === false && account.disabledAt !== null)
      steps.push({ action: 'user.enable', unit: [statements.setDisabled(id, false)] })
    if (change.passwordHash !== undefined) {
      const unit = [statements.setPassword(id, account.passwordHash, change.passwordHash), ...endSessions(id)]
      steps.push({ action: 'user.password', unit })
    }
    if (change.removeFactors === true) steps.push({ action: 'user.remove_factors', unit: [...removeFactors(id), ...endSessions(id)] })
    return steps
  }
