import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { after, describe, test } from 'node:test'

import { type Answer, type Ask, assertProblem, assertSafe, exchange, requestBytes } from '../support/attack.ts'
import { openConnection } from '../support/connection.ts'
import { eventually } from '../support/deadline.ts'
import { createRestartingServer, isAlive } from '../support/restarting.ts'

const servers = createRestartingServer()
after(() => servers[Symbol.asyncDispose]())

/** One answer of the ops listener, which must be as careful as the public one. */
const askOps = async (request: Ask | string): Promise<Answer> => {
  const server = await servers.current()
  const bytes = typeof request === 'string' ? request : requestBytes(request)
  const { answers, rest } = await exchange(Number(new URL(server.opsUrl).port), bytes)
  assert.ok(await isAlive(server), 'the server ended')
  assert.deepEqual([answers.length, rest], [1, ''])
  return answers[0] as Answer
}

const attacks: Readonly<Record<string, readonly [request: Ask | string, status: number, code: string]>> = {
  'a foreign Host (DNS rebinding)': [{ target: '/readyz', fields: { Host: 'evil.example' } }, 421, 'misdirected_request'],
  'a foreign absolute target': [{ target: 'http://evil.example/readyz' }, 421, 'misdirected_request'],
  'no Host': [{ target: '/livez', fields: { Host: null } }, 400, 'bad_request'],
  'two Hosts': [{ target: '/livez', fields: { Host: ['localhost', 'localhost'] } }, 400, 'bad_request'],
  'an unknown route': [{ target: '/metrics/../etc' }, 404, 'not_found'],
  'a route of the public listener': [{ target: '/add_film', method: 'POST' }, 404, 'not_found'],
  'a broken escape': [{ target: '/%' }, 400, 'bad_request'],
  'a target of 5 KB': [{ target: `/${'a'.repeat(5120)}` }, 414, 'uri_too_long'],
  'a method that is not there': [{ target: '/readyz', method: 'POST' }, 405, 'method_not_allowed'],
  'a body of 1 MB': [{ target: '/livez', method: 'PUT', fields: { 'Content-Length': '1000000' } }, 405, 'method_not_allowed'],
  'Expect: foo': [{ target: '/livez', fields: { Expect: 'foo' } }, 417, 'expectation_failed'],
  garbage: ['GARBAGE\r\n\r\n', 400, 'bad_request'],
  'two lengths': ['POST /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n', 400, 'bad_request'],
  'a header field of 17 KB': [{ target: '/livez', fields: { 'X-A': 'a'.repeat(17_000) } }, 431, 'headers_too_large'],
  CONNECT: ['CONNECT evil.example:443 HTTP/1.1\r\nHost: localhost\r\n\r\n', 405, 'method_not_allowed'],
}

describe('the ops listener refuses like the public one', () => {
  for (const [attack, [request, status, code]] of Object.entries(attacks)) {
    test(attack, async () => assertProblem(await askOps(request), { status, code }))
  }

  test('a body that breaks off in the same packet', async () => {
    const answer = await askOps(
      'GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n',
    )
    assert.ok([200, 400].includes(answer.status))
  })

  test('a neighbour who holds every connection that he gets does not hide the health from the others', async () => {
    const server = await servers.current()
    const port = Number(new URL(server.opsUrl).port)
    const held = await Promise.all(Array.from({ length: 100 }, () => openConnection(port)))
    for (const connection of held) connection.send('GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n')
    const answers = await Promise.allSettled(held.map((connection) => connection.answer()))
    const taken = answers.filter(({ status }) => status === 'fulfilled').length
    assert.ok(taken >= 1 && taken <= 16, `${taken} of the 64 connections are one client's`)
    const socket = connect({ port, host: '127.0.0.1', localAddress: '127.0.0.9' })
    socket.end(requestBytes({ target: '/livez', fields: { Connection: 'close' } }))
    assert.match(await text(socket), /^HTTP\/1\.1 200 /)
    for (const connection of held) connection[Symbol.dispose]()
    await server.logged(({ event, policy }) => event === 'excess_rate_limit_exceeded' && policy === 'connections')
    await eventually(
      5000,
      'their places are free again',
      async () => (await exchange(port, requestBytes({ target: '/livez' }))).answers.length === 1,
    )
  })

  for (const target of ['/livez', '/readyz', '/metrics']) {
    test(`${target} is safe and tells nothing of the machine`, async () => {
      const answer = await askOps({ target })
      assert.equal(answer.status, 200)
      assertSafe(answer)
    })
  }
})
