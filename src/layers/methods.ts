import { METHODS } from 'node:http'

import type { FastifyContextConfig, FastifyInstance, FastifySchema } from 'fastify'

import { Problem, type ProblemCode } from '../core/errors.ts'

/** What a route tells people and clients of itself, beside what Fastify checks: the source of the API's description. */
export interface RouteDescription {
  readonly operationId?: string
  readonly summary?: string
  readonly description?: string
  readonly tags?: readonly string[]
  /** No part of the API: left out of its description, such as the files of a page. */
  readonly hide?: boolean
  /** The good answers by status; the schema of their bodies stands under `response`. */
  readonly answers?: Readonly<Record<number, DescribedAnswer>>
  /** Refusals that this route alone knows. All others follow from what it takes and whom it lets in. */
  readonly problems?: readonly ProblemCode[]
}

export interface DescribedAnswer {
  readonly description: string
  /** Names of header fields that say something of this answer. */
  readonly headers?: readonly string[]
}

declare module 'fastify' {
  interface FastifySchema extends RouteDescription {}
  interface FastifyContextConfig {
    /** Answers the methods that a URL does not have. */
    otherMethods?: true
  }
}

/** What `filmgate routes`, the description of the API and the tests see of a route. */
export interface RouteEntry {
  readonly method: string
  readonly url: string
  readonly config: Readonly<FastifyContextConfig>
  /** Empty where the route declares none. */
  readonly schema: Readonly<FastifySchema>
  /** Undefined where the server's limit holds. */
  readonly bodyLimitBytes?: number | undefined
}

/** Collects every route that is added from now on. */
export const collectRoutes = (app: FastifyInstance): readonly RouteEntry[] => {
  const routes: RouteEntry[] = []
  app.addHook('onRoute', ({ method, url, config, bodyLimit: bodyLimitBytes, schema = {} }) => {
    // What matches anything is no route, nor is what says which methods there are.
    if (url === '*' || config?.otherMethods === true) return
    for (const one of [method].flat()) routes.push({ method: one, url, config: { ...config }, schema, bodyLimitBytes })
  })
  return routes
}

/** Every method that Node's parser lets through, CONNECT apart (it never becomes a request). */
export const teachAllMethods = (app: FastifyInstance): void => {
  for (const method of METHODS) if (method !== 'CONNECT' && !app.supportedMethods.includes(method)) app.addHttpMethod(method)
}

/**
 * For each known URL: OPTIONS says which methods there are, and every other method is 405 with Allow (RFC 9110 section 15.5.6). They are
 * routes of their own, so they cost a good request nothing, and answer before a body is read. Call it when all routes are there.
 */
export const addMethodAnswers = (app: FastifyInstance, routes: readonly RouteEntry[]): void => {
  const methodsByUrl = Map.groupBy([...routes], (route) => route.url)
  for (const [url, known] of methodsByUrl) {
    const methods = known.map((route) => route.method)
    const allow = [...new Set([...methods, 'OPTIONS'])].toSorted().join(', ')
    const refused = new Problem('method_not_allowed', { detail: `This answers ${allow}.`, headers: { allow } })
    const others = app.supportedMethods.filter((method) => !methods.includes(method))
    const config = { access: 'public', limits: 'none', otherMethods: true } as const
    app.route({
      method: others.filter((method) => method !== 'OPTIONS'),
      url,
      config,
      onRequest: (_request, _reply, next) => next(refused),
      handler: () => undefined,
    })
    if (methods.includes('OPTIONS')) continue
    // Preflights never come here: the CORS layer answers them before anybody asks who it is.
    app.route({
      method: 'OPTIONS',
      url,
      config,
      onRequest: (_request, reply) => void reply.code(204).header('allow', allow).send(),
      handler: () => undefined,
    })
  }
}

const notFound = new Problem('not_found', { detail: 'There is nothing here.' })

/**
 * What no other route matches is 404 as soon as it may be: Fastify's own handler for that runs after the body was read, and an upload to
 * nowhere must not be waited for. Call it last.
 */
export const addNotFoundAnswer = (app: FastifyInstance): void => {
  app.route({
    method: [...app.supportedMethods],
    url: '*',
    config: { access: 'public', limits: 'none' },
    onRequest: (_request, _reply, next) => next(notFound),
    handler: () => undefined,
  })
}
