import type { FastifyInstance } from 'fastify'

import type { FactorContext, FactorOptions, FactorParts } from './factor-changes.ts'
import { createFactorRepository, createFactorStatements } from './factors.ts'
import { mfaRoutes } from './mfa.ts'
import { passkeyLoginRoutes } from './passkey-login.ts'
import { createPasskeys } from './passkey-table.ts'
import { passkeyRoutes } from './passkeys.ts'
import { createPendingLogins } from './pending-logins.ts'
import { totpRoutes } from './totp.ts'

/** Second factors: an authenticator app, recovery codes, passkeys, and the second half of a login. */
export const factorRoutes = (server: FastifyInstance, parts: FactorParts, options: FactorOptions): void => {
  const { database, accounts, epochMs } = parts
  const context: FactorContext = {
    ...options,
    parts,
    repository: createFactorRepository(database),
    factors: createFactorStatements(database, epochMs),
    passkeys: createPasskeys(database, epochMs),
    pendingLogins: createPendingLogins(database, accounts, epochMs),
  }
  totpRoutes(server, context)
  passkeyRoutes(server, context)
  mfaRoutes(server, context)
  passkeyLoginRoutes(server, context)
}
