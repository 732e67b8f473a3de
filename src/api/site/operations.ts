import { type Permission } from '../../core/access.ts'
import type { EffectiveLimits, Quota, RouteEntry } from '../../layers/index.ts'
import type { Content, Media, Operation, Parameter, RateLimit, RateLimits, Reference, Response, Schema } from './document.ts'
import { everyAnswer } from './header-fields.ts'
import { headersOf, type Nature, refusal, refusalName, refusalsOf } from './refusals.ts'
import { publicSchema, reference } from './schemas.ts'

export interface OperationOptions {
  /** What everybody may do, known or not. */
  readonly publicPermissions: ReadonlySet<Permission>
  readonly limitsOf: (route: RouteEntry) => EffectiveLimits
}

interface ObjectSchema {
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
}

/** The operation of a route (OpenAPI 3.1.1 section 4.8.10). A route that does not say what it is for stops the start. */
export const operationOf = (route: RouteEntry, options: OperationOptions): Operation => {
  const { operationId, summary, description, tags, body, params, querystring } = route.schema
  if (operationId === undefined || summary === undefined || description === undefined || tags === undefined)
    throw new Error(
      `route ${route.method} ${route.url} is not described: its schema needs operationId, summary, description and tags, or hide`,
    )
  const parameters = [...parametersIn('path', params), ...parametersIn('query', querystring)]
  return {
    operationId,
    summary,
    description: fullDescription(description, route),
    tags,
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined ? {} : { requestBody: { required: true, content: bodyContent(route) } }),
    responses: { ...goodAnswers(route), ...refusals(route, options) },
    security: securityOf(route, options),
    'x-rate-limit': rateLimits(options.limitsOf(route)),
  }
}

const parametersIn = (place: 'path' | 'query', given: unknown): Parameter[] => {
  const { properties = {}, required = [] } = (given ?? {}) as ObjectSchema
  return Object.entries(properties).map(([name, { description, ...schema }]) => ({
    name,
    in: place,
    description: String(description),
    required: required.includes(name),
    schema: publicSchema(schema),
  }))
}

/** The example stands beside the schema, too, because many tools look for it only there. */
const mediaOf = (schema: unknown, place = 0): Media => {
  const { examples = [] } = schema as { examples?: readonly unknown[] }
  const example = examples[place] ?? examples[0]
  return { schema: publicSchema(schema), ...(example === undefined ? {} : { example }) }
}

/** Where a route reads several types its examples are of them in their order. */
const bodyContent = ({ schema, config }: RouteEntry): Content =>
  Object.fromEntries((config.consumes ?? ['application/json']).map((type, i) => [type, mediaOf(schema.body, i)]))

const goodAnswers = (route: RouteEntry): Readonly<Record<string, Response>> =>
  Object.fromEntries(
    Object.entries(route.schema.answers ?? {}).map(([status, { description, headers = [] }]) => {
      const media = goodMedia(route, Number(status))
      const [first = 'application/json', ...others] = [route.config.produces ?? []].flat()
      const content = media && { content: { [first]: media, ...Object.fromEntries(others.map((type) => [type, plain])) } }
      return [status, { description, headers: headersOf([...everyAnswer, ...headers]), ...content }]
    }),
  )

const goodMedia = ({ method, config, schema }: RouteEntry, status: number): Media | undefined => {
  if (method === 'HEAD' || status === 304) return undefined
  const body = ((schema.response ?? {}) as Readonly<Record<number, unknown>>)[status]
  if (body !== undefined) return mediaOf(body)
  return config.produces === undefined ? undefined : plain
}

const plain: Media = { schema: { type: 'string' } }

const natureOf = ({ config, schema }: RouteEntry, { publicPermissions }: OperationOptions): Nature => {
  const { access = 'authenticated' } = config
  return {
    takesInput: schema.body !== undefined || schema.params !== undefined || schema.querystring !== undefined,
    asksPermission: config.sessionOnly === true || (access !== 'public' && access !== 'authenticated' && !publicPermissions.has(access)),
    own: schema.problems ?? [],
  }
}

const handlesCookie = ({ schema }: RouteEntry): boolean =>
  Object.values(schema.answers ?? {}).some(({ headers = [] }) => headers.includes('Set-Cookie'))

/** By reference; an answer to HEAD has no body, which the shared ones have. */
const refusals = (route: RouteEntry, options: OperationOptions): Readonly<Record<string, Response | Reference>> =>
  Object.fromEntries(
    [...refusalsOf(natureOf(route, options))].map(([status, codes]) => [
      status,
      route.method === 'HEAD'
        ? refusal({ codes, withBody: false })
        : reference('responses', refusalName({ codes, withCookie: handlesCookie(route) })),
    ]),
  )

/** The shared refusals that these routes refer to. */
export const sharedRefusals = (routes: readonly RouteEntry[], options: OperationOptions): Readonly<Record<string, Response>> =>
  Object.fromEntries(
    routes
      .filter(({ method }) => method !== 'HEAD')
      .flatMap((route) => [...refusalsOf(natureOf(route, options)).values()].map((codes) => ({ codes, withCookie: handlesCookie(route) })))
      .map((refused) => [refusalName(refused), refusal(refused)] as const)
      .toSorted(([a], [b]) => (a < b ? -1 : 1)),
  )

/** A permission stands in the list as a role does (OpenAPI 3.1.1 section 4.8.30). Where it is open to everybody credentials are welcome, too. */
const securityOf = ({ config }: RouteEntry, { publicPermissions }: OperationOptions): Operation['security'] => {
  const { access = 'authenticated', freshLogin, sessionOnly, keyField } = config
  if (access === 'public' || publicPermissions.has(access as Permission)) return [{}, { accessToken: [] }, { apiKey: [] }]
  const needed = access === 'authenticated' ? [] : [access]
  if (freshLogin === true || sessionOnly === true) return [{ accessToken: needed }]
  return [{ accessToken: needed }, { apiKey: needed }, ...(keyField === undefined ? [] : [{ keyField: needed }])]
}

/** What no schema can say. */
const fullDescription = (description: string, { config }: RouteEntry): string =>
  config.freshLogin === true ? `${description} Needs a login at most 5 minutes ago.` : description

/** The quotas in the order of the RateLimit-Policy field; where the route has none of its own, that field tells of `total`. */
const rateLimits = ({ anonymous, authenticated, total }: EffectiveLimits): RateLimits => ({
  anonymous: windowsOf(anonymous),
  authenticated: windowsOf(authenticated),
  total: windowsOf(total),
})

const windowsOf = (quotas: readonly Quota[]): RateLimit[] =>
  quotas.flatMap(({ scope, windows }) =>
    windows.map(({ name, limit, windowMs }) => ({ name, limit, window_seconds: Math.ceil(windowMs / 1000), counted_over: scope })),
  )
