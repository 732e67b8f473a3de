import { bearerChallenge } from './challenge.ts'
import { type Problem, problemKinds } from './errors.ts'

export interface ProblemDocument {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly code: string
  readonly request_id: string
  readonly errors?: Problem['options']['errors']
  readonly [member: string]: unknown
}

/** The body of a refusal (RFC 9457): only what the client may know. */
export const problemDocument = ({ code, options }: Problem, requestId: string): ProblemDocument => {
  const { status, title, type = `/problems/${code}` } = problemKinds[code]
  return {
    type,
    title,
    status,
    detail: options.detail,
    code,
    request_id: requestId,
    ...(options.errors === undefined ? {} : { errors: options.errors }),
    ...options.members,
  }
}

/** A 401 says how to authenticate, whoever refuses (RFC 9110 section 15.5.2). */
const challenge = { 'www-authenticate': bearerChallenge() }

/** The header fields that go with it, besides Content-Type and Content-Length. */
export const problemHeaders = ({ code, options }: Problem): Record<string, string> => ({
  'cache-control': 'no-store',
  ...(code === 'unauthenticated' ? challenge : {}),
  ...(options.retryAfterSeconds === undefined ? {} : { 'retry-after': String(options.retryAfterSeconds) }),
  ...options.headers,
})
