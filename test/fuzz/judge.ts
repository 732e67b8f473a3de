import { problemKinds } from '../../src/core/errors.ts'
import type { LogRecord } from '../support/server.ts'

/** One final answer, as its bytes say it. */
export interface Answer {
  readonly status: number
  /** Names in lower case. */
  readonly fields: ReadonlyMap<string, string>
  readonly body: Buffer
  /** Whether a body was to be expected: not in an answer to HEAD. */
  readonly hasBody: boolean
}

const securityFields: readonly (readonly [name: string, value: RegExp])[] = [
  ['content-security-policy', /base-uri 'none'.*frame-ancestors 'none'/],
  ['x-content-type-options', /^nosniff$/],
  ['referrer-policy', /^no-referrer$/],
  ['permissions-policy', /camera=\(\)/],
  ['cross-origin-opener-policy', /^same-origin$/],
  ['cross-origin-resource-policy', /^(same-origin|cross-origin)$/],
  ['x-frame-options', /^DENY$/],
  ['cache-control', /./],
  ['date', /GMT$/],
  ['x-request-id', /^[0-9a-f]{24}$/],
]

/** What no answer may tell: stack frames, paths of the machine, SQL, names and versions of the software. */
const leaks = [
  /\n\s+at |\.[cm]?[tj]s:\d|node_modules|node:\w/,
  /\/(work|home|tmp|usr|root|var|opt)\/\w/,
  /\b(select|insert into|update|delete from)\b.*\b(from|values|set|where)\b|sqlite|postgres|no such (table|column)|constraint failed/i,
  /fastify|kysely|llhttp|nghttp2|undici|\bajv\b|FST_|HPE_|ERR_[A-Z]|\bv?\d+\.\d+\.\d+(?!\.?\d)/i,
  /Unexpected token|in JSON at|Cannot read prop|undefined is not|is not a function|\[object Object\]/,
]

/** A pointer repeats the client's own words. */
const withoutPointers = (text: string): string => text.replaceAll(/"pointer":"(?:[^"\\]|\\.)*"/g, '')

/** What is wrong with one answer whatever it is an answer to. */
export const faultsOfAnswer = (answer: Answer): readonly string[] => {
  const { status, fields, body, hasBody } = answer
  const faults: string[] = []
  for (const [name, value] of securityFields)
    if (!value.test(fields.get(name) ?? '')) faults.push(`${name}: ${fields.get(name) ?? 'missing'}`)
  for (const name of ['server', 'x-powered-by']) if (fields.has(name)) faults.push(`${name} is told`)
  const told = [...fields].filter(([name]) => name !== 'date' && name !== 'etag').map(([name, value]) => `${name}: ${value}`)
  // What a good answer holds are films, accounts and texts of our own.
  if (status >= 400) told.push(withoutPointers(body.toString()))
  for (const leak of leaks) for (const text of told) if (leak.test(text)) faults.push(`tells ${String(leak)}: ${text.slice(0, 300)}`)
  if (status >= 500) faults.push(...faultsOf5xx(answer))
  if (status >= 400) faults.push(...faultsOfProblem(answer))
  if (status < 400 && hasBody && /json/.test(fields.get('content-type') ?? '') && !/ndjson/.test(fields.get('content-type') ?? '')) {
    if (json(body) === undefined) faults.push('a body that is no JSON')
  }
  return faults
}

/** Of 503 there is one kind that the load of a run may cause: more password hashes at once than this machine has room for. */
const faultsOf5xx = ({ status, fields, body }: Answer): readonly string[] => {
  const isSaid =
    status === 503 && fields.has('retry-after') && (json(body) as { code?: string } | undefined)?.code === 'temporary_reduced_capacity'
  return isSaid ? [] : [`answers ${status}`]
}

const needed: Readonly<Record<number, string>> = { 401: 'www-authenticate', 405: 'allow', 429: 'retry-after', 503: 'retry-after' }

const faultsOfProblem = ({ status, fields, body, hasBody }: Answer): readonly string[] => {
  const faults: string[] = []
  const field = needed[status]
  if (field !== undefined && !fields.has(field)) faults.push(`a ${status} without ${field}`)
  if (fields.get('cache-control') !== 'no-store') faults.push('an error that may be kept')
  if (!/^application\/problem\+json\b/.test(fields.get('content-type') ?? '')) faults.push(`a ${status} that is no problem document`)
  if (!hasBody) return faults
  const document = json(body) as Readonly<Record<string, unknown>> | undefined
  if (document === undefined) return [...faults, 'a problem document that is no JSON']
  const kind = problemKinds[document['code'] as keyof typeof problemKinds]
  if (kind?.status !== status || document['status'] !== status)
    faults.push(`a ${status} whose document says ${String(document['status'])} ${String(document['code'])}`)
  if (document['request_id'] !== fields.get('x-request-id')) faults.push('a document of another request')
  for (const member of ['type', 'title', 'detail']) if (typeof document[member] !== 'string') faults.push(`a document without ${member}`)
  return faults
}

const json = (body: Buffer): unknown => {
  try {
    return JSON.parse(body.toString())
  } catch {
    return undefined
  }
}

export const requestIdOf = ({ fields }: Answer): string => fields.get('x-request-id') ?? ''

export const saysClose = ({ fields }: Answer): boolean => fields.get('connection') === 'close'

export interface Told {
  readonly answers: readonly Answer[]
  /** The lines of this connection's requests. */
  readonly lines: readonly LogRecord[]
  /** The client went away, so that not every answer was heard. */
  readonly isGone: boolean
}

/** Holds answers and log lines against one another, one to one. */
export const faultsOfLog = ({ answers, lines, isGone }: Told): readonly string[] => {
  const faults: string[] = []
  for (const answer of answers) {
    const own = lines.filter((line) => line['request_id'] === requestIdOf(answer))
    const [line] = own
    if (own.length !== 1 || line === undefined) faults.push(`an answer (${answer.status}) with ${own.length} log lines`)
    else faults.push(...faultsOfLine(answer, line, isGone))
  }
  const answered = new Set(answers.map(requestIdOf))
  const last = answers.at(-1)
  for (const line of lines) {
    if (isGone || answered.has(String(line['request_id']))) continue
    // Routed before the answer to the one in front of it turned out to be the last.
    const isUnheard = line['verdict'] === 'aborted' && last !== undefined && saysClose(last)
    if (!isUnheard) faults.push(`a log line without an answer: ${JSON.stringify(line)}`)
  }
  const ids = lines.map((line) => line['request_id'])
  if (new Set(ids).size !== ids.length) faults.push('a request that was logged twice')
  return faults
}

const faultsOfLine = (answer: Answer, line: LogRecord, isGone: boolean): readonly string[] => {
  const faults: string[] = []
  const code = answer.status < 400 ? 'ok' : answer.hasBody ? (json(answer.body) as { code?: string } | undefined)?.code : undefined
  if (line['status'] !== answer.status) faults.push(`answered ${answer.status}, logged ${String(line['status'])}`)
  if (code !== undefined && line['verdict'] !== code && !(isGone && line['verdict'] === 'aborted'))
    faults.push(`answered ${code}, logged ${String(line['verdict'])}`)
  if (answer.hasBody && !answer.fields.has('transfer-encoding') && line['bytes_out'] !== answer.body.length)
    faults.push(`a body of ${answer.body.length} bytes, logged ${String(line['bytes_out'])}`)
  return faults
}
