import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:http'
import { createServer, type AddressInfo } from 'node:net'
import { test } from 'node:test'
import { json } from 'node:stream/consumers'

import { Problem, type ProblemCode } from '../../core/errors.ts'
import { rawAnswer } from './raw-answer.ts'

const fields = { 'x-content-type-options': 'nosniff', 'cache-control': 'private' }

/** What an HTTP client makes of the bytes. */
const read = async (answer: string) => {
  const server = createServer((socket) => socket.once('data', () => socket.end(answer))).listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    const sent = request({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', agent: false }).end()
    const [response] = (await once(sent, 'response')) as [import('node:http').IncomingMessage]
    return { response, body: (await json(response)) as Record<string, unknown> }
  } finally {
    server.close()
  }
}

test('is a whole answer to an HTTP client: status line, fields, problem document, end of connection', async () => {
  const problem = new Problem('method_not_allowed', { detail: 'Только GET ☂', headers: { allow: 'GET' } })
  const { response, body } = await read(rawAnswer(problem, 'id-1', fields))
  assert.deepEqual([response.statusCode, response.statusMessage, response.complete], [405, 'Method Not Allowed', true])
  const { date, ...headers } = response.headers
  assert.ok(Math.abs(Date.parse(date ?? '') - Date.now()) < 60_000)
  assert.deepEqual(headers, {
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
    allow: 'GET',
    'x-request-id': 'id-1',
    'content-type': 'application/problem+json',
    'content-length': String(Buffer.byteLength(JSON.stringify(body))),
    connection: 'close',
  })
  assert.deepEqual(body, {
    type: '/problems/method_not_allowed',
    title: 'Method not allowed',
    status: 405,
    detail: 'Только GET ☂',
    code: 'method_not_allowed',
    request_id: 'id-1',
  })
})

test('each refusal before there is a request has its status line', () => {
  const expected: readonly (readonly [ProblemCode, string])[] = [
    ['bad_request', '400 Bad Request'],
    ['request_timeout', '408 Request Timeout'],
    ['headers_too_large', '431 Request Header Fields Too Large'],
    ['quota_exceeded', '429 Too Many Requests'],
  ]
  for (const [code, line] of expected) {
    const answer = rawAnswer(new Problem(code, { detail: 'x', retryAfterSeconds: 3 }), 'id', {})
    assert.ok(answer.startsWith(`HTTP/1.1 ${line}\r\n`), answer)
    assert.match(answer, /\r\nretry-after: 3\r\n/)
    assert.equal(answer.split('\r\n\r\n').length, 2)
  }
})
