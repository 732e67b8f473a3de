import { hash, randomBytes } from 'node:crypto'

import type { FastifyInstance, FastifyPluginCallback, FastifyRequest, preValidationHookHandler, RouteOptions } from 'fastify'

import { type Clock, systemClock } from '../../core/clock.ts'
import { bearerChallenge } from '../../core/challenge.ts'
import { Problem } from '../../core/errors.ts'
import type { Observe } from '../../core/events.ts'
import { wholeServer } from '../../core/plugin.ts'
import type { Principal } from '../../core/request.ts'
import { parseApiKey } from '../../credentials/api-key.ts'
import { createTried } from '../../credentials/tried.ts'
import { createCredentialCheck, type CredentialSources, maxCredentialBytes } from './credentials.ts'
import { createRemembered, type Remembered } from './remembered.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Who acts; null for an anonymous request. Set by the authentication layer. */
    principal: Principal | null
  }
  interface FastifyContextConfig {
    /** This route takes an API key in this field too, for programs that send it nowhere else. Elsewhere the field is ignored. */
    keyField?: 'x-api-key'
  }
  interface FastifyInstance {
    /** Whom the credentials of a request speak for now; undefined: for nobody any more. For answers that take long: what let them begin may have ended. */
    principalNow: (request: FastifyRequest) => Promise<Principal | undefined>
  }
}

export interface AuthenticationOptions extends CredentialSources {
  readonly observe: Observe
  readonly clock?: Clock
  /**
   * What was learned of credentials holds as long as this stays the same, and never longer than a minute; undefined: for this request alone.
   * Left out: the sources are asked at each request.
   */
  readonly generation?: () => number | undefined
  /** Credentials, about 1 KB each; the oldest is forgotten for the next. Default 10,000. */
  readonly maxRemembered?: number
}

const detail = 'The credentials are not valid. Send "Authorization: Bearer" with an access token or an API key.'

/** The same words whatever was wrong: whether a key exists, or a session has ended, is not for the asker to learn. */
const invalidToken = new Problem('unauthenticated', {
  detail,
  headers: { 'www-authenticate': bearerChallenge({ error: 'invalid_token' }) },
})
/** RFC 6750 section 3.1: no error code for who sent no token. */
const noToken = new Problem('unauthenticated', { detail })

/**
 * Step 8: `Authorization: Bearer` with an API key or an access token sets `request.principal`. Anything else in that field is refused and never
 * taken as anonymous, because a client that sends credentials must learn that they do not work.
 */
export const authentication: FastifyPluginCallback<AuthenticationOptions> = wholeServer('authentication', (app, options, done) => {
  const { remembered, shown, fail, ask, check } = createChecking(options)
  app.addHook('onRequest', (request, reply, next) => {
    request.principal = null
    const { authorization, 'x-api-key': key } = request.raw.headers
    if (authorization === undefined) {
      // Looked at in this order: what a route says costs more to find out than that there is no such field.
      if (key === undefined || request.routeOptions.config.keyField === undefined) {
        next()
        return
      }
      reply.header('vary', 'Authorization, X-Api-Key')
      // Two fields come as one text, which is no key; nor is a token one.
      if (typeof key === 'string' && parseApiKey(key) !== undefined) check(request, key, next)
      else {
        fail(request, 'malformed', String(key))
        next(invalidToken)
      }
      return
    }
    reply.header('vary', 'Authorization')
    if (!isBearer(authorization) || isRepeated(request.raw.rawHeaders)) {
      fail(request, 'malformed', authorization)
      next(noToken)
      return
    }
    check(request, authorization.slice(7), next)
  })

  app.decorate('principalNow', createPrincipalNow(remembered))
  const askAgain = createAskAgain(remembered, shown, ask)
  app.addHook('onRoute', (route: RouteOptions) => {
    if (![route.method].flat().every(isReading)) route.preValidation = [askAgain, route.preValidation ?? []].flat()
  })
  done()
})

const createPrincipalNow =
  (remembered: Remembered): FastifyInstance['principalNow'] =>
  async ({ raw: { headers } }) => {
    const credential = headers.authorization?.slice(7)
    if (credential === undefined) return undefined
    const digest = hash('sha256', credential, 'base64')
    const found = remembered.fresh(digest) ?? (await remembered.find(digest, credential))
    return typeof found === 'string' ? undefined : found
  }

/** What finds out whom a credential speaks for. */
const createChecking = (options: AuthenticationOptions) => {
  const { observe, clock = systemClock, generation = () => undefined, maxRemembered = 10_000 } = options
  const remembered = createRemembered({ clock, check: createCredentialCheck(options, clock), generation, maxRemembered })
  const shown: Shown = new WeakMap()
  // Of this process alone: it tells one guess from another, and nobody compares it with anything later.
  const triedOf = createTried(randomBytes(32))
  const fail = (request: FastifyRequest, reason: string, credential: string): void => {
    const facts = { requestId: request.id, client: request.client?.prefix ?? null }
    observe({ event: 'authn_login_fail', ...facts, reason, tried: triedOf(credential) })
  }

  const ask: Ask = (request, digest, credential, next) => {
    remembered.find(digest, credential).then((found) => {
      if (typeof found === 'string') {
        fail(request, found, digest)
        next(invalidToken)
        return
      }
      request.principal = found
      next()
    }, next)
  }

  const check = (request: FastifyRequest, credential: string, next: (error?: Error) => void): void => {
    if (credential.length > maxCredentialBytes) {
      fail(request, 'malformed', credential)
      next(invalidToken)
      return
    }
    // By its digest: what lies in memory is no credential, and no comparison tells by its time how much of one was right.
    const digest = hash('sha256', credential, 'base64')
    if (!isReading(request.method)) shown.set(request, { digest, credential })
    const known = remembered.fresh(digest)
    if (known !== undefined) {
      request.principal = known
      next()
      return
    }
    ask(request, digest, credential, next)
  }
  return { remembered, shown, fail, ask, check }
}

/** What came with the requests that may change something. */
type Shown = WeakMap<FastifyRequest, { readonly digest: string; readonly credential: string }>

/** Sets whom the credential speaks for, or refuses it. */
type Ask = (request: FastifyRequest, digest: string, credential: string, next: (error?: Error) => void) => void

/** Who holds the body of a request back would go on after a revocation with what was allowed before it: here all of it has come. */
const createAskAgain =
  (remembered: Remembered, shown: Shown, ask: Ask): preValidationHookHandler =>
  (request, _reply, next) => {
    const credentials = shown.get(request)
    const known = credentials && remembered.fresh(credentials.digest)
    if (credentials !== undefined && known === undefined) {
      ask(request, credentials.digest, credentials.credential, next)
      return
    }
    if (known !== undefined) request.principal = known
    next()
  }

/** RFC 9110 section 9.2.1: what changes nothing need not be asked twice. */
const isReading = (method: string): boolean => method === 'GET' || method === 'HEAD' || method === 'OPTIONS'

/** The scheme is case-insensitive (RFC 9110 section 11.1), one space, a token behind it. */
const isBearer = (authorization: string): boolean => /^bearer [^ ]/i.test(authorization)

/** Node keeps the first of two fields and says nothing of the other. */
const isRepeated = (rawHeaders: readonly string[]): boolean => {
  let seen = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]
    if (name?.length === 13 && name.toLowerCase() === 'authorization') seen++
  }
  return seen > 1
}
