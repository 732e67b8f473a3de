import type { FastifyPluginCallback, RouteOptions } from 'fastify'

import { type Access, isAccess } from '../core/access.ts'
import { Problem } from '../core/errors.ts'
import type { Observe } from '../core/events.ts'
import { wholeServer } from '../core/plugin.ts'
import type { Principal } from '../core/request.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Who may call the route. Every route must say; the start fails where one does not. */
    access?: Access
  }
}

export interface AuthorizationOptions {
  readonly observe: Observe
  readonly principalOf: (request: { readonly principal?: Principal | null }) => Principal | null
}

/** Step 8, second half: closed by default. A route without `access` is a programming error that must not reach a client. */
export const authorization: FastifyPluginCallback<AuthorizationOptions> = wholeServer('authorization', (app, options, done) => {
  app.addHook('onRoute', requireAccess)
  app.addHook('onRequest', (request, _reply, next) => {
    // Only the 404 handler has no declared access; it does nothing that could be protected.
    const access = request.is404 ? 'public' : request.routeOptions.config.access
    if (access === 'public') {
      next()
      return
    }
    const principal = options.principalOf(request)
    if (principal === null) {
      next(new Problem('unauthenticated', { detail: 'Send "Authorization: Bearer" with an API key.', headers: { 'www-authenticate': 'Bearer realm="filmgate"' } }))
    } else if (access === 'authenticated' || (access !== undefined && principal.permissions.has(access))) next()
    else {
      options.observe({ event: 'authz_fail', requestId: request.id, client: request.client?.prefix ?? null, subject: principal.subject, permission: access ?? 'none' })
      next(new Problem('forbidden', { detail: 'These credentials do not allow this.' }))
    }
  })
  done()
})

const requireAccess = (route: RouteOptions): void => {
  if (isAccess(route.config?.access)) return
  throw new Error(`route ${String(route.method)} ${route.url} declares no access: set config.access to 'public', 'authenticated' or a permission`)
}
