import assert from 'node:assert/strict'
import { STATUS_CODES } from 'node:http'
import { test } from 'node:test'

import { Problem, type ProblemCode, problemKinds } from './errors.ts'

/** CONTRACT section 5: clients branch on these, so neither a code nor its status ever changes. */
const contract: Readonly<Record<ProblemCode, number>> = {
  validation_failed: 400,
  bad_request: 400,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  not_acceptable: 406,
  request_timeout: 408,
  conflict: 409,
  precondition_failed: 412,
  payload_too_large: 413,
  uri_too_long: 414,
  unsupported_media_type: 415,
  expectation_failed: 417,
  misdirected_request: 421,
  idempotency_mismatch: 422,
  precondition_required: 428,
  quota_exceeded: 429,
  abnormal_usage_detected: 429,
  headers_too_large: 431,
  internal: 500,
  temporary_reduced_capacity: 503,
  store_unavailable: 503,
}

test('the codes are those of the contract, each with its status', () => {
  const statuses = Object.fromEntries(Object.entries(problemKinds).map(([code, { status }]) => [code, status]))
  assert.deepEqual(statuses, contract)
})

test('three codes have a type that IANA registers, the others have one of ours', () => {
  const types = Object.entries(problemKinds).flatMap(([code, { type }]) => (type === undefined ? [] : [[code, type]]))
  const iana = 'https://iana.org/assignments/http-problem-types'
  assert.deepEqual(Object.fromEntries(types), {
    quota_exceeded: `${iana}#quota-exceeded`,
    abnormal_usage_detected: `${iana}#abnormal-usage-detected`,
    temporary_reduced_capacity: `${iana}#temporary-reduced-capacity`,
  })
})

test('every status is one of HTTP, every title a text of its own', () => {
  const kinds = Object.values(problemKinds)
  for (const { status, title } of kinds) assert.ok(STATUS_CODES[status] && title !== '', `${status} ${title}`)
  assert.equal(new Set(kinds.map(({ title }) => title)).size, kinds.length)
})

test('a problem is an error with the status of its code, and keeps its cause for the log', () => {
  const cause = new Error('disk on fire')
  const problem = new Problem('store_unavailable', { detail: 'Try again.', cause })
  assert.ok(problem instanceof Error)
  assert.deepEqual([problem.name, problem.message, problem.statusCode, problem.cause], ['Problem', 'Try again.', 503, cause])
  assert.ok(!('cause' in new Problem('conflict', { detail: 'x' })))
})
