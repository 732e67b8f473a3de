import type { FastifyError, FastifyPluginCallback, FastifyReply, FastifyRequest } from 'fastify'

import { type FieldError, Problem, type ProblemCode } from '../core/errors.ts'
import type { Observe } from '../core/events.ts'
import { wholeServer } from '../core/plugin.ts'
import { problemDocument, problemHeaders } from '../core/problem-document.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Why the request was refused. Set by the problems layer. */
    refusal?: Problem
  }
}

export interface ProblemsOptions {
  readonly observe: Observe
}

/** Step 12: every error, thrown or passed on anywhere, becomes one problem document (RFC 9457); what is not ours becomes `internal`. */
export const problems: FastifyPluginCallback<ProblemsOptions> = wholeServer('problems', (app, { observe }, done) => {
  const refuse = (request: FastifyRequest, reply: FastifyReply, problem: Problem): void => {
    request.refusal = problem
    if (inputCodes.has(problem.code)) observe(inputEvent(request, problem))
    void reply
      .code(problem.statusCode)
      .headers(problemHeaders(problem))
      .type('application/problem+json')
      // With a serializer Fastify adds no charset, which JSON has none of (RFC 8259 section 11); a string goes with its header in one write.
      .serializer(asItIs)
      .send(JSON.stringify(problemDocument(problem, request.id)))
  }

  app.setErrorHandler((error: FastifyError | Problem, request, reply) => refuse(request, reply, toProblem(error)))
  app.setNotFoundHandler((request, reply) => refuse(request, reply, notFound))
  done()
})

const asItIs = (payload: unknown): string => String(payload)

const notFound = new Problem('not_found', { detail: 'There is nothing here.' })

/** What says that somebody sends input which a client of ours would not. */
const inputCodes: ReadonlySet<ProblemCode> = new Set(['validation_failed', 'bad_request', 'payload_too_large', 'unsupported_media_type'])

const inputEvent = (request: FastifyRequest, { code, options }: Problem) => ({
  event: 'input_validation_fail' as const,
  requestId: request.id,
  client: request.client?.prefix ?? null,
  code,
  pointers: options.errors?.map(({ pointer, detail }) => (detail === unknownMember ? withoutName(pointer) : pointer)) ?? [],
})

const unknownMember = 'is not known here'

/** A name that no schema knows may itself be the secret that somebody pasted: the client is told it, the log is not. */
const withoutName = (pointer: string): string => `${pointer.slice(0, pointer.lastIndexOf('/'))}/[redacted]`

/** Fastify's own refusals, in our words. */
const frameworkProblems: Readonly<Record<string, { readonly code: ProblemCode; readonly detail: string }>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: { code: 'payload_too_large', detail: 'Send a smaller body.' },
  FST_ERR_CTP_INVALID_MEDIA_TYPE: { code: 'unsupported_media_type', detail: 'Send application/json.' },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: { code: 'bad_request', detail: 'The body is not as long as Content-Length says.' },
  FST_ERR_CTP_EMPTY_JSON_BODY: { code: 'bad_request', detail: 'Send a JSON body.' },
  FST_ERR_BAD_URL: { code: 'bad_request', detail: 'The target has a broken percent escape.' },
  FST_ERR_ROUTE_MISSING_CONTENT_TYPE: { code: 'unsupported_media_type', detail: 'Send a Content-Type.' },
}

interface Validation {
  readonly validation: readonly {
    readonly instancePath: string
    readonly message?: string
    readonly keyword: string
    readonly params: object
  }[]
  readonly validationContext: string
}

const toProblem = (error: unknown): Problem => {
  if (error instanceof Problem) return error
  if (isValidation(error)) return validationProblem(error)
  const known = frameworkProblems[(error as Partial<FastifyError> | null)?.code ?? '']
  if (known) return new Problem(known.code, { detail: known.detail, cause: error })
  return new Problem('internal', { detail: 'Something went wrong on our side. The request id helps to find it.', cause: error })
}

const isValidation = (error: unknown): error is Validation => typeof error === 'object' && error !== null && 'validation' in error

/** More would only repeat what is wrong, and a client must not choose the size of an answer. */
const maxFieldErrors = 20

const validationProblem = ({ validation, validationContext }: Validation): Problem => {
  const part = validationContext === 'body' ? '' : `/${contextNames[validationContext] ?? validationContext}`
  const errors = fieldErrors(validation, part)
  return new Problem('validation_failed', { detail: 'Correct the fields named in errors and send the request again.', errors })
}

/** What Ajv found, in our words; pointers begin with `part`. */
export const fieldErrors = (found: Validation['validation'], part = ''): FieldError[] =>
  found.slice(0, maxFieldErrors).map(({ instancePath, message, keyword, params }) => ({
    pointer: `${part}${instancePath}${missingOrExtra(keyword, params)}`,
    detail: keyword === 'additionalProperties' ? unknownMember : (message ?? 'is not valid'),
  }))

const contextNames: Readonly<Record<string, string>> = { querystring: 'query', params: 'path', headers: 'header' }

/** Ajv points at the object; the field is what the client looks for. Escaped as RFC 6901 section 3 says. */
const missingOrExtra = (keyword: string, params: object): string => {
  const name: unknown =
    keyword === 'required' && 'missingProperty' in params
      ? params.missingProperty
      : keyword === 'additionalProperties' && 'additionalProperty' in params
        ? params.additionalProperty
        : undefined
  return typeof name === 'string' ? `/${name.slice(0, 100).replaceAll('~', '~0').replaceAll('/', '~1')}` : ''
}
