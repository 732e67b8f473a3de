import assert from 'node:assert/strict'
import { test } from 'node:test'

import { assertQuietLog } from '../support/attack.ts'
import { type ProxyName, proxyNames, publicHost } from '../support/proxies.ts'
import { sendRaw } from '../support/raw.ts'
import type { TestServer } from '../support/server.ts'
import { describeUnless } from '../support/services.ts'
import { proxiesMissing, sceneOfSuite } from './scene.ts'
import { connectTo, fieldOf, talk } from './wire.ts'

/** Spellings by which one side might see another path than the other. */
const targets: readonly string[] = [
  '/v1/films/1',
  '//v1/films/1',
  '/v1//films/1',
  '/v1/films//1',
  '/./v1/films/1',
  '/v1/./films/1',
  '/v1/../v1/films/1',
  '/v1/films/../films/1',
  '/v1/films/%2e%2e/films/1',
  '/v1/films/.%2e/films/1',
  '/%2e/v1/films/1',
  '/v1%2ffilms%2f1',
  '/v1/films%2F1',
  '/v1/films%252f1',
  '/%2fv1/films/1',
  '/V1/films/1',
  '/v1/films/1/',
  '/v1/films/1/.',
  '/v1/films/1/..',
  '/v1/films/1;x=y',
  '/v1;x/films/1',
  '/v1/users/..;/films/1',
  '/v1\\films\\1',
  '/v1/films\\..\\films/1',
  '/v1%5cfilms%5c1',
  '/v1/films/1%00',
  '/v1/films/1%00.html',
  '/v1/films/%',
  '/v1/films/%3',
  '/v1/films/%zz',
  '/v1/films/%31',
  '/%76%31/films/1',
  '/v1/films/%2531',
  '/v1/films/1%20',
  '/v1/films/1%09',
  '/v1/films/1%0d%0aX-A:%20b',
  '/v1/films/%ff',
  '/v1/films/%c0%af',
  '/v1/films/1?',
  '/v1/films/1??',
  '/v1/films/1?x=%zz',
  '/v1/films/1?a=b#c',
  '/v1/films/1#c',
  '/v1/users',
  '/v1/users/',
  '//v1/users',
  '/v1/%75sers',
  '/v1/films/../users',
  '/v1/films/..%2fusers',
  '/v1/audit',
  '/v1/limits/%2e%2e/audit',
  '/readyz',
  '/livez',
  '/metrics',
  '//readyz',
  '/../readyz',
  '/..%2freadyz',
  '/%2e%2e/readyz',
  '/v1/../../readyz',
  '/{}',
  '/"',
  "/'",
  '/|^`',
  '/<x>',
  '/~a!$&()*+,=:@',
  '/caf\u00e9',
  '/.',
  '/..',
  `http://${publicHost}/v1/films/1`,
  `http://${publicHost}//v1/films/1`,
  `HTTP://${publicHost.toUpperCase()}/v1/films/1`,
  `https://${publicHost}?like=1`,
  'v1/films/1',
  '*',
]

/** What Filmgate answers and logs. */
interface Judged {
  readonly status: number | undefined
  readonly path: unknown
}

/** Go, which Caddy is written in, escapes what has no place in a path (RFC 3986 section 3.3), the hash too. Nothing is taken out or decoded. */
const escapedByCaddy = (target: string): string =>
  target.replaceAll(/[\\"^`{|}<>#\u0080-\u00ff]/g, (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`)

const inOriginForm = (target: string): string => target.replace(/^https?:\/\/[^/?]*(?=[/?])/i, '').replace(/^\?/, '/?')

describeUnless(proxiesMissing, 'the path that a proxy passes on is the one that Filmgate judges', () => {
  const scene = sceneOfSuite()

  let asked = 0
  const directly = async (server: TestServer, target: string): Promise<Judged> => {
    const id = `directly-${++asked}`
    const bytes = `GET ${target} HTTP/1.1\r\nHost: ${publicHost}\r\nX-Request-Id: ${id}\r\nConnection: close\r\n\r\n`
    const { status, headers } = await sendRaw(server.port, Buffer.from(bytes, 'latin1'))
    const record = await server.logged(({ msg, request_id: known }) => msg === 'request' && known === headers['x-request-id'])
    return { status, path: record['path'] }
  }

  /** Undefined where the proxy refused by itself. */
  const through = async (name: ProxyName, target: string): Promise<Judged | number> => {
    const { server, proxies } = await scene()
    const socket = await connectTo(proxies[name], { from: '127.0.0.8' })
    const { replies } = await talk(socket, Buffer.from(`GET ${target} HTTP/1.1\r\nHost: ${publicHost}\r\n\r\n`, 'latin1'), { answers: 1 })
    const [reply] = replies
    assert.ok(reply, `no answer to ${target}`)
    const id = fieldOf(reply, 'x-request-id')
    if (id === undefined) return reply.status
    const record = await server.logged(({ msg, request_id: known }) => msg === 'request' && known === id)
    return { status: reply.status, path: record['path'] }
  }

  for (const name of proxyNames) {
    test(`${name}: ${targets.length} spellings`, async () => {
      const { server } = await scene()
      assert.deepEqual(await through(name, '/v1/films/1'), { status: 200, path: '/v1/films/1' })
      await Promise.all(
        targets.map(async (target) => {
          const judged = await through(name, target)
          // Refused before Filmgate: also a judgement, and never a good answer.
          if (typeof judged === 'number') return assert.equal(judged, 400, target)
          const spellings = [target, inOriginForm(target), ...(name === 'caddy' ? [escapedByCaddy(inOriginForm(target))] : [])]
          const expected = await Promise.all(spellings.map((spelling) => directly(server, spelling)))
          const same = expected.some(({ status, path }) => status === judged.status && path === judged.path)
          assert.ok(same, `${target}: ${JSON.stringify(judged)} is none of ${JSON.stringify(expected)}`)
        }),
      )
    })

    test(`${name}: no spelling leads to what is guarded, or to the health listener`, async () => {
      const answers = await Promise.all(targets.map(async (target) => ({ target, judged: await through(name, target) })))
      const guarded = answers.filter(({ target }) => /users|%75sers|audit|readyz|livez|metrics/.test(target))
      assert.ok(guarded.length >= 15)
      for (const { target, judged } of guarded) {
        const status = typeof judged === 'number' ? judged : (judged.status ?? 0)
        assert.ok(target.includes(';') || [400, 401, 404].includes(status), `${target}: ${status}`)
      }
    })
  }

  test('no target made Filmgate stumble', async () => assertQuietLog((await scene()).server))
})
