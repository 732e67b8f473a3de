import type { FastifyInstance } from 'fastify'
import Type from 'typebox'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'

import { Problem, type ProblemCode, problemKinds } from '../../core/errors.ts'
import { NoQuery } from '../films/schema.ts'
import type { Limits } from '../../layers/index.ts'
import { cspReportRoute, type CspReportOptions } from './csp-report.ts'
import { describeDocs, describeProblemPage, describeSecurityTxt, describeSelf } from './descriptions.ts'
import { docsPage, docsPageRules } from './docs/page.ts'
import type { ApiDescription } from './document.ts'
import { createFixedAnswer, type FixedAnswer } from './fixed-answer.ts'
import { describeApi, type DescriptionOptions } from './openapi.ts'
import { type Delivery, pageFields } from './page-fields.ts'
import { problemPage, problemPageRules } from './problem-pages.ts'
import { readSecurityTxt } from './security-txt.ts'

export interface SiteRoutesOptions extends Omit<DescriptionOptions, 'limitsOf'>, CspReportOptions {
  readonly limits: Limits
  readonly delivery: Delivery
  /** Where the server is for those who copy a line from /docs. */
  readonly address: string
  /** Where the operator may lay a security.txt. */
  readonly dataDir: string
  /** The beginning of paths that lead nowhere: robots.txt asks crawlers to stay away from them, so whoever comes has not obeyed. */
  readonly decoyPrefix: string
  readonly epochMs: () => number
  /** Told once, at the start, when the security.txt has expired. */
  readonly warn: (message: string) => void
}

const ProblemPath = Type.Object(
  { code: Type.String({ minLength: 1, maxLength: 64, description: 'The code of a problem.', examples: ['quota_exceeded'] }) },
  { additionalProperties: false },
)

/** It describes itself only so far: the rest is OpenAPI's to say. Bytes are sent, so nothing serialises with it. */
const AnyDescription = Type.Object({ openapi: Type.String() }, { additionalProperties: true, description: 'An OpenAPI document.' })

const anHour = 'public, max-age=3600'

/** What is ready costs nothing to send, and who reads up on a refusal must not be refused for it: these count in `total` alone. */
const config = { access: 'public', limits: 'none' } as const

/**
 * What this server says of itself: the description of its API, the meaning of its refusals, whom to tell of a weakness. Call it when all
 * other routes are there; returns the description under the limits of now.
 */
export const siteRoutes = (server: FastifyInstance, options: SiteRoutesOptions): (() => ApiDescription) => {
  problemRoutes(server, options)
  securityTxtRoute(server, options)
  robotsTxtRoute(server, options)
  cspReportRoute(server, options)
  const schema = { ...describeSelf, querystring: NoQuery, response: { 200: AnyDescription } }
  server.get('/openapi.json', { schema, config }, (request, reply) => current().answer(request, reply))
  server.get(
    '/docs',
    { schema: { ...describeDocs, querystring: NoQuery }, config: { ...config, produces: 'text/html' } },
    (request, reply) => current().docs()(request, reply),
  )
  const current = createDescription(options)
  return () => current().description
}

/** Made anew when the limits were reloaded, for they are part of it; the page not before somebody reads it. */
const createDescription = ({ limits, ...options }: SiteRoutesOptions) => {
  const cacheControl = 'public, max-age=300'
  const headers = pageFields(docsPageRules, options.delivery)
  const fresh = () => {
    const description = describeApi({ ...options, limitsOf: (route) => limits.effective(route) })
    const answer = createFixedAnswer({ body: JSON.stringify(description), type: 'application/json; charset=utf-8', cacheControl })
    let docs: FixedAnswer | undefined
    const makeDocs = () => {
      const body = docsPage(description, options.address)
      return createFixedAnswer({ body, type: 'text/html; charset=utf-8', cacheControl, headers })
    }
    return { version: limits.version, description, answer, docs: () => (docs ??= makeDocs()) }
  }
  let known = fresh()
  return () => (known.version === limits.version ? known : (known = fresh()))
}

const problemRoutes = (server: FastifyInstance, { delivery }: SiteRoutesOptions): void => {
  const app = server.withTypeProvider<TypeBoxTypeProvider>()
  const headers = pageFields(problemPageRules, delivery)
  const pages = new Map(
    (Object.keys(problemKinds) as ProblemCode[]).map((code) => [
      code as string,
      createFixedAnswer({ body: problemPage(code), type: 'text/html; charset=utf-8', cacheControl: anHour, headers }),
    ]),
  )
  const schema = { ...describeProblemPage, params: ProblemPath, querystring: NoQuery }
  app.get('/problems/:code', { schema, config: { ...config, produces: 'text/html' } }, (request, reply) => {
    const answer = pages.get(request.params.code)
    if (answer === undefined) throw new Problem('not_found', { detail: 'There is no such problem code.' })
    return answer(request, reply)
  })
}

const noContact = new Problem('not_found', { detail: 'The operator of this server has not said whom to tell of a weakness.' })
const contactExpired = new Problem('not_found', {
  detail: 'What the operator of this server said of whom to tell of a weakness has expired.',
})

const securityTxtRoute = (server: FastifyInstance, { dataDir, epochMs, warn }: SiteRoutesOptions): void => {
  const file = readSecurityTxt(dataDir)
  if (file !== undefined && file.expiresMs <= epochMs()) warn('security.txt in the data folder has expired, so it is not handed out')
  const answer = file && createFixedAnswer({ body: file.text, type: 'text/plain; charset=utf-8', cacheControl: anHour })
  const schema = { ...describeSecurityTxt, querystring: NoQuery }
  server.get('/.well-known/security.txt', { schema, config: { ...config, produces: 'text/plain' } }, (request, reply) => {
    if (file === undefined || answer === undefined) throw noContact
    // A contact that is out of date may belong to somebody else by now (RFC 9116 section 5.3).
    if (file.expiresMs <= epochMs()) throw contactExpired
    return answer(request, reply)
  })
}

/** RFC 9309. It names nothing that is there: who reads it in order to find something finds a trap. */
const robotsTxtRoute = (server: FastifyInstance, { decoyPrefix }: SiteRoutesOptions): void => {
  const body = `User-agent: *\nDisallow: ${decoyPrefix}\n`
  const answer = createFixedAnswer({ body, type: 'text/plain; charset=utf-8', cacheControl: anHour })
  server.get('/robots.txt', { schema: { hide: true, querystring: NoQuery }, config: { ...config, produces: 'text/plain' } }, answer)
}
