import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { LookupAddress } from 'node:dns'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, test } from 'node:test'
import { promisify } from 'node:util'

import { createEgress, type Resolve } from '../../src/core/egress.ts'
import { createAuthority } from '../support/certificates.ts'
import { discoveryPath, startOwnIssuer } from '../support/own-issuer.ts'

const v4 = (address: string) => ({ address, family: 4 })
const resolveTo =
  (...addresses: readonly LookupAddress[]): Resolve =>
  (_host, done) =>
    done(null, addresses)

describe('the way out', () => {
  using authority = createAuthority('A test authority')
  const ca = readFileSync(authority.file, 'utf8')
  const certificate = authority.issue('localhost')
  const [expired, foreign] = [authority.issue('localhost', -1), authority.issue('id.example.com')]
  const signal = AbortSignal.timeout(60_000)
  const noPrivate = { allowPrivate: false, signal }
  const withPrivate = { allowPrivate: true, signal }

  test('a service of this machine by its name: only where private addresses are allowed', async () => {
    await using issuer = await startOwnIssuer({ tls: certificate, host: 'localhost' })
    const url = `${issuer.url}${discoveryPath}`
    await assert.rejects(createEgress({ ca }).getJson(url, noPrivate), /not allowed/)
    assert.equal(issuer.connections(), 0)
    assert.equal((await createEgress({ ca }).getJson(url, withPrivate))['issuer'], issuer.url)
  })

  test('a service of this machine by its number, in every spelling: nobody connects', async () => {
    await using issuer = await startOwnIssuer({ tls: certificate, host: 'localhost' })
    const hosts = [
      '127.0.0.1',
      '2130706433',
      '0x7f000001',
      '017700000001',
      '127.1',
      '0',
      '[::1]',
      '[::ffff:127.0.0.1]',
      '[::ffff:7f00:1]',
      '[::127.0.0.1]',
    ]
    for (const host of hosts)
      await assert.rejects(createEgress({ ca }).getJson(`https://${host}:${issuer.port}/`, noPrivate), /not allowed/, host)
    assert.equal(issuer.connections(), 0)
  })

  test('a name that somebody points at this machine, or at this machine and another: nobody connects', async () => {
    await using issuer = await startOwnIssuer({ tls: foreign, host: 'id.example.com' })
    const answers = [
      [v4('127.0.0.1')],
      [v4('1.1.1.1'), v4('127.0.0.1')],
      [{ address: '::ffff:127.0.0.1', family: 6 }],
      [v4('169.254.169.254')],
      [v4('0.0.0.0')],
      [],
    ]
    for (const addresses of answers) {
      await assert.rejects(
        createEgress({ ca, resolve: resolveTo(...addresses) }).getJson(`${issuer.url}${discoveryPath}`, noPrivate),
        /not allowed|no address/,
      )
    }
    assert.equal(issuer.connections(), 0)
  })

  test('DNS rebinding: a name that means another address at the next question is asked once, and what was checked is what is connected to', async () => {
    await using issuer = await startOwnIssuer({ tls: foreign, host: 'id.example.com' })
    let questions = 0
    const resolve: Resolve = (_host, done) => done(null, [v4(questions++ === 0 ? '127.0.0.1' : '169.254.169.254')])
    const egress = createEgress({ ca, resolve })
    assert.equal((await egress.getJson(`${issuer.url}${discoveryPath}`, withPrivate))['issuer'], issuer.url)
    assert.equal(questions, 1)
    await assert.rejects(egress.getJson(`${issuer.url}${discoveryPath}`, withPrivate), /not allowed/)
    assert.deepEqual([issuer.connections(), questions], [1, 2])
  })

  test('plain http: only to this machine, and only where that is allowed', async () => {
    await using issuer = await startOwnIssuer()
    const url = `${issuer.url}${discoveryPath}`
    await assert.rejects(createEgress().getJson(url, noPrivate), /not https/)
    await assert.rejects(createEgress({ resolve: resolveTo(v4('10.0.0.1')) }).getJson('http://id.internal/', withPrivate), /not allowed/)
    assert.equal(issuer.connections(), 0)
    assert.equal((await createEgress().getJson(url, withPrivate))['issuer'], issuer.url)
  })

  test('a certificate of nobody, of another host, of last year: not believed', async () => {
    const cases = [
      { tls: certificate, options: {} },
      { tls: foreign, options: { ca } },
      { tls: expired, options: { ca } },
    ]
    for (const { tls, options } of cases) {
      await using issuer = await startOwnIssuer({ tls, host: 'localhost' })
      await assert.rejects(createEgress(options).getJson(`${issuer.url}${discoveryPath}`, withPrivate), /certificate|altnames/i)
      assert.deepEqual(issuer.asked, [])
    }
  })

  test('a proxy in the environment, and an environment that switches off the check of certificates: neither is heeded', async () => {
    await using plain = await startOwnIssuer()
    await using secure = await startOwnIssuer({ tls: certificate, host: 'localhost' })
    const proxied: string[] = []
    const proxy = createServer((request, response) => {
      proxied.push(request.url ?? '')
      response.end()
    })
    proxy.on('connect', (request, socket) => {
      proxied.push(request.url ?? '')
      socket.end()
    })
    await once(proxy.listen(0, '127.0.0.1'), 'listening')
    const address = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
    const variables = { HTTP_PROXY: address, HTTPS_PROXY: address, http_proxy: address, https_proxy: address, NODE_USE_ENV_PROXY: '1' }
    const module = new URL('../../src/core/egress.ts', import.meta.url).href
    const script = `import { createEgress } from ${JSON.stringify(module)}
      const options = { allowPrivate: true, signal: AbortSignal.timeout(60_000) }
      for (const url of ${JSON.stringify([plain.url, secure.url])}) {
        await createEgress().getJson(url + '${discoveryPath}', options).then(({ issuer }) => console.log(issuer), ({ code }) => console.log(code))
      }`
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script], {
      env: { PATH: process.env['PATH'] ?? '', ...variables, NODE_TLS_REJECT_UNAUTHORIZED: '0' },
    })
    proxy.close()
    assert.deepEqual(stdout.trim().split('\n'), [plain.url, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'])
    assert.deepEqual([proxied, secure.asked], [[], []])
  })
})
