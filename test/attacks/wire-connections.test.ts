import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { after, describe, test } from 'node:test'

import {
  type Answer,
  assertLogged,
  assertProblem,
  assertQuietLog,
  assertSafe,
  countFilms,
  exchange,
  query,
  requestBytes,
} from '../support/attack.ts'
import { createRestartingServer, isAlive } from '../support/restarting.ts'

const servers = createRestartingServer()
after(() => servers[Symbol.asyncDispose]())
const { port: _, ...first } = await servers.current()
const filmsBefore = countFilms(first)
const bearer = `Bearer ${first.key()}`

const host = 'Host: localhost\r\n'
const get = `GET /v1/films/1 HTTP/1.1\r\n${host}`
const json = 'Content-Type: application/json\r\n'
const chunkedBody = 'Transfer-Encoding: chunked\r\n'

const statuses = (answers: readonly Answer[]): number[] => answers.map((answer) => answer.status)

/** Sends it, wants exactly these answers in this order and then the end of the connection; returns them, each logged once. */
const talk = async (
  bytes: string | Buffer,
  expected: readonly (readonly [status: number, verdict: string])[],
): Promise<readonly Answer[]> => {
  const server = await servers.current()
  const { answers, rest } = await exchange(server.port, bytes)
  assert.ok(await isAlive(server), 'the server ended')
  assert.equal(rest, '')
  assert.deepEqual(
    statuses(answers),
    expected.map(([status]) => status),
  )
  for (const [i, answer] of answers.entries()) {
    assertSafe(answer)
    await assertLogged(server, answer, expected[i]?.[1] ?? '')
  }
  return answers
}

describe('a body that breaks off where nobody reads it: one answer, and the process lives', () => {
  const heads: Readonly<Record<string, readonly [head: string, statuses: readonly number[]]>> = {
    'GET /': [`GET / HTTP/1.1\r\n${host}${json}`, [200, 400]],
    'a vote': [`GET /?like=30 HTTP/1.1\r\n${host}${json}`, [200, 400]],
    'HEAD /add_film': [`HEAD /add_film HTTP/1.1\r\n${host}${json}`, [200, 400]],
    'an unknown route': [`POST /nowhere HTTP/1.1\r\n${host}${json}`, [404, 400]],
    'no credentials': [`POST /add_film HTTP/1.1\r\n${host}${json}`, [401, 400]],
    'bad credentials': [`POST /add_film HTTP/1.1\r\n${host}Authorization: Bearer x\r\n${json}`, [401, 400]],
    'another media type': [`POST /add_film HTTP/1.1\r\n${host}Authorization: ${bearer}\r\nContent-Type: text/plain\r\n`, [415, 400]],
    'a method that is not there': [`DELETE / HTTP/1.1\r\n${host}${json}`, [405, 400]],
    OPTIONS: [`OPTIONS / HTTP/1.1\r\n${host}${json}`, [204, 400]],
    'a foreign host': [`POST / HTTP/1.1\r\nHost: evil.example\r\n${json}`, [421, 400]],
    'Expect: foo': [`POST /add_film HTTP/1.1\r\n${host}Expect: foo\r\n${json}`, [417, 400]],
    'good credentials': [`POST /add_film HTTP/1.1\r\n${host}Authorization: ${bearer}\r\n${json}`, [400]],
  }
  for (const [where, [head, allowed]] of Object.entries(heads)) {
    const isHead = head.startsWith('HEAD')
    test(`${where}, broken in the same packet`, async () => {
      const server = await servers.current()
      const { answers, rest } = await exchange(server.port, `${head}${chunkedBody}\r\nZZ\r\n`, { head: isHead })
      assert.ok(await isAlive(server), 'the server ended')
      assert.deepEqual([answers.length, rest], [1, ''])
      assert.ok(allowed.includes(answers[0]?.status ?? 0), `${answers[0]?.status}`)
      assertSafe(answers[0] as Answer)
    })
    if (where === 'good credentials') continue
    test(`${where}, broken behind the answer`, async () => {
      const server = await servers.current()
      const options = { head: isHead, behind: [{ after: 1, bytes: 'ZZ\r\n' }] }
      const { answers, rest } = await exchange(server.port, `${head}${chunkedBody}\r\n`, options)
      assert.ok(await isAlive(server), 'the server ended')
      assert.deepEqual([statuses(answers), rest], [[allowed[0]], ''], 'nothing may follow the only answer')
    })
  }
  test('a client that resets in the middle of its body', async () => {
    const server = await servers.current()
    const head = `POST /add_film HTTP/1.1\r\n${host}Authorization: ${bearer}\r\n${json}Content-Length: 100\r\n\r\n{"name":`
    const socket = connect({ port: server.port, host: '127.0.0.1' })
    socket.write(head, () => socket.resetAndDestroy())
    await once(socket, 'close')
    assert.ok(await isAlive(server), 'the server ended')
    const record = await server.logged((line) => line['verdict'] === 'aborted' && line['method'] === 'POST')
    assert.equal(record['status'], null)
  })
})

describe('a body that is not wanted is not waited for', () => {
  const unwanted: Readonly<Record<string, readonly [head: string, status: number, verdict: string]>> = {
    'an unknown route': [`POST /nowhere HTTP/1.1\r\n${host}`, 404, 'not_found'],
    'no credentials': [`POST /add_film HTTP/1.1\r\n${host}${json}`, 401, 'unauthenticated'],
    'a form': [`POST /add_film HTTP/1.1\r\n${host}Authorization: ${bearer}\r\nContent-Type: text/plain\r\n`, 415, 'unsupported_media_type'],
    'a foreign host': [`POST /add_film HTTP/1.1\r\nHost: evil.example\r\n${json}`, 421, 'misdirected_request'],
    'too long': [`POST /add_film HTTP/1.1\r\n${host}Authorization: ${bearer}\r\n${json}`, 413, 'payload_too_large'],
  }
  for (const [where, [head, status, verdict]] of Object.entries(unwanted)) {
    test(`1 MB, ${where}: answered after the head`, async () => {
      const server = await servers.current()
      const { answers } = await exchange(server.port, `${head}Content-Length: 1000000\r\n\r\n`, { answers: 1, timeoutMs: 2000 })
      assertProblem(answers[0] as Answer, { status, code: verdict })
      await assertLogged(server, answers[0] as Answer, verdict)
    })
    test(`Expect: 100-continue, ${where}: no 100`, async () => {
      const server = await servers.current()
      const { answers } = await exchange(server.port, `${head}Expect: 100-continue\r\nContent-Length: 1000000\r\n\r\n`, {
        answers: 1,
        timeoutMs: 2000,
      })
      assert.deepEqual(statuses(answers), [status])
      assertProblem(answers[0] as Answer, { status, code: verdict })
    })
  }

  test('Expect: 100-continue, broken JSON: 100, then 400', async () => {
    const server = await servers.current()
    const head = `POST /add_film HTTP/1.1\r\n${host}Authorization: ${bearer}\r\n${json}Connection: close\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n`
    const { answers } = await exchange(server.port, head, { answers: 2, behind: [{ after: 1, bytes: '{,' }] })
    assert.deepEqual(statuses(answers), [100, 400])
    assertProblem(answers[1] as Answer, { status: 400, code: 'bad_request' })
  })
})

describe('CONNECT', () => {
  const requests: Readonly<Record<string, string>> = {
    'to another host': `CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n`,
    'to ourselves': `CONNECT localhost:80 HTTP/1.1\r\n${host}\r\n`,
    'with data behind': `CONNECT evil.example:443 HTTP/1.1\r\n${host}\r\n${get}\r\n`,
    'without Host': 'CONNECT evil.example:443 HTTP/1.1\r\n\r\n',
    'with a body': `CONNECT evil.example:443 HTTP/1.1\r\n${host}Content-Length: 5\r\n\r\nhello`,
    'HTTP/1.0': 'CONNECT evil.example:443 HTTP/1.0\r\n\r\n',
  }
  for (const [attack, bytes] of Object.entries(requests)) {
    test(attack, async () => {
      const [answer] = await talk(bytes, [[405, 'method_not_allowed']])
      assertProblem(answer as Answer, { status: 405, code: 'method_not_allowed' })
      assert.match(answer?.field('allow') ?? '', /GET/)
    })
  }

  test('CONNECT behind a request that is still being answered: the answers keep their order', async () => {
    await talk(`GET /?like=31 HTTP/1.1\r\n${host}\r\nCONNECT evil.example:443 HTTP/1.1\r\n${host}\r\n`, [
      [200, 'ok'],
      [405, 'method_not_allowed'],
    ])
  })
})

describe('a reset right behind it, 30 times: the process lives', () => {
  const keyed = `POST /add_film HTTP/1.1\r\n${host}Authorization: ${bearer}\r\n${json}`
  const resets: Readonly<Record<string, string | Buffer>> = {
    CONNECT: `CONNECT evil.example:443 HTTP/1.1\r\n${host}\r\n`,
    'CONNECT behind a vote': `GET /?like=40 HTTP/1.1\r\n${host}\r\nCONNECT evil.example:443 HTTP/1.1\r\n${host}\r\n`,
    garbage: 'GARBAGE\r\n\r\n',
    'garbage behind a good request': `${get}\r\nGARBAGE\r\n\r\n`,
    'garbage behind a vote': `GET /?like=40 HTTP/1.1\r\n${host}\r\nGARBAGE\r\n\r\n`,
    'a TLS hello': Buffer.from('16030100a5010000a10303', 'hex'),
    'a good request': `${get}\r\n`,
    'a vote': `GET /?like=40 HTTP/1.1\r\n${host}\r\n`,
    'an upgrade': `${get}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    'Expect: 100-continue': `${keyed}Expect: 100-continue\r\nContent-Length: 12\r\n\r\n`,
    'half a body': `${keyed}Content-Length: 100\r\n\r\n{`,
    'half a chunked body': `${keyed}Transfer-Encoding: chunked\r\n\r\n5\r\n{`,
    'a body that is too long': `${keyed}Content-Length: 100000\r\n\r\n${' '.repeat(50_000)}`,
    'half a head': get,
  }
  for (const [attack, bytes] of Object.entries(resets)) {
    test(attack, async () => {
      const server = await servers.current()
      for (let i = 0; i < 30; i++) {
        const socket = connect({ port: server.port, host: '127.0.0.1' })
        socket.on('error', () => undefined)
        socket.write(bytes, () => socket.resetAndDestroy())
        await once(socket, 'close')
      }
      assert.ok(await isAlive(server), 'the server ended')
    })
  }
})

describe('pipelining', () => {
  test('a good request, then garbage: the first answer is whole', async () => {
    const [good, bad] = await talk(`${get}\r\nGARBAGE\r\n\r\n`, [
      [200, 'ok'],
      [400, 'bad_request'],
    ])
    assert.equal(good?.json()['id'], 1)
    assertProblem(bad as Answer, { status: 400, code: 'bad_request' })
  })
  test('a vote, then garbage: the vote is answered and counted', async () => {
    const [vote] = await talk(`GET /?like=32 HTTP/1.1\r\n${host}\r\nGARBAGE\r\n\r\n`, [
      [200, 'ok'],
      [400, 'bad_request'],
    ])
    assert.deepEqual(vote?.json()['vote'], { film_id: 32, value: 'like', recorded: true })
    assert.deepEqual(query(first, 'select likes from film where id = 32'), [{ likes: 1 }])
  })
  test('ten requests and garbage: ten answers in order, then the refusal', async () => {
    const paths = Array.from({ length: 10 }, (_path, i) => i + 1)
    const bytes = paths.map((id) => `GET /v1/films/${id} HTTP/1.1\r\n${host}\r\n`).join('')
    const answers = await talk(`${bytes}\0\0\0\0`, [...paths.map(() => [200, 'ok'] as const), [400, 'bad_request']])
    assert.deepEqual(
      answers.slice(0, 10).map((answer) => answer.json()['id']),
      paths,
    )
  })
  test('a refusal, then a good request', async () => {
    await talk(Buffer.concat([requestBytes({ target: '/%', fields: { Connection: null } }), requestBytes({})]), [
      [400, 'bad_request'],
      [200, 'ok'],
    ])
  })
  test('nothing behind Connection: close is answered', async () => {
    await talk(`${get}Connection: close\r\n\r\nGET /?like=33 HTTP/1.1\r\n${host}\r\n`, [[200, 'ok']])
    assert.deepEqual(query(first, 'select likes from film where id = 33'), [{ likes: 0 }])
  })
  test('garbage, and more garbage a moment later: one answer, one line', async () => {
    const server = await servers.current()
    const { answers, rest } = await exchange(server.port, 'GARBAGE\r\n\r\n', { behind: [{ after: 1, bytes: 'GARBAGE\r\n\r\n' }] })
    assert.deepEqual([statuses(answers), rest], [[400], ''])
    await assertLogged(server, answers[0] as Answer, 'bad_request')
  })
})

test('nothing of a refused request was stored, and the log is quiet', async () => {
  assert.equal(countFilms(first), filmsBefore)
  assertQuietLog(await servers.current())
})
