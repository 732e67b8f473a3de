import { type Account, type AccountRepository, createAccountRepository, createAccountStatements } from '../api/accounts/accounts.ts'
import {
  type ApiKeyRepository,
  type ApiKeyStatements,
  createApiKeyRepository,
  createApiKeyStatements,
} from '../api/accounts/keys/api-keys.ts'
import { type AccountChanges, createAccountChanges } from '../api/accounts/changes.ts'
import { createFactorRepository, createFactorStatements } from '../api/accounts/factors/factors.ts'
import type { Factors } from '../api/accounts/parts.ts'
import { createSessionStatements } from '../api/accounts/sessions/session-statements.ts'
import { type By, createUserChanges, type Refused, type UserChanges } from '../api/accounts/users/user-changes.ts'
import type { Config } from '../config.ts'
import { systemClock } from '../core/clock.ts'
import { sessionTimes } from '../serve/accounts.ts'
import { openInstallation } from './open-installation.ts'

/** The accounts of an installation, beside a server that may be running: it hears of each change within a second. */
export interface OpenAccounts extends AsyncDisposable {
  readonly accounts: AccountRepository
  readonly factors: Factors
  readonly keys: ApiKeyRepository
  readonly keyStatements: ApiKeyStatements
  readonly changes: AccountChanges
  readonly users: UserChanges
  readonly epochMs: () => number
}

/** Whoever can write the data folder, or the database, needs no account: who it was, the system's own records say. */
export const byCli: By = { actor: 'cli' }

export const openAccounts = async (config: Config): Promise<OpenAccounts> => {
  const { epochMs } = systemClock
  const { database, trail, [Symbol.asyncDispose]: close } = await openInstallation(config)
  const accounts = createAccountRepository(database)
  const changes = createAccountChanges(database.channel, trail)
  const keyStatements = createApiKeyStatements(database, epochMs)
  const keys = createApiKeyRepository(database, epochMs)
  const sessions = createSessionStatements(database, sessionTimes(config, epochMs))
  const factors = createFactorStatements(database, epochMs)
  const users = createUserChanges({
    accounts,
    changes,
    keys,
    keyStatements,
    statements: createAccountStatements(database, epochMs),
    endSessions: (id) => sessions.endAll(id),
    removeFactors: (id) => factors.removeAll(id),
  })
  return {
    accounts,
    changes,
    keyStatements,
    users,
    epochMs,
    factors: createFactorRepository(database),
    keys,
    [Symbol.asyncDispose]: close,
  }
}

/** Throws where nobody has that name. */
export const accountNamed = async ({ accounts }: OpenAccounts, name: string): Promise<Account> => {
  const account = await accounts.byUsername(name)
  if (account === undefined) throw new Error(`there is no user ${JSON.stringify(name)}: filmgate user list shows all`)
  return account
}

const refusals: Readonly<Record<Refused, string>> = {
  gone: 'the user was removed at this moment',
  last_admin: 'this is the last admin, and nobody could administer any more: make another one first',
  stale: 'the user was changed at this moment: look at it again',
}

/** What was done; throws where it was refused. */
export const done = <T>(result: T | Refused): T => {
  if (isRefused(result)) throw new Error(refusals[result])
  return result
}

const isRefused = (result: unknown): result is Refused => typeof result === 'string' && Object.hasOwn(refusals, result)
