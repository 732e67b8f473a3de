import assert from 'node:assert/strict'
import { createServer as createHttp2, connect as connectHttp2 } from 'node:http2'
import { createServer, request } from 'node:http'
import { createServer as createHttps, request as secureRequest } from 'node:https'
import type { AddressInfo } from 'node:net'
import { describe, test } from 'node:test'

import { exchange } from './attack.ts'
import { startCommand, temporaryFolder } from './command.ts'
import { assertSecretsKept, leaksIn, secretsIn } from './log-secrecy.ts'
import { startServer } from './server.ts'
import { createTestAuthority } from './tls-material.ts'

const token = 'eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ1MSJ9.c2lnbmF0dXJl'
const key = 'fg_4fGh7Kq2LmZx_abcdefghijklmnopqrstuvwxyz0123'

describe('what counts as a secret', () => {
  test('is known by its member, its field or its form', () => {
    const found: Readonly<Record<string, readonly string[]>> = {
      '{"username":"ann","password":"Blue-Heron-19"}': ['Blue-Heron-19'],
      '{ "current_password" : "Gr\\u00fcn \\"11\\"x", "new_password":"kestrels over it" }': ['Grün "11"x', 'kestrels over it'],
      '{"recovery_codes":["abcd-efgh-1","ijkl-mnop-2"]}': ['abcd-efgh-1', 'ijkl-mnop-2'],
      '{"secret":"JBSWY3DPEHPK3PXP","otpauth_url":"otpauth://totp/x?secret=J"}': ['JBSWY3DPEHPK3PXP', 'otpauth://totp/x?secret=J'],
      'GET / HTTP/1.1\r\nAuthorization: Bearer opaque-token-0123456789\r\n\r\n': ['opaque-token-0123456789'],
      'HTTP/1.1 200 OK\r\nSet-Cookie: __Host-session=a1b2c3d4e5f6; Secure\r\n\r\n': ['a1b2c3d4e5f6'],
      [`see ${key} and ${token}`]: [key, 'abcdefghijklmnopqrstuvwxyz0123', token],
      'fgr_abcdefghijklmnop-QRSTU12345': ['fgr_abcdefghijklmnop-QRSTU12345'],
      '{"code":"quota_exceeded","password":"password"}': [],
      '{"code":"123456","password":"short"}': [],
      '{"password":"aaaaaaaaaaaaaaaaaaaaaaaa"}': [],
    }
    for (const [text, secrets] of Object.entries(found)) assert.deepEqual(secretsIn(text), secrets, text)
  })
})

const leaks = (line: string, secret: string): number => leaksIn(`first\n${line}\nlast\n`, [secret]).length

describe('what counts as a leak', () => {
  test('is a secret anywhere in a line, as it is or escaped', () => {
    assert.equal(leaks('{"msg":"x","reason":"Blue-Heron-19"}', 'Blue-Heron-19'), 1)
    assert.equal(leaks(JSON.stringify({ msg: 'x', reason: 'a "b" \\ c1' }), 'a "b" \\ c1'), 1)
    assert.equal(leaks('first start: Blue-Heron-19', 'Blue-Heron-19'), 1)
    assert.equal(leaks('{"path":"/x?p=Blue-Heron-19"}', 'Blue-Heron-19'), 1)
    assert.equal(leaks(`{"path":"/${key}"}`, key), 1)
    assert.equal(leaks(`{"user_agent":"${token}"}`, token), 1)
  })

  test('is no word that a client put into its own path or agent', () => {
    assert.equal(leaks('{"path":"/Blue-Heron-19","user_agent":"Blue-Heron-19"}', 'Blue-Heron-19'), 0)
    assert.equal(leaks('{"path":"/Blue-Heron-19","reason":"Blue-Heron-19"}', 'Blue-Heron-19'), 1)
    assert.equal(leaks('{"reason":"Blue-Heron-1"}', 'Blue-Heron-19'), 0)
  })

  test('is found among thousands of secrets in a large log', () => {
    const many = Array.from({ length: 5000 }, (_, i) => `${i * 7919} is a secret.`)
    const log = `${'{"msg":"request","path":"/v1/films/1"}\n'.repeat(100_000)}{"msg":"${4999 * 7919} is a secret."}\n`
    assert.equal(leaksIn(log, many).length, 1)
  })
})

/** Whether this process noticed that it used one: a log that holds it is then refused. */
const isKept = (secret: string): boolean => leaksIn(`{"msg":"${secret}"}`).length > 0

const port = (server: { address(): unknown }): number => (server.address() as AddressInfo).port

const answer = (secret: string): string => JSON.stringify({ refresh_token: secret })

describe('what goes over the wire is noticed', () => {
  test('with fetch, node:http and bytes on a socket, cut anywhere, in both directions', async () => {
    await using server = createServer((asked, answered) => {
      const body = answer(asked.url?.slice(1) ?? '')
      asked.resume()
      answered.setHeader('content-length', body.length).write(body.slice(0, 12))
      setImmediate(() => answered.end(body.slice(12)))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const at = `http://127.0.0.1:${port(server)}`
    await (await fetch(`${at}/from-a-fetch-1`, { method: 'POST', body: '{"password":"in-a-fetch-1"}' })).text()
    await new Promise((resolve, reject) => {
      const asked = request(`${at}/from-http-1`, { method: 'POST' }, (answered) => answered.resume().on('end', resolve)).on('error', reject)
      asked.write('{"password":"in-')
      asked.end('http-12"}')
    })
    await exchange(
      port(server),
      'GET /from-bytes-1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer token-in-bytes-1\r\nConnection: close\r\n\r\n',
    )
    for (const secret of ['in-a-fetch-1', 'from-a-fetch-1', 'in-http-12', 'from-http-1', 'token-in-bytes-1', 'from-bytes-1']) {
      assert.ok(isKept(secret), secret)
    }
  })

  test('over TLS', async () => {
    const authority = await createTestAuthority()
    await using server = createHttps(await authority.issue(), (_, answered) => answered.end(answer('from-tls-1234')))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    await new Promise((resolve, reject) => {
      const options = { port: port(server), host: '127.0.0.1', method: 'POST', rejectUnauthorized: false, agent: false }
      secureRequest(options, (answered) => answered.resume().on('end', resolve))
        .on('error', reject)
        .end('{"password":"in-tls-1234"}')
    })
    assert.ok(isKept('in-tls-1234') && isKept('from-tls-1234'))
  })

  test('over HTTP/2', async () => {
    const server = createHttp2((_, answered) => {
      answered.setHeader('set-cookie', 'a=cookie-h2-12')
      answered.end(answer('from-h2-1234'))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const session = connectHttp2(`http://127.0.0.1:${port(server)}`)
    const stream = session.request({ ':method': 'POST', authorization: 'Bearer bearer-in-h2-0123' })
    await new Promise((resolve) => {
      stream.resume().on('close', resolve)
      stream.end('{"password":"in-h2-12345"}')
    })
    session.close()
    server.close()
    for (const secret of ['bearer-in-h2-0123', 'in-h2-12345', 'from-h2-1234', 'cookie-h2-12']) assert.ok(isKept(secret), secret)
  })
})

const leaking = (line: string) => (command: readonly string[]) => ['sh', '-c', 'printf "%s\\n" "$0"; exec "$@"', line, ...command]

const tellingItsKey = (command: readonly string[]) => [
  'sh',
  '-c',
  '"$@" & trap "kill $!; wait $!; sed s/^/leaked:/ $FILMGATE_DATA_DIR/master.key >&2" TERM; wait',
  'sh',
  ...command,
]

describe('[ASVS 16.2.5] a server that writes a secret of its test into its log', () => {
  test('fails the test at its end', async () => {
    const server = await startServer({ wrap: leaking('{"msg":"planted","reason":"Blue-Heron-77"}') })
    const body = JSON.stringify({ username: 'ann', password: 'Blue-Heron-77' })
    await fetch(`${server.url}/v1/auth/login`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body })
    await assert.rejects(async () => server[Symbol.asyncDispose](), /the log holds 1 secrets that this test used:\nBlue-Heron-77 stands in/)
  })

  test('so does one that tells what lies in its folder', async () => {
    const server = await startServer({ wrap: tellingItsKey })
    server.process.kill('SIGTERM')
    await new Promise((resolve) => server.process.once('exit', resolve))
    await assert.rejects(async () => server[Symbol.asyncDispose](), /stands in leaked:/)
  })

  test('one that tells what its configuration holds', async () => {
    const toml = '[monitor]\nwebhook_secret = "a secret of the receiver 1"\n'
    const server = await startServer({ toml, wrap: leaking('{"msg":"a secret of the receiver 1"}') })
    await assert.rejects(async () => server[Symbol.asyncDispose](), /a secret of the receiver 1 stands in/)
  })

  test('or one that tells what its environment holds', async () => {
    using folder = temporaryFolder()
    const secret = 'planted key of more than 32 characters'
    const { ended } = startCommand(['serve', '--no-such-option'], {
      cwd: folder.path,
      env: { FILMGATE_SECRETS_KEY: secret },
      wrap: leaking(`{"msg":"${secret}"}`),
    })
    await assert.rejects(ended, /planted key of more than 32 characters stands in/)
  })

  test('one that keeps them passes', async () => {
    await using server = await startServer()
    const headers = { Authorization: `Bearer ${server.key()}` }
    assert.equal((await fetch(`${server.url}/v1/films/1`, { headers })).status, 200)
    await fetch(`${server.url}/v1/films/${server.key()}`, { headers: { 'User-Agent': server.key() } })
    assert.ok(isKept(server.key()))
  })
})

test('a log without a secret passes', () => assertSecretsKept('{"msg":"request","path":"/v1/films/1"}\n'))
