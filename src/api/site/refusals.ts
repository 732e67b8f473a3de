import { type ProblemCode, problemKinds } from '../../core/errors.ts'
import type { Reference, Response } from './document.ts'
import { everyAnswer, type HeaderName } from './header-fields.ts'
import { exampleProblem, problemTexts } from './problem-texts.ts'
import { reference } from './schemas.ts'

/** What refuses a request before its route is asked, whichever it is: the connection, the message, bad credentials, `total`, storage. */
const everywhere: readonly ProblemCode[] = [
  'bad_request',
  'unauthenticated',
  'not_acceptable',
  'request_timeout',
  'payload_too_large',
  'uri_too_long',
  'unsupported_media_type',
  'expectation_failed',
  'misdirected_request',
  'quota_exceeded',
  'headers_too_large',
  'internal',
  'store_unavailable',
]

export interface Nature {
  /** It has a schema for some part of the request. */
  readonly takesInput: boolean
  /** It asks for a permission that not everybody has. */
  readonly asksPermission: boolean
  /** What only the route knows. */
  readonly own: readonly ProblemCode[]
}

/** The refusals of a route that handles the session cookie: they may make the browser forget it. */
const clearing: ReadonlySet<number> = new Set([400, 401])

/** Every code that such a route can answer with, by status. 405 is not among them: it belongs to the address, not to an operation. */
export const refusalsOf = ({ takesInput, asksPermission, own }: Nature): ReadonlyMap<number, readonly ProblemCode[]> => {
  const codes = new Set<ProblemCode>(everywhere)
  if (takesInput) codes.add('validation_failed')
  if (asksPermission) codes.add('forbidden')
  for (const code of own) codes.add(code)
  return Map.groupBy([...codes].toSorted(), (code) => problemKinds[code].status)
}

export interface Refusal {
  readonly codes: readonly ProblemCode[]
  /** The route handles the session cookie. */
  readonly withCookie?: boolean
  /** False where the method has none. */
  readonly withBody?: boolean
}

const mayClear = ({ codes, withCookie = false }: Refusal): boolean => withCookie && clearing.has(statusOf(codes))

const statusOf = (codes: readonly ProblemCode[]): number => problemKinds[codes[0] ?? 'internal'].status

/** The name under which all operations share the answer. */
export const refusalName = (refused: Refusal): string => refused.codes.join('-or-') + (mayClear(refused) ? '-with-cookie' : '')

const ownHeaders: Readonly<Partial<Record<number, readonly HeaderName[]>>> = {
  401: ['WWW-Authenticate'],
  403: ['WWW-Authenticate'],
  415: ['Accept-Post'],
  429: ['Retry-After'],
  503: ['Retry-After'],
}

export const headersOf = (names: readonly string[]): Readonly<Record<string, Reference>> =>
  Object.fromEntries(names.map((name) => [name, reference('headers', name)]))

/** The answer to one or more codes of one status. */
export const refusal = (refused: Refusal): Response => {
  const { codes, withBody = true } = refused
  const status = statusOf(codes)
  const answer = {
    description: codes.map((code) => `${code}: ${problemTexts[code].means}`).join('\n\n'),
    headers: headersOf([...everyAnswer, ...(ownHeaders[status] ?? []), ...(mayClear(refused) ? ['Set-Cookie'] : [])]),
  }
  if (!withBody) return answer
  const schema = {
    allOf: [reference('schemas', 'Problem'), { properties: { status: { const: status }, code: { enum: codes } } }],
  }
  const examples = Object.fromEntries(codes.map((code) => [code, { value: exampleProblem(code) }]))
  return { ...answer, content: { 'application/problem+json': { schema, examples } } }
}
