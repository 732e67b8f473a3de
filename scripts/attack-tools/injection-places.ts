import type { ApiDescription, Media, Operation, Parameter } from '../../src/api/site/document.ts'

/** One request in which each place that a client can fill is marked, as sqlmap wants it (`-r`). */
export interface MarkedRequest {
  /** Of the description: `GET /v1/films/{id}`, and the query parameter that it carries. */
  readonly route: string
  readonly method: string
  /** With marks. */
  readonly target: string
  readonly fields: readonly (readonly [string, string])[]
  /** With marks; JSON of some kind. */
  readonly body: string | undefined
  readonly mediaType: string
  /** Marks in all of it. */
  readonly places: number
  readonly needsToken: boolean
}

/** sqlmap puts its payloads where this stands, in front of it stays what an honest client would send. */
const mark = '*'

/** Some ids are random: this one is well-formed and nobody's, and so is that of most examples. */
const nobody = 'unobodyhasthisidatall'

const exampleOf = ({ schema }: Parameter): string => {
  const [example] = (schema as { readonly examples?: readonly unknown[] }).examples ?? [nobody]
  return String(example)
}

/** Each string and number of a document; JSON escapes no mark. */
const markBody = (value: unknown): string => {
  if (typeof value === 'string') return JSON.stringify(value + mark)
  if (typeof value === 'number') return JSON.stringify(value) + mark
  if (Array.isArray(value)) return `[${value.map(markBody).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  return `{${Object.entries(value)
    .map(([key, member]) => `${JSON.stringify(key)}:${markBody(member)}`)
    .join(',')}}`
}

/** What the server looks at of the fields that any request may have, and what it writes into its log. */
const marksOfFields = ['User-Agent', 'Referer', 'Cookie', 'X-Forwarded-For', 'X-Request-Id', 'Accept-Language'] as const
const valueOfField = {
  'User-Agent': 'film-lover/1.0',
  Referer: 'http://localhost/',
  Cookie: 'a=b',
  'X-Forwarded-For': '192.0.2.1',
} as const

const markedFields = (): [string, string][] =>
  marksOfFields.map((name) => [name, `${name in valueOfField ? valueOfField[name as keyof typeof valueOfField] : '1'}${mark}`])

const exampleOfBody = ({ example, examples = {} }: Media): unknown => example ?? Object.values(examples)[0]?.value ?? {}

const count = (text: string): number => text.split(mark).length - 1

const marked = (path: string, method: string, operation: Operation, query: Parameter | undefined, alsoFields: boolean): MarkedRequest => {
  const parameters = operation.parameters ?? []
  const inPath = path.replaceAll(/\{(\w+)\}/g, (_, wanted: string) => {
    const found = parameters.find(({ name }) => name === wanted)
    if (found === undefined) throw new Error(`${path} does not describe ${wanted}`)
    return encodeURIComponent(exampleOf(found)) + mark
  })
  const target = query === undefined ? inPath : `${inPath}?${query.name}=${encodeURIComponent(exampleOf(query))}${mark}`
  const [[mediaType, media] = ['', undefined]] = Object.entries(operation.requestBody?.content ?? {})
  const body = media === undefined ? undefined : markBody(exampleOfBody(media))
  const needsToken = !operation.security.some((requirement) => Object.keys(requirement).length === 0)
  const fields = alsoFields ? markedFields() : []
  const places = count(target) + count(body ?? '') + fields.length
  const name = `${method.toUpperCase()} ${path}${query === undefined ? '' : `?${query.name}`}`
  return { route: name, method: method.toUpperCase(), target, fields, body, mediaType, places, needsToken }
}

const unmarked = (text: string): string => text.replaceAll(mark, '')

/** Where a body is not a POST's, sqlmap gives the places of the target and of the body the same names, and takes one for the other. */
const apart = (request: MarkedRequest): MarkedRequest[] => {
  const { target, body } = request
  const [inTarget, inBody] = [count(target), count(body ?? '')]
  if (inTarget === 0 || body === undefined || inBody === 0) return [request]
  return [
    { ...request, body: unmarked(body), places: request.places - inBody },
    { ...request, route: `${request.route}, body`, target: unmarked(target), fields: [], places: inBody },
  ]
}

/**
 * The layers read these fields before any route does, so on each route they would show the same: one that anybody may call, one that takes a
 * body, and two that read from the database for whoever is logged in.
 */
const withFields: ReadonlySet<string> = new Set(['get /v1/films/{id}', 'post /v1/auth/refresh', 'get /v1/auth/sessions', 'get /v1/audit'])

/** Every parameter of every operation: one request for its path and its body, and one for each parameter of its query. */
export const markedRequests = (description: ApiDescription): readonly MarkedRequest[] =>
  Object.entries(description.paths).flatMap(([path, operations]) =>
    Object.entries(operations).flatMap(([method, operation]) => {
      const queries = (operation.parameters ?? []).filter((parameter) => parameter.in === 'query')
      const fields = (query?: Parameter): boolean => query === undefined && withFields.has(`${method} ${path}`)
      return [undefined, ...queries].flatMap((query) => apart(marked(path, method, operation, query, fields(query))))
    }),
  )
