import type { FastifyPluginCallback, onRequestHookHandler, RouteOptions } from 'fastify'

import { type Access, isAccess, type Permission } from '../core/access.ts'
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
  /** What everybody may do, known or not. */
  readonly publicPermissions: ReadonlySet<Permission>
}

/** Step 8, second half: closed by default. A route without `access` is a programming error that must not reach a client. */
export const authorization: FastifyPluginCallback<AuthorizationOptions> = wholeServer('authorization', (app, options, done) => {
  app.addHook('onRoute', (route) => {
    const access = requiredAccess(route)
    if (access === 'public' || options.publicPermissions.has(access as Permission)) return
    route.onRequest = [route.onRequest ?? [], createGuard(access, options.observe)].flat()
  })
  done()
})

/** A hook of each guarded route alone, so that public routes pay nothing. */
const createGuard =
  (access: Exclude<Access, 'public'>, observe: Observe): onRequestHookHandler =>
  (request, _reply, next) => {
    const principal = (request as { principal?: Principal | null }).principal ?? null
    if (principal === null) next(anonymous)
    else if (access === 'authenticated' || principal.permissions.has(access)) next()
    else {
      observe({
        event: 'authz_fail',
        requestId: request.id,
        client: request.client?.prefix ?? null,
        subject: principal.subject,
        permission: access,
      })
      next(new Problem('forbidden', { detail: `These credentials do not carry the permission ${access}.` }))
    }
  }

const anonymous = new Problem('unauthenticated', {
  detail: 'Send "Authorization: Bearer" with an API key.',
  headers: { 'www-authenticate': 'Bearer realm="filmgate"', vary: 'Authorization' },
})

const requiredAccess = ({ method, url, config }: RouteOptions): Access => {
  if (isAccess(config?.access)) return config.access
  throw new Error(`route ${String(method)} ${url} declares no access: set config.access to 'public', 'authenticated' or a permission`)
}
