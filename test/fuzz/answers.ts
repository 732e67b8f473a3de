import type { Answer } from './judge.ts'

export interface HeardAll {
  readonly answers: readonly Answer[]
  /** How often a 100 came. */
  readonly continues: number
  /** What no HTTP/1.1 parser may be asked to accept. */
  readonly faults: readonly string[]
}

const statusLine = /^HTTP\/1\.1 ([1-5]\d\d) ([A-Za-z' -]+)$/
const fieldLine = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+): ([\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)$/

/** Everything else stands in an answer once. */
const repeatable = new Set(['set-cookie', 'link', 'vary', 'www-authenticate'])

/**
 * Answers of HTTP/1.1, read without any tolerance: every octet belongs to one of them, each has the one length that it says (RFC 9112 section
 * 6), and no field could have come in through a value. `isHead` says whether the answer of that number, to the request of that name, is one to HEAD.
 */
export const readAnswers = (received: Buffer, isHead: (index: number, requestId: string) => boolean, isCut: boolean): HeardAll => {
  const answers: Answer[] = []
  const faults: string[] = []
  let continues = 0
  let rest = received
  while (rest.length > 0) {
    const end = rest.indexOf('\r\n\r\n')
    if (end === -1) {
      if (!isCut) faults.push(`what came is no answer: ${shown(rest)}`)
      break
    }
    const [first = '', ...lines] = rest.subarray(0, end).toString('latin1').split('\r\n')
    const status = Number(statusLine.exec(first)?.[1] ?? 0)
    if (status === 0) {
      faults.push(`not a status line: ${shown(Buffer.from(first, 'latin1'))}`)
      break
    }
    rest = rest.subarray(end + 4)
    if (status === 100) {
      continues++
      if (lines.length > 0) faults.push('a 100 with fields')
      continue
    }
    const fields = readFields(lines, faults)
    const hasBody =
      status !== 204 &&
      status !== 304 &&
      !(isHead(answers.length, fields.get('x-request-id') ?? '') && (rest.length === 0 || rest[0] === 72))
    const body = takeBody(fields, rest, { status, hasBody, isCut, faults })
    if (body === undefined) break
    rest = rest.subarray(body.taken)
    answers.push({ status, fields, body: body.content, hasBody })
  }
  return { answers, continues, faults }
}

const readFields = (lines: readonly string[], faults: string[]): Map<string, string> => {
  const fields = new Map<string, string>()
  for (const line of lines) {
    const [, name = '', value = ''] = fieldLine.exec(line) ?? []
    if (name === '') faults.push(`not a field: ${shown(Buffer.from(line, 'latin1'))}`)
    const known = name.toLowerCase()
    if (fields.has(known) && !repeatable.has(known)) faults.push(`${known} stands there twice`)
    fields.set(known, value)
  }
  return fields
}

interface BodyOptions {
  readonly status: number
  readonly hasBody: boolean
  readonly isCut: boolean
  readonly faults: string[]
}

const takeBody = (
  fields: ReadonlyMap<string, string>,
  rest: Buffer,
  { status, hasBody, isCut, faults }: BodyOptions,
): { readonly content: Buffer; readonly taken: number } | undefined => {
  const length = fields.get('content-length')
  const coding = fields.get('transfer-encoding')
  if (length !== undefined && coding !== undefined) faults.push('two framings')
  if (length !== undefined && !/^(0|[1-9]\d*)$/.test(length)) faults.push(`Content-Length: ${length}`)
  if (status === 204 && (length !== undefined || coding !== undefined)) faults.push('a length for a 204')
  if (!hasBody) return { content: Buffer.alloc(0), taken: 0 }
  if (coding !== undefined) return takeChunks(rest, coding, isCut, faults)
  if (length === undefined) {
    faults.push(`a ${status} without a length`)
    return undefined
  }
  const size = Number(length)
  if (rest.length >= size) return { content: rest.subarray(0, size), taken: size }
  if (!isCut) faults.push(`a body of ${rest.length} instead of ${size} bytes`)
  return undefined
}

const takeChunks = (rest: Buffer, coding: string, isCut: boolean, faults: string[]): { content: Buffer; taken: number } | undefined => {
  const parts: Buffer[] = []
  if (coding !== 'chunked') faults.push(`Transfer-Encoding: ${coding}`)
  for (let at = 0; ;) {
    const lineEnd = rest.indexOf('\r\n', at)
    const digits = rest.subarray(at, lineEnd === -1 ? rest.length : lineEnd).toString('latin1')
    const size = /^[0-9a-f]{1,8}$/.test(digits) ? Number.parseInt(digits, 16) : Number.NaN
    const start = lineEnd + 2
    const end = start + size
    if (lineEnd === -1 || Number.isNaN(size) || rest.toString('latin1', end, end + 2) !== '\r\n') {
      if (!isCut) faults.push(`a broken chunk: ${shown(rest.subarray(at))}`)
      return undefined
    }
    parts.push(rest.subarray(start, end))
    at = end + 2
    if (size === 0) return { content: Buffer.concat(parts), taken: at }
  }
}

export const shown = (bytes: Buffer): string => JSON.stringify(bytes.subarray(0, 120).toString('latin1'))
