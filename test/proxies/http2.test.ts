import assert from 'node:assert/strict'
import { test } from 'node:test'

import { assertQuietLog } from '../support/attack.ts'
import { type ProxyName, proxyNames } from '../support/proxies.ts'
import { describeUnless } from '../support/services.ts'
import { http2Attacks, pseudo } from './http2-attacks.ts'
import { sendHttp2 } from './raw-http2.ts'
import { isPastProxy, sceneOfSuite, proxiesMissing, requestsIn } from './scene.ts'
import { smuggledRequest } from './smuggling-attacks.ts'
import { createVictim } from './victim.ts'
import { connectTo } from './wire.ts'

const attacker = { from: '127.0.0.9', protocols: ['h2'] } as const

describeUnless(proxiesMissing, 'HTTP/2 to the proxy, HTTP/1.1 to Filmgate: nothing breaks out of a request [ASVS 4.2.1, 4.2.4]', () => {
  const scene = sceneOfSuite()

  for (const name of proxyNames)
    test(`${name}: a good request in these frames is answered`, async () => {
      const { proxies, server } = await scene()
      const socket = await connectTo(proxies[name], attacker)
      assert.equal(socket.alpnProtocol, 'h2')
      const { status, body } = await sendHttp2(socket, { fields: pseudo({ ':path': '/v1/films/7' }) }, 10_000)
      socket.destroy()
      assert.deepEqual([status, (JSON.parse(body) as { id: number }).id], [200, 7])
      const record = await server.logged(({ path, client }) => path === '/v1/films/7' && client === attacker.from)
      assert.ok(!isPastProxy(record))
    })

  const attackAll = async (name: ProxyName): Promise<void> => {
    const { server, proxies } = await scene()
    const proxy = proxies[name]
    const marks = new Map<string, string>()
    using victim = createVictim(proxy)
    for (const [attack, request] of Object.entries(http2Attacks)) {
      const mark = `/smuggled-${name}-${marks.size}`
      marks.set(mark, attack)
      const socket = await connectTo(proxy, attacker)
      const sent = request(smuggledRequest(mark))
      const { status = 0, reset, goneAway } = await sendHttp2(socket, sent)
      // Of what has no place in a field (RFC 9113 section 8.2.1), the proxy passes on nothing.
      if (sent.fields.flat().some((text) => /[\r\n\0]/.test(text)))
        assert.ok(status >= 400 || reset !== undefined || goneAway !== undefined, `${attack}: ${status}`)
      await victim.askInTurn()
      socket.destroy()
    }
    assert.equal((await victim.ask(`/behind-${name}`)).status, 404)
    await server.logged(({ path }) => path === `/behind-${name}`)
    const seen = requestsIn(server).filter(({ path }) => marks.has(String(path)))
    assert.deepEqual(
      seen.map(({ path }) => marks.get(String(path))),
      [],
    )
  }
  for (const name of proxyNames)
    test(`${name}: ${Object.keys(http2Attacks).length} requests that mean another one in HTTP/1.1`, () => attackAll(name))

  test('nothing came past a proxy, also later, and no attack made Filmgate stumble', async () => {
    const { server } = await scene()
    assert.deepEqual(requestsIn(server).filter(isPastProxy), [])
    assertQuietLog(server)
  })
})
