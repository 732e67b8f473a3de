import assert from 'node:assert/strict'

import Schema from 'typebox/schema'

import type { ApiDescription, Header, Operation, RateLimit, Reference, Response } from '../../src/api/site/document.ts'
import { type Answer, ask } from './attack.ts'

export const readDocument = async (server: { readonly port: number }): Promise<ApiDescription> => {
  const answer = await ask(server, { target: '/openapi.json' })
  assert.equal(answer.status, 200)
  return answer.json() as unknown as ApiDescription
}

/** Every operation with its names as the table of routes has them: `GET /v1/films/:id`. */
export const operationsOf = ({ paths }: ApiDescription): Map<string, Operation> =>
  new Map(
    Object.entries(paths).flatMap(([path, operations]) =>
      Object.entries(operations).map(([method, operation]) => [
        `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ':$1')}`,
        operation,
      ]),
    ),
  )

/** What a reference stands for; anything else as it is. */
export const resolved = <T>(document: ApiDescription, value: T | Reference): T => {
  if (typeof value !== 'object' || value === null || !('$ref' in value)) return value
  const [, , section = '', name = ''] = value.$ref.split('/')
  const target = (document.components as unknown as Readonly<Record<string, Readonly<Record<string, object>>>>)[section]?.[name]
  assert.ok(value.$ref.startsWith('#/components/') && target, `${value.$ref} leads nowhere`)
  return target as T
}

/** References inside of a schema count from the top of the document, so the schema is checked as a part of it. */
export const assertFits = (document: ApiDescription, schema: object, value: unknown): void => {
  const [fits, errors] = Schema.Errors({ ...schema, components: document.components }, value)
  assert.ok(fits, JSON.stringify({ errors, value }))
}

/** On every answer whatever it is: framing, and the security fields that `assertSafe` knows. */
const undescribed =
  /^(content-(type|length|security-policy)|date|connection|keep-alive|x-content-type-options|referrer-policy|permissions-policy|cross-origin-\w+-policy|x-frame-options|reporting-endpoints)$/

/** Its status, its fields and its body are what the document says of that operation. */
export const assertDescribed = (document: ApiDescription, name: string, answer: Answer): void => {
  const operation = operationsOf(document).get(name)
  const given = operation?.responses[answer.status]
  assert.ok(given, `${name} answers ${answer.status}, which is not described: ${answer.body}`)
  const response = resolved<Response>(document, given)
  const described = new Map(Object.entries(response.headers).map(([field, header]) => [field.toLowerCase(), header]))
  for (const [field] of answer.fields)
    assert.ok(undescribed.test(field) || described.has(field), `${name} ${answer.status}: ${field} is not described`)
  for (const [field, header] of described)
    if (resolved<Header>(document, header).required)
      assert.ok(answer.field(field) !== undefined, `${name} ${answer.status}: ${field} is missing`)
  if (name.startsWith('HEAD ') || response.content === undefined) {
    assert.equal(answer.body, '')
    return
  }
  const [mediaType = ''] = (answer.field('content-type') ?? '').split(';')
  const media = response.content[mediaType]
  assert.ok(media, `${name} ${answer.status}: ${mediaType} is not described`)
  assertFits(document, media.schema, mediaType.endsWith('json') ? answer.json() : answer.body)
}

/** As the field RateLimit-Policy says it. */
export const policyOf = (windows: readonly RateLimit[]): string =>
  windows.map(({ name, limit, window_seconds: seconds }) => `"${name}";q=${limit};w=${seconds}`).join(', ')

/** The path of an operation with the examples of its parameters. */
export const targetOf = (document: ApiDescription, name: string): string => {
  const [, url = ''] = name.split(' ')
  const parameters = operationsOf(document).get(name)?.parameters ?? []
  return url.replaceAll(/:(\w+)/g, (_, wanted: string) => {
    const { examples = [] } = (parameters.find((one) => one.name === wanted)?.schema ?? {}) as { readonly examples?: readonly string[] }
    return examples[0] ?? assert.fail(`${name}: ${wanted} has no example`)
  })
}

type Fields = Readonly<Record<string, string>>

/** Fields of the one who may do what the operation does; undefined where everybody may. */
export const ownerOf = (
  document: ApiDescription,
  name: string,
  owners: { readonly films: Fields; readonly operator: Fields; readonly account: Fields },
): Fields | undefined => {
  const security = operationsOf(document).get(name)?.security ?? []
  if (security.some((requirement) => Object.keys(requirement).length === 0)) return undefined
  const [permission = ''] = security.flatMap(({ accessToken = [] }) => accessToken)
  if (permission.startsWith('security:')) return owners.operator
  return permission.startsWith('films:') ? owners.films : owners.account
}
