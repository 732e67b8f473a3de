import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, test } from 'node:test'
import type { TLSSocket } from 'node:tls'

import { createAuthority } from '../support/certificates.ts'
import { eventually } from '../support/deadline.ts'
import { type Edit, type Proxy, publicHost, startProxy } from '../support/proxies.ts'
import { describeUnless } from '../support/services.ts'
import { proxiesMissing } from './scene.ts'
import { askThrough, connectTo, requestText, talk } from './wire.ts'

const most = 5
const lowered = {
  nginx: [['limit_conn filmgate_clients 256;', `limit_conn filmgate_clients ${most};`]],
  haproxy: [['sc0_conn_cur gt 256', `sc0_conn_cur gt ${most}`]],
} as const satisfies Readonly<Record<string, readonly Edit[]>>

/** Filmgate's own cap does not hold for trusted proxies, so theirs must. */
describeUnless(proxiesMissing, 'one client takes all connections of a proxy', () => {
  const authority = createAuthority('Connections')
  const held: ServerResponse[] = []
  const upstream = createServer((request, response) => {
    if (request.url === '/held') held.push(response)
    else response.end('answered')
  })
  after(() => {
    upstream.closeAllConnections()
    upstream.close()
    authority[Symbol.dispose]()
  })

  /** As many as are let in, each with a request that is not answered. */
  const hold = async (proxy: Proxy, from: string): Promise<TLSSocket[]> => {
    const sockets = await Promise.all(Array.from({ length: most }, () => connectTo(proxy, { from })))
    const before = held.length
    for (const socket of sockets) socket.write(requestText({ target: '/held' }))
    await eventually(20_000, 'all of them are with the upstream', () => held.length === before + most)
    return sockets
  }

  for (const name of ['nginx', 'haproxy'] as const) {
    test(`${name}: one more than its share is refused, another client is not, and it gets in again when it lets go`, async () => {
      if (!upstream.listening) await once(upstream.listen(0, '127.0.0.1'), 'listening')
      const { port } = upstream.address() as AddressInfo
      await using proxy = await startProxy(name, { certificate: authority.issue(publicHost), upstream: port, edits: lowered[name] })
      /** Undefined for a connection that was cut. */
      const status = async (from: string): Promise<number | undefined> => {
        try {
          const { replies } = await talk(await connectTo(proxy, { from }), requestText({}), { answers: 1 })
          return replies[0]?.status
        } catch {
          return undefined
        }
      }
      const sockets = await hold(proxy, '127.0.0.51')
      assert.equal(await status('127.0.0.51'), name === 'nginx' ? 429 : undefined)
      assert.equal((await askThrough(proxy, { from: '127.0.0.52' })).status, 200)
      for (const socket of sockets) socket.destroy()
      // HAProxy counts a connection until its request is answered, whether anybody waits for that or not.
      for (const response of held.splice(0)) response.end()
      await eventually(20_000, 'it is let in again', async () => (await status('127.0.0.51')) === 200)
    })
  }
})
