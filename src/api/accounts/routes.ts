import type { FastifyInstance } from 'fastify'

import type { Cursors } from '../../credentials/cursor.ts'
import { claimRoute, type ClaimOptions } from './claim/claim.ts'
import type { FactorOptions } from './factors/factor-changes.ts'
import { factorRoutes } from './factors/factor-routes.ts'
import { jwksRoute } from './signing/jwks.ts'
import { type KeyRoutesOptions, keyRoutes } from './keys/keys-routes.ts'
import { type LoginRoutesOptions, loginRoutes } from './sessions/login-routes.ts'
import { meRoutes } from './users/me-routes.ts'
import type { AccountParts } from './parts.ts'
import { registerRoute } from './claim/register.ts'
import { sessionRoutes } from './sessions/session-routes.ts'
import type { SigningKeys } from './signing/signing-keys.ts'
import type { UserChanges } from './users/user-changes.ts'
import { userRoutes } from './users/users-routes.ts'

export type AccountRoutesOptions = AccountParts &
  ClaimOptions &
  LoginRoutesOptions &
  KeyRoutesOptions & {
    readonly users: UserChanges
    readonly cursors: Cursors
    readonly signingKeys: Pick<SigningKeys, 'jwks'>
    readonly secondFactors: FactorOptions
    readonly isRegistrationOpen: boolean
  }

/** Who somebody is, and how that is proven, in the order in which people meet it. */
export const accountRoutes = (server: FastifyInstance, options: AccountRoutesOptions): void => {
  claimRoute(server, options)
  registerRoute(server, { ...options, isOpen: options.isRegistrationOpen })
  loginRoutes(server, options)
  factorRoutes(server, options, options.secondFactors)
  sessionRoutes(server, options)
  meRoutes(server, options)
  keyRoutes(server, options)
  userRoutes(server, options)
  jwksRoute(server, options.signingKeys)
}
