import { type Permission } from '../../core/access.ts'
import type { EffectiveLimits, Quota, RouteEntry } from '../../layers/index.ts'
import { everyAnswer } from './header-fields.ts'
import { headersOf, type Nature, refusal, refusalName, refusalsOf } from './refusals.ts'
import { publicSchema, reference } from './schemas.ts'

export interface OperationOptions {
  /** What everybody may do, known or not. */
  readonly publicPermissions: ReadonlySet<Permission>
  readonly limitsOf: (route: RouteEntry) => EffectiveLimits
}

type Members = Readonly<Record<string, unknown>>

interface ObjectSchema {
  readonly properties?: Readonly<Record<string, Members>>
  readonly required?: readonly string[]
}

/** The operation of a route (OpenAPI 3.1.1 section 4.8.10). */
export const operationOf = (route: RouteEntry, options: OperationOptions): Members => {
  const { operationId, summary, description, tags, body } = route.schema
  const parameters = [...parametersIn('path', route.schema.params), ...parametersIn('query', route.schema.querystring)]
  return {
    operationId,
    summary,
    description,
    tags,
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined ? {} : { requestBody: requestBody(body) }),
    responses: { ...goodAnswers(route), ...refusals(route, options) },
    security: securityOf(route, options),
    'x-rate-limit': limits(options.limitsOf(route)),
  }
}

const parametersIn = (place: 'path' | 'query', given: unknown): Members[] => {
  const { properties = {}, required = [] } = (given ?? {}) as ObjectSchema
  return Object.entries(properties).map(([name, { description, ...schema }]) => ({
    name,
    in: place,
    description,
    required: required.includes(name),
    schema: publicSchema(schema),
  }))
}

const requestBody = (schema: unknown): Members => ({
  required: true,
  content: { 'application/json': { schema: publicSchema(schema), ...exampleOf(schema) } },
})

/** Beside the schema, because many tools look for it only there. */
const exampleOf = (schema: unknown): Members => {
  const [example] = (schema as { examples?: readonly unknown[] }).examples ?? []
  return example === undefined ? {} : { example }
}

const goodAnswers = ({ method, config, schema }: RouteEntry): Members => {
  const bodies = (schema.response ?? {}) as Readonly<Record<number, unknown>>
  const mediaType = config.produces ?? 'application/json'
  const content = (status: string): Members => {
    const body = bodies[Number(status)]
    if (method === 'HEAD' || (body === undefined && mediaType === 'application/json')) return {}
    const described = body === undefined ? { schema: { type: 'string' } } : { schema: publicSchema(body), ...exampleOf(body) }
    return status === '304' ? {} : { content: { [mediaType]: described } }
  }
  return Object.fromEntries(
    Object.entries(schema.answers ?? {}).map(([status, { description, headers = [] }]) => [
      status,
      { description, headers: headersOf([...everyAnswer, ...headers]), ...content(status) },
    ]),
  )
}

const natureOf = ({ config, schema }: RouteEntry, { publicPermissions }: OperationOptions): Nature => {
  const { access = 'authenticated' } = config
  return {
    takesInput: schema.body !== undefined || schema.params !== undefined || schema.querystring !== undefined,
    asksPermission: access !== 'public' && access !== 'authenticated' && !publicPermissions.has(access),
    own: schema.problems ?? [],
  }
}

/** By reference; an answer to HEAD has no body, which the shared ones have. */
const refusals = (route: RouteEntry, options: OperationOptions): Members =>
  Object.fromEntries(
    [...refusalsOf(natureOf(route, options))].map(([status, codes]) => [
      status,
      route.method === 'HEAD' ? refusal(codes, false) : reference('responses', refusalName(codes)),
    ]),
  )

/** The shared refusals that these routes refer to. */
export const sharedRefusals = (routes: readonly RouteEntry[], options: OperationOptions): Members =>
  Object.fromEntries(
    routes
      .filter(({ method }) => method !== 'HEAD')
      .flatMap((route) => [...refusalsOf(natureOf(route, options)).values()])
      .map((codes) => [refusalName(codes), refusal(codes)] as const)
      .toSorted(([a], [b]) => (a < b ? -1 : 1)),
  )

/** A permission stands in the list as a role does (OpenAPI 3.1.1 section 4.8.30). Where it is open to everybody a key is welcome, too. */
const securityOf = ({ config }: RouteEntry, { publicPermissions }: OperationOptions): Members[] => {
  const { access = 'authenticated' } = config
  if (access === 'public' || publicPermissions.has(access as Permission)) return [{}, { apiKey: [] }]
  return [{ apiKey: access === 'authenticated' ? [] : [access] }]
}

/** The quotas in the order of the RateLimit-Policy field; where the route has none of its own, that field tells of `total`. */
const limits = ({ anonymous, authenticated, total }: EffectiveLimits): Members => ({
  anonymous: windowsOf(anonymous),
  authenticated: windowsOf(authenticated),
  total: windowsOf(total),
})

const windowsOf = (quotas: readonly Quota[]): Members[] =>
  quotas.flatMap(({ scope, windows }) =>
    windows.map(({ name, limit, windowMs }) => ({ name, limit, window_seconds: Math.ceil(windowMs / 1000), counted_over: scope })),
  )
