import type { FastifyPluginCallback, FastifyRequest, onRequestHookHandler, RouteOptions } from 'fastify'

import { type Access, isAccess, type Permission } from '../core/access.ts'
import type { Clock } from '../core/clock.ts'
import { bearerChallenge, strongerLogin } from '../core/challenge.ts'
import { Problem } from '../core/errors.ts'
import type { Observe } from '../core/events.ts'
import { wholeServer } from '../core/plugin.ts'
import { type Principal, sessionIdOf } from '../core/request.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Who may call the route. Every route must say; the start fails where one does not. */
    access?: Access
    /** Only for those who proved who they are just now (OWASP ASVS 5.0 7.5.1): whoever finds an open browser cannot take the account over. */
    freshLogin?: true
    /** Only in a session of this server: no API key, which is for programs, and no token of another issuer (OWASP ASVS 5.0 7.2.2). */
    sessionOnly?: true
  }
}

export interface AuthorizationOptions {
  readonly observe: Observe
  readonly clock: Pick<Clock, 'epochMs'>
  /** What everybody may do, known or not. */
  readonly publicPermissions: ReadonlySet<Permission>
  /** How long a login is fresh; default 300 s. */
  readonly freshForMs?: number
}

/** Step 8, second half: closed by default. A route without `access` is a programming error that must not reach a client. */
export const authorization: FastifyPluginCallback<AuthorizationOptions> = wholeServer('authorization', (app, options, done) => {
  const { publicPermissions, freshForMs = 300_000 } = options
  app.addHook('onRoute', (route) => {
    const access = requiredAccess(route)
    const { freshLogin = false, sessionOnly = false } = route.config ?? {}
    const isOpen = access === 'public' || publicPermissions.has(access as Permission)
    if (isOpen && (freshLogin || sessionOnly))
      throw new Error(`route ${String(route.method)} ${route.url} is open: nobody has to log in for it`)
    if (isOpen) return
    const guards = [
      createGuard(access, options),
      ...(sessionOnly ? [createSessionGuard(options)] : []),
      ...(freshLogin ? [createFreshGuard(freshForMs, options)] : []),
    ]
    route.onRequest = [route.onRequest ?? [], guards].flat()
    // Where a body may be held back until after a revocation, the authentication layer asks again who it is when all of it has come.
    if (![route.method].flat().every((method) => method === 'GET' || method === 'HEAD'))
      route.preHandler = [guards, route.preHandler ?? []].flat()
  })
  done()
})

const principalOf = (request: FastifyRequest): Principal | null => (request as { principal?: Principal | null }).principal ?? null

/** A hook of each guarded route alone, so that public routes pay nothing. */
const createGuard = (access: Exclude<Access, 'public'>, { observe }: AuthorizationOptions): onRequestHookHandler => {
  const lacking = new Problem('forbidden', {
    detail: `These credentials do not carry the permission ${access}.`,
    // RFC 6750 section 3.1.
    headers: { 'www-authenticate': bearerChallenge({ error: 'insufficient_scope', scope: access }) },
  })
  return (request, _reply, next) => {
    const principal = principalOf(request)
    if (principal === null) next(anonymous)
    else if (access === 'authenticated' || principal.permissions.has(access)) next()
    else {
      refused(request, principal, access, observe)
      next(lacking)
    }
  }
}

const noSession = new Problem('forbidden', {
  detail: 'This needs a login here: an API key, or the token of another issuer, speaks for no account itself.',
})

/** Behind the first guard, so that there is a principal. A key that leaked must not make others that outlive it, nor change its account. */
const createSessionGuard =
  ({ observe }: AuthorizationOptions): onRequestHookHandler =>
  (request, _reply, next) => {
    const principal = principalOf(request)
    if (sessionIdOf(principal) !== undefined) return next()
    if (principal !== null) refused(request, principal, 'a session', observe)
    return next(noSession)
  }

/** Behind the first guard, too. An API key proves nothing about who holds it now: it is never fresh. */
const createFreshGuard = (freshForMs: number, { observe, clock }: AuthorizationOptions): onRequestHookHandler => {
  const stale = new Problem('unauthenticated', {
    detail: `This needs a login at most ${freshForMs / 60_000} minutes ago: log in again and repeat it with the new token.`,
    headers: {
      'www-authenticate': strongerLogin('A more recent login is required', freshForMs / 1000),
      vary: 'Authorization',
    },
  })
  return (request, _reply, next) => {
    const principal = principalOf(request)
    const ageMs = clock.epochMs() - (principal?.authenticatedAt ?? -Infinity)
    if (ageMs <= freshForMs) return next()
    if (principal !== null) refused(request, principal, 'a fresh login', observe)
    return next(stale)
  }
}

const refused = (request: FastifyRequest, { subject }: Principal, permission: string, observe: Observe): void =>
  observe({ event: 'authz_fail', requestId: request.id, client: request.client?.prefix ?? null, subject, permission })

const anonymous = new Problem('unauthenticated', {
  detail: 'Send "Authorization: Bearer" with an access token or an API key.',
  headers: { vary: 'Authorization' },
})

const requiredAccess = ({ method, url, config }: RouteOptions): Access => {
  if (isAccess(config?.access)) return config.access
  throw new Error(`route ${String(method)} ${url} declares no access: set config.access to 'public', 'authenticated' or a permission`)
}
