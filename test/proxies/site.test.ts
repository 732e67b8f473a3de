import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { promisify } from 'node:util'

import { claimCode, goodPassword } from '../support/accounts.ts'
import { temporaryFolder } from '../support/command.ts'
import { type Proxy, proxyNames, publicHost } from '../support/proxies.ts'
import { describeUnless, proxyProgram } from '../support/services.ts'
import { proxiesMissing, requestsIn, sceneOfSuite } from './scene.ts'
import { askThrough, connectPlainly, fieldOf, problemOf, type Reply, talk } from './wire.ts'

const origin = `https://${publicHost}`
const hsts = 'max-age=63072000; includeSubDomains'

/** The protocol and suite that both agreed on, or the code of the failure. */
const handshake = ({ httpsPort }: Proxy, options: ConnectionOptions): Promise<string> =>
  new Promise((resolve) => {
    const socket: TLSSocket = connectTls({ port: httpsPort, host: '127.0.0.1', servername: publicHost, ...options }, () => {
      resolve(`${socket.getProtocol()} ${socket.getCipher().name} ${socket.alpnProtocol}`)
      socket.destroy()
    })
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
  })

const plainly = async (proxy: Proxy, bytes: string, head = false): Promise<Reply> => {
  const { replies } = await talk(await connectPlainly(proxy, '127.0.0.6'), bytes, { answers: 1, head })
  const [reply] = replies
  assert.ok(reply, 'no answer')
  return reply
}

describeUnless(proxiesMissing, 'the sites in deploy/', () => {
  const scene = sceneOfSuite()

  for (const name of proxyNames) {
    describe(name, () => {
      test('TLS 1.2 with AEAD and 1.3, nothing older or weaker, HTTP/2 and HTTP/1.1, a certificate that is checked [ASVS 12.1.1, 12.1.2]', async () => {
        const { proxies, authority } = await scene()
        const ca = readFileSync(authority.file)
        const at = (options: ConnectionOptions): Promise<string> => handshake(proxies[name], { ca, ...options })
        assert.match(await at({ minVersion: 'TLSv1.3', ALPNProtocols: ['h2', 'http/1.1'] }), /^TLSv1\.3 TLS_\w+ h2$/)
        assert.match(
          await at({ maxVersion: 'TLSv1.2', ALPNProtocols: ['http/1.1'] }),
          /^TLSv1\.2 ECDHE-ECDSA-(AES\d+-GCM|CHACHA20)\S* http\/1\.1$/,
        )
        // "@SECLEVEL=0", or our own OpenSSL would not even ask.
        const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' } as const
        assert.match(await at(old), /PROTOCOL_VERSION|ECONNRESET/)
        for (const ciphers of ['ECDHE-ECDSA-AES128-SHA', 'ECDHE-ECDSA-AES256-SHA384', 'AES128-GCM-SHA256', 'NULL']) {
          assert.match(
            await at({ maxVersion: 'TLSv1.2', ciphers: `${ciphers}:@SECLEVEL=0` }),
            /HANDSHAKE_FAILURE|INTERNAL_ERROR|ECONNRESET/,
            ciphers,
          )
        }
        assert.match(await handshake(proxies[name], {}), /UNABLE_TO_VERIFY|SELF_SIGNED|UNABLE_TO_GET/)
      })

      test('every answer has HSTS once, all fields of Filmgate, and nothing that names a version [ASVS 3.4.1, 13.4.6]', async () => {
        const { proxies } = await scene()
        const asked: readonly (readonly [number, Parameters<typeof askThrough>[1]])[] = [
          [200, { from: '127.0.0.6' }],
          [200, { from: '127.0.0.6', method: 'HEAD', target: '/add_film' }],
          [400, { from: '127.0.0.6', target: '/?like=x' }],
          [401, { from: '127.0.0.6', target: '/v1/users' }],
          [404, { from: '127.0.0.6', target: '/nowhere' }],
          [405, { from: '127.0.0.6', method: 'DELETE', target: '/' }],
          [421, { from: '127.0.0.6', fields: { Host: 'evil.example' } }],
        ]
        for (const [status, request] of asked) {
          const reply = await askThrough(proxies[name], request)
          assert.equal(reply.status, status, reply.body)
          assert.equal(fieldOf(reply, 'strict-transport-security'), hsts)
          assert.match(fieldOf(reply, 'content-security-policy') ?? '', /default-src 'none'/)
          assert.equal(fieldOf(reply, 'x-content-type-options'), 'nosniff')
          assert.ok(fieldOf(reply, 'ratelimit-policy'))
          assert.equal(fieldOf(reply, 'server'), name === 'nginx' ? 'nginx' : undefined)
          for (const field of ['via', 'x-powered-by', 'alt-svc', 'keep-alive']) assert.equal(fieldOf(reply, field), undefined, field)
        }
      })

      test('plain HTTP: what reads is sent to HTTPS, what writes is refused, and Filmgate sees none of it [ASVS 4.1.2, 12.2.1]', async () => {
        const { proxies, server } = await scene()
        const proxy = proxies[name]
        for (const [target, host] of [
          ['/plain?a=%20b', publicHost],
          ['//evil.example/plain', publicHost],
          ['/plain', 'evil.example'],
          [`http://evil.example/plain`, publicHost],
          ['/plain%0d%0aLocation:%20https://evil.example', publicHost],
        ] as const) {
          for (const method of ['GET', 'HEAD']) {
            const reply = await plainly(proxy, `${method} ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`, method === 'HEAD')
            // HAProxy refuses a target that contradicts Host.
            if (reply.status === 400) {
              assert.ok(target.startsWith('http:'), target)
              continue
            }
            assert.equal(reply.status, 308, target)
            const location = fieldOf(reply, 'location') ?? ''
            assert.ok(location.startsWith(`${origin}/`), location)
            assert.equal(location.slice(origin.length), target.replace('http://evil.example', ''))
          }
        }
        for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
          const reply = await plainly(
            proxy,
            `${method} /plain HTTP/1.1\r\nHost: ${publicHost}\r\nAuthorization: Bearer fg_x\r\nContent-Length: 2\r\n\r\n{}`,
          )
          assert.equal(reply.status, 403, method)
          assert.match(fieldOf(reply, 'content-type') ?? '', /^application\/problem\+json/)
          assert.deepEqual([problemOf(reply)['code'], problemOf(reply)['status']], ['forbidden', 403])
          assert.equal(fieldOf(reply, 'cache-control'), 'no-store')
        }
        const behind = await askThrough(proxy, { from: '127.0.0.6', target: `/behind-${name}` })
        await server.logged(({ request_id: id }) => id === fieldOf(behind, 'x-request-id'))
        assert.deepEqual(
          requestsIn(server).filter(({ path }) => /plain/.test(String(path))),
          [],
        )
      })

      test('the health listener is not there', async () => {
        const { proxies } = await scene()
        for (const target of ['/readyz', '/livez', '/metrics']) {
          assert.equal((await askThrough(proxies[name], { from: '127.0.0.6', target })).status, 404)
        }
      })

      test('votes of our own page count, each client once; those of other pages do not', async () => {
        const { proxies } = await scene()
        const film = 100 + proxyNames.indexOf(name)
        const vote = async (from: string, fields: Readonly<Record<string, string>>): Promise<unknown> => {
          const reply = await askThrough(proxies[name], { from, target: `/?like=${film}`, fields })
          return (problemOf(reply)['vote'] as { readonly recorded: boolean }).recorded
        }
        for (const from of ['127.0.0.21', '127.0.0.22']) {
          assert.equal(await vote(from, { Origin: origin, 'Sec-Fetch-Site': 'same-origin' }), true)
          assert.equal(await vote(from, { Referer: `${origin}/index.html` }), true)
        }
        for (const fields of [
          { Origin: 'https://evil.example' },
          { Origin: `http://${publicHost}` },
          { Origin: `${origin}.evil.example` },
          { 'Sec-Fetch-Site': 'cross-site' },
        ]) {
          assert.equal(await vote('127.0.0.23', fields), false, JSON.stringify(fields))
        }
        const counted = problemOf(await askThrough(proxies[name], { from: '127.0.0.23', target: `/v1/films/${film}` }))
        assert.equal(counted['likes'], 2)
      })
    })
  }

  test('a login of the page gets its cookie through every proxy, renews it, and no other page can', async () => {
    const { proxies, server } = await scene()
    const json = { 'Content-Type': 'application/json', Origin: origin, 'Sec-Fetch-Site': 'same-origin' }
    const post = (proxy: Proxy, target: string, body: unknown, fields: Readonly<Record<string, string>> = json): Promise<Reply> =>
      askThrough(proxy, { from: '127.0.0.31', method: 'POST', target, fields, body: JSON.stringify(body) })
    const credentials = { username: 'ada', password: goodPassword }
    assert.equal((await post(proxies.caddy, '/v1/auth/claim', { code: claimCode(server), ...credentials })).status, 200)
    for (const name of proxyNames) {
      const login = await post(proxies[name], '/v1/auth/login', { ...credentials, browser: true })
      assert.equal(login.status, 200, login.body)
      const cookie = fieldOf(login, 'set-cookie') ?? ''
      assert.match(cookie, /^__Host-filmgate_session=[^;]+; Path=\/; Secure; HttpOnly; SameSite=Strict/)
      const Cookie = cookie.slice(0, cookie.indexOf(';'))
      assert.equal((await post(proxies[name], '/v1/auth/refresh', {}, { ...json, Origin: 'https://evil.example', Cookie })).status, 403)
      assert.equal((await post(proxies[name], '/v1/auth/refresh', {}, { ...json, Cookie })).status, 200)
    }
  })

  test('Caddy reads its file as it is shipped, and would ask for one certificate, for the name in it', async () => {
    using folder = temporaryFolder()
    const file = join(import.meta.dirname, '../../deploy/caddy/Caddyfile')
    const env = { HOME: folder.path, PATH: process.env['PATH'] ?? '' }
    const { stdout } = await promisify(execFile)(proxyProgram('caddy') ?? '', ['adapt', '--adapter', 'caddyfile', '--config', file], {
      env,
    })
    const hosts = [...stdout.matchAll(/"host":\s*\[([^\]]*)\]/g)].map(([, list]) => list?.trim())
    assert.deepEqual([...new Set(hosts)], [JSON.stringify(publicHost)])
    assert.doesNotMatch(stdout, /automate|on_demand|"internal"/)
  })
})
