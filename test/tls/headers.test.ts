import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'

import { assertQuietLog } from '../support/attack.ts'
import { temporaryFolder } from '../support/command.ts'
import { parseAnswer, type RawAnswer } from '../support/raw.ts'
import { askHttp1, type Http2Client, openHttp2, type SecureAnswer, type SecureAsk, shakeHands } from '../support/secure-client.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { createTestAuthority, tlsFiles, writePair } from '../support/tls-material.ts'

const authority = await createTestAuthority()
const hsts = 'max-age=63072000; includeSubDomains'
const json = { 'content-type': 'application/json' }

/** Every kind of answer there is: what is asked, and the status that shows that it is the one. */
const kinds: readonly (readonly [status: number, ask: SecureAsk])[] = [
  [200, {}],
  [200, { method: 'HEAD' }],
  [200, { target: '/openapi.json' }],
  [200, { target: '/problems/not_found' }],
  [204, { method: 'OPTIONS' }],
  [400, { target: '/?like=x' }],
  [400, { target: '/%' }],
  [401, { fields: { authorization: 'Bearer nobody' } }],
  [401, { method: 'POST', target: '/add_film', fields: json, body: '{}' }],
  [404, { target: '/nowhere' }],
  [404, { method: 'POST', target: '/nowhere', body: 'x' }],
  [405, { method: 'DELETE' }],
  [405, { method: 'TRACE' }],
  [406, { fields: { accept: 'image/png' } }],
  [414, { target: `/${'a'.repeat(5000)}` }],
  [415, { method: 'POST', target: '/v1/auth/login', fields: { 'content-type': 'text/plain' }, body: 'x' }],
]

const assertHsts = ({ headers }: Pick<SecureAnswer, 'headers'> | RawAnswer, expected: boolean, name: string): void => {
  assert.equal(headers['strict-transport-security'], expected ? hsts : undefined, name)
  const csp = String(headers['content-security-policy'])
  assert.match(csp, /default-src/, name)
  assert.equal(csp.includes('upgrade-insecure-requests'), expected, `${name}: ${csp}`)
}

/** What came back for bytes that no client sends. */
const sendBytes = async (port: number, ca: string, bytes: string): Promise<RawAnswer> => {
  const socket = await shakeHands({ port, ca, servername: 'localhost', ALPNProtocols: ['http/1.1'] })
  let text = ''
  socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk))
  socket.write(bytes)
  await once(socket, 'close')
  return parseAnswer(text)
}

/** Refused before there is a request. */
const unparsed: readonly (readonly [status: number, bytes: string])[] = [
  [400, 'no HTTP\r\n\r\n'],
  [400, 'GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n'],
  [400, 'GET / HTTP/1.1\r\nConnection: close\r\n\r\n'],
  [405, 'CONNECT localhost:443 HTTP/1.1\r\nHost: localhost\r\n\r\n'],
  [408, 'GET / HTTP/1.1\r\nHost: localhost\r\n'],
  [417, 'GET / HTTP/1.1\r\nHost: localhost\r\nExpect: miracles\r\nConnection: close\r\n\r\n'],
  [421, 'GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n'],
  [431, `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`],
]

describe('[ASVS 3.4.1] with a certificate that clients trust, HSTS for two years and upgrade-insecure-requests are on every answer', () => {
  const folder = temporaryFolder()
  let server: TestServer
  let session: Http2Client
  const target = () => ({ port: server.port, ca: authority.ca })

  before(async () => {
    server = await startServer({
      env: { ...tlsFiles(writePair(folder.path, await authority.issue())), FILMGATE_SERVER_HEADER_TIMEOUT_MS: '1000' },
    })
    session = await openHttp2(target())
  })
  after(async () => {
    await session[Symbol.asyncDispose]()
    await server[Symbol.asyncDispose]()
    folder[Symbol.dispose]()
  })

  for (const [status, asked] of kinds)
    test(`${status} ${asked.method ?? 'GET'} ${(asked.target ?? '').slice(0, 40)}`, async () => {
      for (const [protocol, ask] of [
        ['HTTP/1.1', (one: SecureAsk) => askHttp1(target(), one)],
        ['HTTP/2', (one: SecureAsk) => session.ask(one)],
      ] as const) {
        const answer = await ask(asked)
        assert.equal(answer.status, status, `${protocol}: ${answer.body}`)
        assertHsts(answer, true, protocol)
      }
    })

  test('304', async () => {
    const { etag } = (await askHttp1(target())).headers
    assert.ok(typeof etag === 'string')
    for (const answer of [
      await askHttp1(target(), { fields: { 'if-none-match': etag } }),
      await session.ask({ fields: { 'if-none-match': etag } }),
    ]) {
      assert.equal(answer.status, 304)
      assertHsts(answer, true, '304')
    }
  })

  for (const [status, bytes] of unparsed)
    test(`${status} for ${JSON.stringify(bytes.slice(0, 50))}`, async () => {
      const answer = await sendBytes(server.port, authority.ca, bytes)
      assert.equal(answer.status, status, answer.text)
      assertHsts(answer, true, bytes)
    })

  test('nothing of all this made the server stumble', () => assertQuietLog(server))
})

test('429 has them too', async () => {
  using folder = temporaryFolder()
  await using server = await startServer({
    toml: '',
    env: { ...tlsFiles(writePair(folder.path, await authority.issue())), FILMGATE_LIMITS_TOTAL: '1 per hour' },
  })
  const target = { port: server.port, ca: authority.ca }
  assert.equal((await askHttp1(target)).status, 200)
  const refused = await askHttp1(target)
  assert.equal(refused.status, 429)
  assertHsts(refused, true, '429')
})

test('a development certificate: never, or a browser would refuse localhost for two years', async () => {
  await using server = await startServer({ env: { FILMGATE_TLS_MODE: 'dev' } })
  const ca = readFileSync(`${server.dataDir}/dev-ca.pem`, 'utf8')
  await using session = await openHttp2({ port: server.port, ca })
  for (const [status, asked] of kinds)
    for (const answer of [await askHttp1({ port: server.port, ca }, asked), await session.ask(asked)]) {
      assert.equal(answer.status, status)
      assertHsts(answer, false, asked.target ?? '')
    }
})
