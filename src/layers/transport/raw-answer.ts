import { STATUS_CODES } from 'node:http'

import type { Problem } from '../../core/errors.ts'
import { problemDocument, problemHeaders } from '../../core/problem-document.ts'

/** A whole HTTP/1.1 answer as text, for what is refused before there is a request to answer. The connection ends with it. */
export const rawAnswer = (problem: Problem, requestId: string, fields: Readonly<Record<string, string>>): string => {
  const body = JSON.stringify(problemDocument(problem, requestId))
  const all = {
    ...fields,
    ...problemHeaders(problem),
    'x-request-id': requestId,
    'content-type': 'application/problem+json',
    'content-length': String(Buffer.byteLength(body)),
    date: new Date().toUTCString(),
    connection: 'close',
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 ${problem.statusCode} ${STATUS_CODES[problem.statusCode] ?? ''}\r\n${lines.join('')}\r\n${body}`
}
