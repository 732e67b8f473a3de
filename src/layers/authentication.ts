import type { FastifyPluginCallback } from 'fastify'

import { type ApiKey, parseApiKey, secretMatches } from '../credentials/api-key.ts'
import { Problem } from '../core/errors.ts'
import type { Observe } from '../core/events.ts'
import { wholeServer } from '../core/plugin.ts'
import type { Principal } from '../core/request.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Who acts; null for an anonymous request. Set by the authentication layer. */
    principal: Principal | null
  }
}

export interface AuthenticationOptions {
  readonly observe: Observe
  /** The key of that id unless it is revoked: the hash of its secret and whom it speaks for. */
  readonly lookupKey: (id: string) => Promise<{ readonly secretHash: string; readonly principal: Principal } | undefined>
}

const challenge = { 'www-authenticate': 'Bearer realm="filmgate"' }

const unauthenticated = (detail: string): Problem => new Problem('unauthenticated', { detail, headers: challenge })

/**
 * Step 8: `Authorization: Bearer` with an API key sets `request.principal`. Anything else in that field is refused and never taken as
 * anonymous, because a client that sends credentials must learn that they do not work.
 */
export const authentication: FastifyPluginCallback<AuthenticationOptions> = wholeServer('authentication', (app, options, done) => {
  app.addHook('onRequest', (request, reply, next) => {
    request.principal = null
    const { authorization } = request.raw.headers
    if (authorization === undefined) {
      next()
      return
    }
    reply.header('vary', 'Authorization')
    const refuse = (reason: string): void => {
      options.observe({ event: 'authn_login_fail', requestId: request.id, client: request.client?.prefix ?? null, reason })
      // The same words whatever was wrong: whether a key exists is not for the asker to learn.
      next(unauthenticated('The credentials are not valid. Send "Authorization: Bearer" with an API key.'))
    }
    const key = parseBearer(authorization)
    if (key === undefined) {
      refuse('malformed')
      return
    }
    verify(key, options).then((principal) => {
      if (principal === undefined) {
        refuse('unknown or revoked key')
        return
      }
      request.principal = principal
      next()
    }, next)
  })
  done()
})

/** The scheme is case-insensitive (RFC 9110 section 11.1), one space, nothing behind the token. */
const parseBearer = (authorization: string): ApiKey | undefined =>
  /^bearer /i.test(authorization) ? parseApiKey(authorization.slice(7)) : undefined

const verify = async (key: ApiKey, { lookupKey }: AuthenticationOptions): Promise<Principal | undefined> => {
  const stored = await lookupKey(key.id)
  return stored !== undefined && secretMatches(key.secret, stored.secretHash) ? stored.principal : undefined
}
