import type { ApiDescription, Operation, Parameter, Reference, Response, Schema } from '../../src/api/site/document.ts'
import { course, courseFolders, type Step } from './course.ts'

/** One request of a collection, and what its answer must be. */
export interface Sample {
  readonly name: string
  readonly folder: string
  readonly description: string
  readonly method: string
  /** With its query, ready to send. */
  readonly target: string
  /** What it carries: an API key, that of an operator, or the access token of a login; undefined for nothing. */
  readonly key: 'apiKey' | 'operatorKey' | 'accessToken' | undefined
  readonly body?: unknown
  /** Of the body, where there is one. */
  readonly bodyType: string
  /** Variables that get a member of the answer, such as `items.0.id`. */
  readonly sets?: Step['sets']
  /** A variable that is computed before it is sent. */
  readonly computes?: Step['computes']
  readonly expected: Expected
  /** One of each kind, and none that only operators or browsers send or that takes something from another: for tools that take only a few requests. */
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
  const calls = callsOf(document)
  const inCourse = new Map(course.map((step) => [step.operationId, step]))
  const essentials = new Set<string>()
  const alone = calls
    .filter(({ operation }) => !inCourse.has(operation.operationId))
    .flatMap((call) => {
      const all = [...goodCalls(call), ...refusedCalls(call).map((one) => oncePerKind(one, essentials))]
      const isForOthers = keyOf(call.operation) === 'operatorKey' || forBrowsers.has(call.operation.operationId)
      return isForOthers ? all.map(notEssential) : all
    })
  return inFolders(document, [...alone, ...samplesOfCourse(calls)])
}

/** What people or their browsers call by themselves. */
const forBrowsers: ReadonlySet<string> = new Set(['docs', 'cspReport'])

/** What accounts are used for comes where the course has it: behind the films, which need none. */
const inFolders = ({ tags }: ApiDescription, samples: readonly Sample[]): Sample[] => {
  const [films = '', ...others] = tags.map(({ name }) => name)
  const folders = [...new Set([films, ...courseFolders, ...others])]
  return folders.flatMap((name) => samples.filter(({ folder }) => folder === name))
}

interface Call {
  readonly document: ApiDescription
  readonly path: string
  readonly method: string
  readonly operation: Operation
  /** All methods of the path, of its first operation alone. */
  readonly known: readonly string[] | undefined
  readonly step?: Step
}

const callsOf = (document: ApiDescription): Call[] =>
  Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation], i) => ({
      document,
      path,
      method: method.toUpperCase(),
      operation,
      known: i === 0 ? Object.keys(operations) : undefined,
    })),
  )

/** Refusals stand beside the first call of their operation. */
const samplesOfCourse = (calls: readonly Call[]): Sample[] =>
  course.flatMap((step, i) => {
    const call = calls.find(({ operation }) => operation.operationId === step.operationId)
    if (call === undefined) throw new Error(`the course has a step ${step.operationId}, and there is no such operation`)
    const isRepeated = course.findIndex(({ operationId }) => operationId === step.operationId) < i
    const good = goodCalls({ ...call, step })
    if (isRepeated) return good.slice(0, 1).map(notEssential)
    const bad = refusedCalls({ ...call, step: inFolderOf(step) })
    return (step.endsToken === true ? [...bad, ...good] : [...good, ...bad]).map(notEssential)
  })

const notEssential = (one: Sample): Sample => ({ ...one, essential: false })

const inFolderOf = ({ operationId, folder }: Step): Step => (folder === undefined ? { operationId } : { operationId, folder })

/** The operator lays it into the data folder; a fresh server has none. */
const mayBeMissing: ReadonlySet<string> = new Set(['securityTxt'])

const goodCalls = (call: Call): Sample[] => {
  const { operation, step } = call
  const { name = operation.summary, statuses, values = {}, sets, computes } = step ?? {}
  const status = Number(Object.keys(operation.responses).find((one) => one.startsWith('2')))
  const missing = mayBeMissing.has(operation.operationId) ? [status, 404] : [status]
  const good = otherwise(sample(call, name, status), call, statuses ?? missing)
  const whole = { ...good, essential: true }
  const taken = { ...(sets === undefined ? {} : { sets }), ...(computes === undefined ? {} : { computes }) }
  const queries = (operation.parameters ?? []).filter((parameter) => parameter.in === 'query' && parameter.name !== 'cursor')
  const withQuery = queries.map((parameter) => ({
    ...whole,
    name: `${name}, with ${parameter.name}`,
    target: `${whole.target}?${parameter.name}=${values[parameter.name] ?? exampleOf(parameter)}`,
  }))
  return [{ ...whole, ...taken }, ...withQuery]
}

/** Where it is not success alone that is right: a refusal is one in its shape, too. */
const otherwise = (good: Sample, { document }: Call, statuses: readonly number[]): Sample => {
  if (statuses.length === 1 && statuses[0] === good.expected.statuses[0]) return good
  return { ...good, expected: statuses.every((status) => status >= 400) ? { statuses, ...problemOf(document) } : { statuses } }
}

/** A refusal of each kind that the operation describes and that a request alone can bring about. */
const refusedCalls = (call: Call): Sample[] => {
  const { operation, known } = call
  const { summary, parameters = [] } = operation
  const inPath = parameters.find((parameter) => parameter.in === 'path')
  const credentials = keyOf(operation)
  const found: Sample[] = []
  if (credentials !== undefined) {
    const word = credentials === 'accessToken' ? 'token' : 'key'
    found.push({ ...refused(call, `${summary}, without a ${word}`, 401, 'unauthenticated'), key: undefined })
  }
  if (needsMembers(call)) found.push({ ...refused(call, `${summary}, with an empty object`, 400, 'validation_failed'), body: {} })
  if (inPath && '404' in operation.responses && call.step === undefined)
    found.push(refused(call, `${summary}, one that there is not`, 404, 'not_found', '999999999'))
  // The ids of accounts are random: that of an example is nobody's.
  else if (inPath && '404' in operation.responses) found.push(refused(call, `${summary}, one that there is not`, 404, 'not_found'))
  if (inPath && 'pattern' in inPath.schema) found.push(refused(call, `${summary}, by a name`, 400, 'validation_failed', 'frozen'))
  if (call.method === 'GET') {
    const unknown = refused(call, `${summary}, with an unknown parameter`, 400, 'validation_failed')
    found.push({ ...unknown, target: `${unknown.target}?unknown=1` })
  }
  if (parameters.some(({ name }) => name === 'cursor')) {
    const foreign = refused(call, `${summary}, with a cursor of nowhere`, 400, 'validation_failed')
    found.push({ ...foreign, target: `${foreign.target}?cursor=nowhere` })
  }
  return known === undefined ? found : [...found, wrongMethod(call, known)]
}

/** The first type that it reads. */
const bodyOf = ({ requestBody }: Operation) => {
  const [[type, media] = []] = Object.entries(requestBody?.content ?? {})
  return type === undefined || media === undefined ? undefined : { type, media }
}

const needsMembers = ({ document, operation }: Call): boolean => {
  const schema = bodyOf(operation)?.media.schema
  const { required = [], minProperties = 0 } = (schema === undefined ? {} : complete(document, schema)) as {
    readonly required?: readonly string[]
    readonly minProperties?: number
  }
  return required.length > 0 || minProperties > 0
}

const wrongMethod = (call: Call, known: readonly string[]): Sample => {
  const method = ['DELETE', 'PUT', 'PATCH'].find((one) => !known.includes(one.toLowerCase())) ?? 'TRACE'
  const code = 'method_not_allowed'
  return {
    ...refused({ ...call, method }, `${method} ${call.path}`, 405, code),
    description: 'The address answers other methods: the field Allow lists them.',
    body: undefined,
    key: undefined,
  }
}

/** The starter key may do what is about films; what is about accounts is for people, the rest for operators. */
const keyOf = ({ security }: Operation): Sample['key'] => {
  if (security.some((requirement) => Object.keys(requirement).length === 0)) return undefined
  const permissions = permissionsOf(security)
  if (permissions.some((permission) => permission.startsWith('security:'))) return 'operatorKey'
  return permissions.some((permission) => permission.startsWith('films:')) ? 'apiKey' : 'accessToken'
}

const permissionsOf = (security: Operation['security']): string[] => [
  ...new Set(security.flatMap((requirement) => Object.values(requirement).flat())),
]

const forOperators = ({ security }: Operation): string => `Needs a key with the permission ${permissionsOf(security).join(', ')}.`

const oncePerKind = (one: Sample, essentials: Set<string>): Sample => {
  const kind = `${one.expected.code} ${one.method}`
  const essential = !essentials.has(kind)
  essentials.add(kind)
  return { ...one, essential }
}

const sample = (call: Call, name: string, status: number, pathValue?: string): Sample => {
  const { document, path, method, operation, step } = call
  const { values = {}, folder = operation.tags[0] ?? '' } = step ?? {}
  const body = step?.body ?? bodyOf(operation)?.media.example
  const response = operation.responses[String(status)]
  const valueOf = (wanted: string): string => pathValue ?? values[wanted] ?? exampleOf(parameterOf(operation, wanted))
  return {
    name,
    folder,
    description: descriptionOf(call),
    method,
    target: path.replaceAll(/\{(\w+)\}/g, (_, wanted: string) => valueOf(wanted)),
    key: keyOf(operation),
    ...(body === undefined ? {} : { body }),
    bodyType: bodyOf(operation)?.type ?? 'application/json',
    expected: { statuses: [status], ...(response === undefined ? {} : contentOf(document, response, method)) },
    essential: false,
  }
}

const descriptionOf = ({ operation, step }: Call): string => {
  const { description } = operation
  if (keyOf(operation) === 'operatorKey') return `${description} ${forOperators(operation)}`
  return step?.note === undefined ? description : `${description} ${step.note}`
}

const refused = (call: Call, name: string, status: number, code: string, pathValue?: string): Sample => ({
  ...sample(call, name, status, pathValue),
  expected: { statuses: [status], ...problemOf(call.document), code },
})

const problemOf = (document: ApiDescription): Pick<Expected, 'mediaType' | 'schema'> => ({
  mediaType: 'application/problem+json',
  schema: complete(document, document.components.schemas['Problem'] ?? {}),
})

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
