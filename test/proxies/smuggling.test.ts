import assert from 'node:assert/strict'
import { test } from 'node:test'

import { assertQuietLog } from '../support/attack.ts'
import { type ProxyName, proxyNames, publicHost } from '../support/proxies.ts'
import { sendRaw } from '../support/raw.ts'
import { describeUnless } from '../support/services.ts'
import { isPastProxy, sceneOfSuite, proxiesMissing, requestsIn } from './scene.ts'
import { attacks, smuggledRequest } from './smuggling-attacks.ts'
import { createVictim } from './victim.ts'
import { connectTo, talk } from './wire.ts'

const attacker = '127.0.0.9'
const placeholder = '/mark'.padEnd(28, '-')
/** So many attack at once, each beside a victim of its own. */
const crews = 6

const heads = (key: string): Readonly<Record<string, string>> => ({
  'answered before the body': `POST /nowhere HTTP/1.1\r\nHost: ${publicHost}\r\n`,
  'with the body read': `POST /add_film HTTP/1.1\r\nHost: ${publicHost}\r\nAuthorization: Bearer ${key}\r\nContent-Type: application/json\r\n`,
})

describeUnless(proxiesMissing, 'request smuggling through a proxy [ASVS 4.2.1]', () => {
  const scene = sceneOfSuite()

  test('what the others go by: a request that comes past the proxy is seen as such', async () => {
    const { server } = await scene()
    await sendRaw(server.port, smuggledRequest('/smuggled-on-purpose'), { until: /\r\n\r\n/ })
    assert.ok(isPastProxy(await server.logged(({ path }) => path === '/smuggled-on-purpose')))
  })

  const attackAll = async (name: ProxyName): Promise<void> => {
    const { server, proxies } = await scene()
    const proxy = proxies[name]
    const left = Object.entries(heads(server.key())).flatMap(([where, head]) =>
      Object.entries(attacks).map(([attack, bytes]) => ({
        title: `${attack}, ${where}`,
        bytes: bytes(head, smuggledRequest(placeholder)),
      })),
    )
    const titles = new Map<string, string>()
    const attackInTurn = async (): Promise<void> => {
      using victim = createVictim(proxy)
      for (let next = left.pop(); next !== undefined; next = left.pop()) {
        const mark = `/smuggled-${name}-${titles.size}`.padEnd(placeholder.length, '-')
        titles.set(mark, next.title)
        const socket = await connectTo(proxy, { from: attacker })
        // As long as what it stands for, because lengths were counted.
        const bytes = next.bytes.replaceAll(placeholder, mark)
        await talk(socket, Buffer.from(bytes, 'latin1'), { answers: 1, quietMs: 500, keep: true })
        await victim.askInTurn()
        socket.destroy()
      }
    }
    await Promise.all(Array.from({ length: crews }, attackInTurn))
    // Behind everything that was sent before.
    using last = createVictim(proxy)
    assert.equal((await last.ask(`/behind-${name}`)).status, 404)
    await server.logged(({ path }) => path === `/behind-${name}`)
    const smuggled = requestsIn(server).filter((record) => titles.has(String(record['path'])) && isPastProxy(record))
    assert.deepEqual(
      smuggled.map(({ path }) => titles.get(String(path))),
      [],
    )
  }

  for (const name of proxyNames)
    test(`${name}: ${Object.keys(attacks).length} ways to hide a request in a body, and nobody gets the answer of somebody else`, () =>
      attackAll(name))

  test('nothing came past a proxy, also later, and no attack made Filmgate stumble', async () => {
    const { server } = await scene()
    assert.deepEqual(
      requestsIn(server).filter((record) => isPastProxy(record) && record['path'] !== '/smuggled-on-purpose'),
      [],
    )
    assertQuietLog(server)
  })
})
