import type { ApiDescription, Operation, Parameter, Reference, Response, Schema } from '../../src/api/site/document.ts'

/** One request of a collection, and what its answer must be. */
export interface Sample {
  readonly name: string
  readonly folder: string
  readonly description: string
  readonly method: string
  /** With its query, ready to send. */
  readonly target: string
  /** The key that it carries: the starter key, or one of an operator; undefined for none. */
  readonly key: 'apiKey' | 'operatorKey' | undefined
  readonly body?: unknown
  readonly expected: Expected
  /** One of each kind, and none that only operators may send: for tools that take only a few requests. */
  readonly essential: boolean
}

export interface Expected {
  /** More than one where it is the operator who decides. */
  readonly statuses: readonly number[]
  /** Undefined where the answer has no body. */
  readonly mediaType?: string
  /** Of the body, complete in itself. */
  readonly schema?: Schema
  /** Of a problem document. */
  readonly code?: string
}

/** Every operation once as it should be called, once for each parameter, and refused in each way that a client can bring about. */
export const samplesOf = (document: ApiDescription): readonly Sample[] => {
  const essentials = new Set<string>()
  return Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.entries(operations).flatMap(([method, operation], i) => {
      const call: Call = { document, path, method: method.toUpperCase(), operation }
      const others = i === 0 ? [wrongMethod(call, Object.keys(operations))] : []
      const all = [...goodCalls(call), ...[...refusedCalls(call), ...others].map((one) => oncePerKind(one, essentials))]
      return keyOf(operation) === 'operatorKey' ? all.map((one) => ({ ...one, essential: false })) : all
    }),
  )
}

interface Call {
  readonly document: ApiDescription
  readonly path: string
  readonly method: string
  readonly operation: Operation
}

/** The operator lays it into the data folder; a fresh server has none. */
const mayBeMissing: ReadonlySet<string> = new Set(['securityTxt'])

const goodCalls = (call: Call): Sample[] => {
  const { operation } = call
  const status = Number(Object.keys(operation.responses).find((one) => one.startsWith('2')))
  const missing = mayBeMissing.has(operation.operationId)
  const good = sample(call, operation.summary, status)
  const whole = { ...good, essential: true, ...(missing ? { expected: { statuses: [status, 404] } } : {}) }
  const queries = (operation.parameters ?? []).filter((parameter) => parameter.in === 'query')
  const withQuery = queries.map((parameter) => ({
    ...whole,
    name: `${operation.summary}, with ${parameter.name}`,
    target: `${whole.target}?${parameter.name}=${exampleOf(parameter)}`,
  }))
  return [whole, ...withQuery]
}

/** A refusal of each kind that the operation describes and that a request alone can bring about. */
const refusedCalls = (call: Call): Sample[] => {
  const { operation } = call
  const { summary, parameters = [], requestBody } = operation
  const inPath = parameters.find((parameter) => parameter.in === 'path')
  const found: Sample[] = []
  if (keyOf(operation) !== undefined)
    found.push({ ...refused(call, `${summary}, without a key`, 401, 'unauthenticated'), key: undefined })
  if (requestBody) found.push({ ...refused(call, `${summary}, with an empty object`, 400, 'validation_failed'), body: {} })
  if (inPath && '404' in operation.responses) found.push(refused(call, `${summary}, one that there is not`, 404, 'not_found', '999999999'))
  if (inPath && 'pattern' in inPath.schema) found.push(refused(call, `${summary}, by a name`, 400, 'validation_failed', 'frozen'))
  if (call.method === 'GET') {
    const unknown = refused(call, `${summary}, with an unknown parameter`, 400, 'validation_failed')
    found.push({ ...unknown, target: `${unknown.target}?unknown=1` })
  }
  return found
}

const wrongMethod = (call: Call, known: readonly string[]): Sample => {
  const method = known.includes('delete') ? 'PUT' : 'DELETE'
  const code = 'method_not_allowed'
  return {
    ...refused({ ...call, method }, `${method} ${call.path}`, 405, code),
    description: 'The address answers other methods: the field Allow lists them.',
    body: undefined,
    key: undefined,
  }
}

/** The starter key may do what is about films; the rest is for operators. */
const keyOf = ({ security }: Operation): Sample['key'] => {
  if (security.some((requirement) => Object.keys(requirement).length === 0)) return undefined
  return permissionsOf(security).every((permission) => permission.startsWith('films:')) ? 'apiKey' : 'operatorKey'
}

const permissionsOf = (security: Operation['security']): string[] => security.flatMap((requirement) => Object.values(requirement).flat())

const forOperators = ({ security }: Operation): string => `Needs a key with the permission ${permissionsOf(security).join(', ')}.`

const oncePerKind = (one: Sample, essentials: Set<string>): Sample => {
  const kind = `${one.expected.code} ${one.method}`
  const essential = !essentials.has(kind)
  essentials.add(kind)
  return { ...one, essential }
}

const sample = (call: Call, name: string, status: number, pathValue?: string): Sample => {
  const { document, path, method, operation } = call
  const body = operation.requestBody?.content['application/json']?.example
  const response = operation.responses[String(status)]
  return {
    name,
    folder: operation.tags[0] ?? '',
    description: keyOf(operation) === 'operatorKey' ? `${operation.description} ${forOperators(operation)}` : operation.description,
    method,
    target: path.replaceAll(/\{(\w+)\}/g, (_, wanted: string) => pathValue ?? exampleOf(parameterOf(operation, wanted))),
    key: keyOf(operation),
    ...(body === undefined ? {} : { body }),
    expected: { statuses: [status], ...(response === undefined ? {} : contentOf(document, response, method)) },
    essential: false,
  }
}

const refused = (call: Call, name: string, status: number, code: string, pathValue?: string): Sample => {
  const { document } = call
  const mediaType = 'application/problem+json'
  const problem = complete(document, document.components.schemas['Problem'] ?? {})
  return { ...sample(call, name, status, pathValue), expected: { statuses: [status], mediaType, schema: problem, code } }
}

const contentOf = (document: ApiDescription, given: Response | Reference, method: string): Partial<Expected> => {
  const response = '$ref' in given ? undefined : given
  const [[mediaType, media] = []] = Object.entries(response?.content ?? {})
  if (method === 'HEAD' || mediaType === undefined || media === undefined) return {}
  return { mediaType, ...(mediaType === 'application/json' ? { schema: complete(document, media.schema) } : {}) }
}

const parameterOf = ({ operationId, parameters = [] }: Operation, wanted: string): Parameter => {
  const found = parameters.find(({ name }) => name === wanted)
  if (found === undefined) throw new Error(`${operationId} does not describe its parameter ${wanted}`)
  return found
}

const exampleOf = ({ name, schema }: Parameter): string => {
  const [example] = (schema as { readonly examples?: readonly string[] }).examples ?? []
  if (example === undefined) throw new Error(`the parameter ${name} has no example: its schema needs one`)
  return example
}

/** A schema without references, for tools that look at nothing else; what only explains is left out, it stands in the description. */
const complete = (document: ApiDescription, schema: Schema | Reference): Schema => {
  const whole = (part: unknown): unknown => {
    if (Array.isArray(part)) return part.map(whole)
    if (typeof part !== 'object' || part === null) return part
    if ('$ref' in part) return whole(document.components.schemas[String(part.$ref).split('/').at(-1) ?? ''])
    return Object.fromEntries(Object.entries(part).flatMap(([key, value]) => (explains(key, value) ? [] : [[key, whole(value)]])))
  }
  return whole(schema) as Schema
}

/** Not a member of that name, whose schema is an object. */
const explains = (keyword: string, value: unknown): boolean =>
  keyword === 'examples' ? Array.isArray(value) : (keyword === 'description' || keyword === 'format') && typeof value === 'string'
