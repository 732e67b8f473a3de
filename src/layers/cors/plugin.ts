import type { FastifyPluginCallback, FastifyReply, FastifyRequest } from 'fastify'

import { Problem } from '../../core/errors.ts'
import type { Observe } from '../../core/events.ts'
import { wholeServer } from '../../core/plugin.ts'
import type { CorsPolicies } from './policies.ts'
import { judgePreflight, type Preflight } from './preflight.ts'
import { joinVary } from './vary.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Which fields of the request the CORS fields of its answer depend on; undefined where there are none. */
    corsVary?: string | undefined
    /** It says that it comes from a page of an origin that the operator named (`*` names nobody). */
    isOfNamedOrigin?: boolean
  }
}

export interface CorsOptions {
  readonly policies: CorsPolicies
}

type IsOwn = (origin: string, request: FastifyRequest) => boolean

export interface PreflightOptions extends CorsOptions {
  readonly observe: Observe
  /** Whether that is the origin of this server's own pages, where the request came in. By default what Host names is. */
  readonly isOwn?: IsOwn
}

/**
 * Step 4: chooses the CORS fields of the answer (Fetch standard, CORS protocol) before anything can refuse, because a page must be able to
 * read its 401 and its 429. Register it before the layers that refuse and before the routes.
 */
export const corsFields: FastifyPluginCallback<CorsOptions> = wholeServer('cors-fields', (app, { policies }, done) => {
  app.addHook('onRoute', ({ method, url, config }) => {
    // What matches anything is no route, nor is what says which methods there are: there the standard policy holds.
    if (url === '*' || config?.otherMethods === true) return
    for (const one of [method].flat()) policies.addRoute(one, url)
  })

  app.addHook('onRequest', (request, reply, next) => {
    if (!policies.isClosed) choose(request, reply, policies)
    next()
  })

  // Others set Vary, too, and the last one to do so would win.
  app.addHook('onSend', (request, reply, payload, next) => {
    const { corsVary } = request
    if (corsVary !== undefined) {
      const vary = reply.getHeader('vary')
      if (vary !== corsVary) reply.header('vary', joinVary(corsVary, vary))
    }
    next(null, payload)
  })
  done()
})

const choose = (request: FastifyRequest, reply: FastifyReply, policies: CorsPolicies): void => {
  const announced = announcedMethod(request)
  const policy = policies.policyFor(request.routeOptions.url, announced ?? request.method)
  const vary = announced === undefined ? policy.vary : policy.preflightVary
  if (vary !== '') {
    request.corsVary = vary
    reply.header('vary', vary)
  }
  const { origin } = request.raw.headers
  if (origin !== undefined && policy.match.isNamed(origin)) request.isOfNamedOrigin = true
  const fields = policy.fieldsFor(origin)
  if (fields !== undefined) reply.headers(fields)
}

/** Of a preflight, the method that the page wants to send. */
const announcedMethod = ({ method, raw: { headers } }: FastifyRequest): string | undefined =>
  method === 'OPTIONS' && headers.origin !== undefined ? headers['access-control-request-method'] : undefined

/**
 * Step 7: answers preflights, and tells of foreign pages. Behind the layer that counts everything, so that neither is free, and before the one
 * that asks who it is, because a preflight carries no credentials. It needs a route for OPTIONS at every URL (`addMethodAnswers`).
 */
export const corsPreflights: FastifyPluginCallback<PreflightOptions> = wholeServer(
  'cors-preflights',
  (app, { policies, observe, isOwn = isOfHost }, done) => {
    app.addHook('onRequest', (request, reply, next) => {
      const { origin } = request.raw.headers
      if (origin === undefined) {
        next()
        return
      }
      const { url } = request.routeOptions
      const announced = announcedMethod(request)
      const isAllowed = policies.policyFor(url, announced ?? request.method).grantFor(origin) !== undefined
      if (!isAllowed && !isOfOwnPage(request, origin, isOwn)) observe(foreignPage(request, origin, announced !== undefined))
      if (announced === undefined) next()
      else answer(request, reply, { policies, preflight: { url, origin, method: announced }, refuse: next })
    })

    app.addHook('onReady', (ready) => {
      const without = [...policies.urls].find((url) => !app.hasRoute({ method: 'OPTIONS', url }))
      ready(
        without === undefined ? undefined : new Error(`${without} has no route for OPTIONS, so no page gets an answer to its preflight`),
      )
    })
    done()
  },
  ['cors-fields'],
)

interface Asked {
  readonly policies: CorsPolicies
  readonly preflight: Pick<Preflight, 'url' | 'origin' | 'method'>
  readonly refuse: (problem: Problem) => void
}

const answer = (request: FastifyRequest, reply: FastifyReply, { policies, preflight, refuse }: Asked): void => {
  // Chosen for the refusals up to here; no page reads the answer to a preflight.
  for (const name of chosen) reply.removeHeader(name)
  const verdict = judgePreflight(policies, { ...preflight, headers: request.raw.headers['access-control-request-headers'] })
  if (verdict instanceof Problem) refuse(verdict)
  else void reply.code(204).headers(verdict).send()
}

const chosen = ['access-control-allow-origin', 'access-control-allow-credentials', 'access-control-expose-headers']

/** Where nobody said more of this server than Host does. */
const isOfHost: IsOwn = (origin, { host }) => origin === `http://${host}` || origin === `https://${host}`

/** Sec-Fetch-Site is the browser's to write (Fetch Metadata, W3C). Whoever forges it hides from the log alone: all that is allowed hangs on Origin. */
const isOfOwnPage = (request: FastifyRequest, origin: string, isOwn: IsOwn): boolean =>
  request.raw.headers['sec-fetch-site'] === 'same-origin' || isOwn(origin, request)

const maxToldLength = 200

const foreignPage = (request: FastifyRequest, origin: string, preflight: boolean) => ({
  event: 'malicious_cors' as const,
  requestId: request.id,
  client: request.client?.prefix ?? null,
  origin: origin.slice(0, maxToldLength).replace(/[^\x20-\x7e]/g, '?'),
  preflight,
})
