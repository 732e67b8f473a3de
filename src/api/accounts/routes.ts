import type { FastifyInstance } from 'fastify'

import type { Cursors } from '../../credentials/cursor.ts'
import { claimRoute, type ClaimOptions } from './claim.ts'
import type { FactorOptions } from './factor-changes.ts'
import { factorRoutes } from './factor-routes.ts'
import { jwksRoute } from './jwks.ts'
import { type KeyRoutesOptions, keyRoutes } from './keys-routes.ts'
import { type LoginRoutesOptions, loginRoutes } from './login-routes.ts'
import { meRoutes } from './me-routes.ts'
import type { AccountParts } from './parts.ts'
import { registerRoute } from './register.ts'
import { sessionRoutes } from './session-routes.ts'
import type { SigningKeys } from './signing-keys.ts'
import type { UserChanges } from './user-changes.ts'
import { userRoutes } from './users-routes.ts'

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
