import assert from 'node:assert/strict'
import { connect as connectHttp2, type IncomingHttpHeaders } from 'node:http2'
import { describe, test } from 'node:test'

import { assertQuietLog } from '../support/attack.ts'
import { type Proxy, proxyNames, publicHost, startProxy } from '../support/proxies.ts'
import { type LogRecord, raisedLimits, type TestServer } from '../support/server.ts'
import { describeUnless } from '../support/services.ts'
import { behindAnotherProxy, upstreamOverTls } from './edits.ts'
import { forgedFields, forgedRequest } from './forged-fields.ts'
import { isProxyId, sceneOfSuite, proxiesMissing, proxyAddress, requestsIn } from './scene.ts'
import { askThrough, connectTo, fieldOf, type Reply, talk } from './wire.ts'

/** So much of this route for each client, and nearly nothing else is limited. */
const limit = 3
const limited = '/v1/films/1'
const toml = `${raisedLimits}"GET /v1/films/:id" = { only = "${limit} per hour" }\n`

const loggedAs = async (server: TestServer, reply: Reply): Promise<LogRecord> =>
  server.logged((record) => record.msg === 'request' && record['request_id'] === fieldOf(reply, 'x-request-id'))

const statusesFrom = async (proxy: Proxy, from: string, count: number): Promise<number[]> => {
  const statuses: number[] = []
  for (let i = 0; i < count; i++) statuses.push((await askThrough(proxy, { from, target: limited })).status)
  return statuses
}
const full = [...Array.from({ length: limit }, () => 200), 429]

/** Raw, because no client would send some of them. */
const forge = async (proxy: Proxy, from: string, fields: string, target = limited): Promise<Reply> => {
  const { replies } = await talk(await connectTo(proxy, { from }), forgedRequest(target, fields), { answers: 1 })
  const [reply] = replies
  assert.ok(reply, 'no answer')
  return reply
}

/** All at once; each answer is judged. */
const forgeAll = (proxy: Proxy, from: string, judge: (what: string, reply: Reply) => Promise<void>): Promise<unknown> =>
  Promise.all(Object.entries(forgedFields).map(async ([what, fields]) => judge(what, await forge(proxy, from, fields))))

describeUnless(proxiesMissing, 'who a client is behind a proxy [ASVS 4.1.3]', () => {
  const scene = sceneOfSuite({ toml })

  for (const [i, name] of proxyNames.entries()) {
    describe(name, () => {
      const [first, second, forger] = [`127.0.${i + 1}.1`, `127.0.${i + 1}.2`, `127.0.${i + 1}.3`]
      test('the log names the address that the client connects from, IPv4 and IPv6', async () => {
        const { proxies, server } = await scene()
        const proxy = proxies[name]
        for (const from of [first, '::1']) {
          const reply = await askThrough(proxy, { from, target: '/add_film', method: 'HEAD' })
          const record = await loggedAs(server, reply)
          assert.deepEqual([reply.status, record['client']], [200, from])
          assert.ok(isProxyId(record['request_id']), String(record['request_id']))
        }
      })

      test('two clients have two quotas, and one that used up its own is refused alone', async () => {
        const { proxies } = await scene()
        const proxy = proxies[name]
        assert.deepEqual(await statusesFrom(proxy, first, limit + 1), full)
        assert.deepEqual(await statusesFrom(proxy, second, limit + 1), full)
      })

      test('one who is refused stays refused, whatever it says of itself', async () => {
        const { proxies, server } = await scene()
        const proxy = proxies[name]
        assert.deepEqual(await statusesFrom(proxy, forger, limit + 1), full)
        await forgeAll(proxy, forger, async (what, reply) => {
          assert.equal(reply.status, 429, what)
          const record = await loggedAs(server, reply)
          assert.deepEqual([record['client'], record['path'], record['method']], [forger, limited, 'GET'], what)
          assert.ok(isProxyId(record['request_id']), what)
          assert.notEqual(record['trace_id'], '6'.repeat(32), what)
        })
      })

      test('the same over HTTP/2', async () => {
        const { proxies, server } = await scene()
        const proxy = proxies[name]
        const socket = await connectTo(proxy, { from: forger, protocols: ['h2'] })
        const session = connectHttp2(`https://${publicHost}`, { createConnection: () => socket })
        const ask = (fields: Readonly<Record<string, string>>) =>
          new Promise<IncomingHttpHeaders>((resolve, reject) => {
            const stream = session.request({ ':path': limited, ...fields })
            stream.on('response', resolve).on('error', reject).resume()
          })
        for (const fields of [
          { 'x-forwarded-for': '6.6.6.6' },
          { forwarded: 'for=6.6.6.6' },
          { 'x-real-ip': '6.6.6.6' },
          { 'x-request-id': 'forged-request-id' },
        ]) {
          const answer = await ask(fields)
          assert.equal(Number(answer[':status']), 429, JSON.stringify(fields))
          const record = await server.logged((line) => line.msg === 'request' && line['request_id'] === answer['x-request-id'])
          assert.equal(record['client'], forger)
        }
        session.destroy()
      })

      test('a forged host, scheme or port changes no answer', async () => {
        const { proxies } = await scene()
        const proxy = proxies[name]
        const plain = await forge(proxy, first, '', '/openapi.json')
        const forged = await forge(
          proxy,
          first,
          'X-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: http\r\nForwarded: host=evil.example\r\n',
          '/openapi.json',
        )
        assert.deepEqual([forged.status, forged.body], [200, plain.body])
        assert.match(plain.body, /"url":"https:\/\/films\.example\.com"/)
      })

      test('a host that is not ours is refused with 421, also in an absolute target', async () => {
        const { proxies, server } = await scene()
        const proxy = proxies[name]
        const reply = await askThrough(proxy, { from: second, fields: { Host: 'evil.example' } })
        assert.equal(reply.status, 421, reply.body)
        const record = await loggedAs(server, reply)
        assert.deepEqual([record['client'], record['verdict']], [second, 'misdirected_request'])
        const absolute = await talk(
          await connectTo(proxy, { from: second }),
          `GET http://evil.example/ HTTP/1.1\r\nHost: ${publicHost}\r\n\r\n`,
          { answers: 1 },
        )
        // nginx and Caddy go by the target, as RFC 9112 section 3.2.2 wants it; HAProxy refuses the contradiction.
        assert.ok([400, 421].includes(absolute.replies[0]?.status ?? 0), String(absolute.replies[0]?.status))
      })
    })
  }

  describe('two proxies in a row', () => {
    for (const [i, name] of proxyNames.entries()) {
      const inner = proxyNames[(i + 1) % proxyNames.length] as (typeof proxyNames)[number]
      test(`${name}, then ${inner}: the client is the one in front of both, forged fields or not`, async () => {
        const { server, authority } = await scene()
        const certificate = authority.issue(publicHost)
        const client = `127.0.${i + 4}.1`
        await using near = await startProxy(inner, { certificate, upstream: server.port, edits: behindAnotherProxy[inner] })
        await using far = await startProxy(name, { certificate, upstream: near.httpsPort, edits: upstreamOverTls(authority.file)[name] })
        assert.deepEqual(await statusesFrom(far, client, limit + 1), full)
        await forgeAll(far, client, async (what, reply) => {
          assert.equal(reply.status, 429, what)
          assert.equal((await loggedAs(server, reply))['client'], client, what)
        })
        assert.equal((await askThrough(far, { from: `127.0.${i + 4}.2`, target: limited })).status, 200)
      })
    }
  })

  test('what these tests would see: without the line that sets the address, anybody chooses one', async () => {
    const { server, authority } = await scene()
    const open = [['        proxy_set_header X-Forwarded-For $remote_addr;\n', '']] as const
    await using proxy = await startProxy('nginx', { certificate: authority.issue(publicHost), upstream: server.port, edits: open })
    const reply = await forge(proxy, '127.0.7.1', 'X-Forwarded-For: 203.0.113.6\r\n')
    assert.equal((await loggedAs(server, reply))['client'], '203.0.113.6')
  })

  test('no request was logged for the proxy itself, and none twice', async () => {
    const { server } = await scene()
    assert.deepEqual(
      requestsIn(server).filter(({ client }) => client === proxyAddress || client === '6.6.6.6'),
      [],
    )
    assertQuietLog(server)
  })
})

describeUnless(proxiesMissing, 'a proxy that Filmgate does not trust', () => {
  const scene = sceneOfSuite({ toml, env: { FILMGATE_SERVER_TRUSTED_PROXIES: '' } })

  test('everybody is one client, nobody chooses an address, and the warning is in the log and in /readyz', async () => {
    const { server, proxies } = await scene()
    assert.deepEqual(await statusesFrom(proxies.nginx, '127.0.0.11', limit), full.slice(0, limit))
    for (const name of proxyNames) {
      const reply = await forge(proxies[name], '127.0.0.12', 'X-Forwarded-For: 6.6.6.6\r\nX-Request-Id: forged-request-id\r\n')
      assert.equal(reply.status, 429)
      const record = await loggedAs(server, reply)
      assert.deepEqual([record['client'], isProxyId(record['request_id'])], [proxyAddress, false])
    }
    const ready = (await (await fetch(`${server.opsUrl}/readyz`)).json()) as { readonly warnings?: readonly string[] }
    assert.equal(ready.warnings?.filter((warning) => warning.includes('server.trusted_proxies')).length, 1)
    assert.equal(server.log().filter(({ msg }) => msg.includes('server.trusted_proxies')).length, 1)
  })
})
