import { describeApp } from '../../src/serve/describe.ts'
import { loadConfig } from '../../src/config.ts'
import { checkLimits } from '../../src/serve.ts'
import type { ApiDescription, Operation, Parameter } from '../../src/api/site/document.ts'
import type { Random } from '../support/random.ts'
import { operationsOf } from '../support/openapi.ts'
import { pick } from './case.ts'

/** A good request, or nearly one. */
export interface Request {
  readonly method: string
  readonly target: string
  readonly fields: readonly (readonly [string, string])[]
  /** JSON. */
  readonly body: string | undefined
}

/** Names of credentials in a case; see `filled`. */
export const credentialNames = ['$ADMIN$', '$EDITOR$', '$VIEWER$', '$KEY$'] as const

/** Makes good requests, by the server's own description of itself. */
export type DrawRequest = (random: Random) => Request

/** What the program of this checkout says that it serves; no server is needed. */
export const describeOwn = async (): Promise<ApiDescription> => {
  const { description } = await describeApp(loadConfig({ env: {}, cwd: import.meta.dirname, checkLimits }))
  return JSON.parse(JSON.stringify(description())) as ApiDescription
}

/** Where a password is hashed: drawn seldom, because each costs as much as a hundred others. */
const isCostly = (name: string): boolean => /^(POST|PUT) \/v1\/(auth\/(login|register|claim)|me\/password|users)$/.test(name)

export const createRequests = (document: ApiDescription): DrawRequest => {
  const operations = [...operationsOf(document)]
  const cheap = operations.filter(([name]) => !isCostly(name))
  return (random) => {
    const [name, operation] = pick(random, random.often(0.03) ? operations : cheap)
    const [method = '', url = ''] = name.split(' ')
    return {
      method: method === 'GET' && random.often(0.1) ? 'HEAD' : method,
      target: targetOf(random, url, operation.parameters ?? []),
      fields: fieldsOf(random, operation),
      body: bodyOf(random, operation),
    }
  }
}

const examplesOf = ({ schema }: Parameter): readonly string[] => {
  const { examples = [], enum: names = [] } = schema as { readonly examples?: readonly unknown[]; readonly enum?: readonly unknown[] }
  return [...examples, ...names].map(String)
}

const oddValues = ['', '0', '1', '2', '-1', '999999', 'x', '%00', '%F0%9F%8E%AC', 'a'.repeat(300), '1e3', 'null', 'true', '[]', '%22', "'--", '..', '%2e%2e'] // prettier-ignore

const valueOf = (random: Random, parameter: Parameter): string => {
  const examples = examplesOf(parameter)
  return examples.length > 0 && random.often(0.8) ? pick(random, examples) : pick(random, oddValues)
}

const targetOf = (random: Random, url: string, parameters: readonly Parameter[]): string => {
  const path = url.replaceAll(/:(\w+)/g, (_, name: string) => {
    const parameter = parameters.find((one) => one.name === name)
    return parameter === undefined ? '1' : encodeURI(valueOf(random, parameter))
  })
  const query = parameters
    .filter((parameter) => parameter.in === 'query' && random.often(0.4))
    .map((parameter) => `${parameter.name}=${valueOf(random, parameter)}`)
  return query.length === 0 ? path : `${path}?${query.join('&')}`
}

const fieldsOf = (random: Random, { security }: Operation): readonly (readonly [string, string])[] => {
  const isOpen = security.some((requirement) => Object.keys(requirement).length === 0)
  const isAnonymous = random.often(isOpen ? 0.7 : 0.1)
  const fields: (readonly [string, string])[] = [['Host', random.often(0.8) ? 'localhost' : '127.0.0.1:3000']]
  if (!isAnonymous) fields.push(['Authorization', `Bearer ${random.often(0.6) ? '$ADMIN$' : pick(random, credentialNames)}`])
  if (random.often(0.1))
    fields.push(['Accept', pick(random, ['*/*', 'application/json', 'text/html', 'application/problem+json', 'image/png;q=0'])])
  if (random.often(0.05)) fields.push(['Expect', '100-continue'])
  if (random.often(0.05)) fields.push(['If-None-Match', pick(random, ['*', '"1"', 'W/"x"'])])
  return fields
}

const bodyOf = (random: Random, { requestBody }: Operation): string | undefined => {
  const media = requestBody?.content['application/json']
  if (media === undefined) return random.often(0.03) ? '{}' : undefined
  const examples = [
    ...(media.example === undefined ? [] : [media.example]),
    ...Object.values(media.examples ?? {}).map(({ value }) => value),
  ]
  return JSON.stringify(examples.length === 0 ? {} : pick(random, examples))
}
