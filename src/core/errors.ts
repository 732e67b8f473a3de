/** Every way an answer can be a refusal: one table of stable codes, the source of status, title and problem type (RFC 9457). */

interface ProblemKind {
  readonly status: number
  readonly title: string
  /** Only where IANA registers a type; otherwise `/problems/{code}`. */
  readonly type?: string
}

const iana = (fragment: string): string => `https://iana.org/assignments/http-problem-types#${fragment}`

const problemTable = {
  validation_failed: { status: 400, title: 'The request is not valid' },
  bad_request: { status: 400, title: 'The request cannot be understood' },
  unauthenticated: { status: 401, title: 'Authentication is needed' },
  forbidden: { status: 403, title: 'Not allowed' },
  not_found: { status: 404, title: 'Not found' },
  method_not_allowed: { status: 405, title: 'Method not allowed' },
  not_acceptable: { status: 406, title: 'No acceptable representation' },
  request_timeout: { status: 408, title: 'The request took too long to arrive' },
  conflict: { status: 409, title: 'Conflict' },
  precondition_failed: { status: 412, title: 'Precondition failed' },
  payload_too_large: { status: 413, title: 'The body is too large' },
  uri_too_long: { status: 414, title: 'The target is too long' },
  unsupported_media_type: { status: 415, title: 'Unsupported media type' },
  expectation_failed: { status: 417, title: 'The expectation cannot be met' },
  misdirected_request: { status: 421, title: 'This host is not served here' },
  idempotency_mismatch: { status: 422, title: 'The idempotency key was used for another request' },
  precondition_required: { status: 428, title: 'A precondition is required' },
  quota_exceeded: { status: 429, title: 'Request cannot be satisfied as assigned quota has been exceeded', type: iana('quota-exceeded') },
  abnormal_usage_detected: {
    status: 429,
    title: 'Request not satisfied due to detection of abnormal request pattern',
    type: iana('abnormal-usage-detected'),
  },
  headers_too_large: { status: 431, title: 'The header fields are too large' },
  internal: { status: 500, title: 'Internal error' },
  temporary_reduced_capacity: {
    status: 503,
    title: 'Request cannot be satisfied due to temporary server capacity constraints',
    type: iana('temporary-reduced-capacity'),
  },
  store_unavailable: { status: 503, title: 'Storage is unavailable' },
} as const satisfies Record<string, ProblemKind>

export type ProblemCode = keyof typeof problemTable

export const problemKinds: Readonly<Record<ProblemCode, ProblemKind>> = problemTable

/** One thing wrong with an input. `pointer` is a JSON pointer (RFC 6901) into the body, or `/query/name`-style for other parts. */
export interface FieldError {
  readonly pointer: string
  readonly detail: string
}

export interface ProblemOptions {
  /** A public sentence that tells the client what to do; never internal text. */
  readonly detail: string
  readonly errors?: readonly FieldError[]
  /** Header fields of the answer, such as Allow or WWW-Authenticate. */
  readonly headers?: Readonly<Record<string, string>>
  readonly retryAfterSeconds?: number
  /** Extension members (RFC 9457 section 3.2), such as `violated-policies`. */
  readonly members?: Readonly<Record<string, unknown>>
  /** For the log, never for the client. */
  readonly cause?: unknown
}

/** A refusal: thrown or passed on by any layer or route, turned into the answer by the problems layer alone. */
export class Problem extends Error {
  override readonly name = 'Problem'
  readonly code: ProblemCode
  readonly options: ProblemOptions

  constructor(code: ProblemCode, options: ProblemOptions) {
    // A refusal is an answer and no fault: its stack tells nobody anything, and would cost a flood more of our time than all the rest.
    const { stackTraceLimit } = Error
    Error.stackTraceLimit = 0
    super(options.detail, options.cause === undefined ? undefined : { cause: options.cause })
    Error.stackTraceLimit = stackTraceLimit
    this.code = code
    this.options = options
  }

  get statusCode(): number {
    return problemKinds[this.code].status
  }
}
