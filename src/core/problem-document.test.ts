import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { Problem, type ProblemCode, problemKinds } from './errors.ts'
import { problemDocument, problemHeaders } from './problem-document.ts'

const anyCode = fc.constantFrom(...(Object.keys(problemKinds) as ProblemCode[]))

test('a document has the members of the contract, for every code', () => {
  fc.assert(
    fc.property(anyCode, fc.string(), fc.string(), (code, detail, requestId) => {
      const { status, title, type } = problemKinds[code]
      const document = problemDocument(new Problem(code, { detail }), requestId)
      assert.deepEqual(document, { type: type ?? `/problems/${code}`, title, status, detail, code, request_id: requestId })
    }),
  )
})

test('validation errors and extension members stand beside them', () => {
  const errors = [{ pointer: '/name', detail: 'is needed' }]
  const problem = new Problem('validation_failed', { detail: 'x', errors, members: { 'violated-policies': ['day'] } })
  const document = problemDocument(problem, 'id')
  assert.deepEqual([document.errors, document['violated-policies']], [errors, ['day']])
})

test('what only operators may know is not in it: neither the cause nor a stack', () => {
  const cause = new Error('SQLITE_FULL in /var/lib/films.db')
  const problem = new Problem('internal', { detail: 'Something went wrong.', cause, headers: { allow: 'GET' } })
  const document = problemDocument(problem, 'id')
  assert.deepEqual(Object.keys(document), ['type', 'title', 'status', 'detail', 'code', 'request_id'])
  assert.doesNotMatch(JSON.stringify(document), /SQLITE|films\.db|\.ts:|allow/)
})

test('a refusal is never stored by a cache, and says how long to wait where that is known', () => {
  assert.deepEqual(problemHeaders(new Problem('not_found', { detail: 'x' })), { 'cache-control': 'no-store' })
  const full = new Problem('temporary_reduced_capacity', { detail: 'x', retryAfterSeconds: 7, headers: { allow: 'GET' } })
  assert.deepEqual(problemHeaders(full), { 'cache-control': 'no-store', 'retry-after': '7', allow: 'GET' })
})
