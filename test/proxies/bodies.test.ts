import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, describe, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import type { TLSSocket } from 'node:tls'

import { assertQuietLog } from '../support/attack.ts'
import { createAuthority } from '../support/certificates.ts'
import { proxyNames, publicHost, startProxy } from '../support/proxies.ts'
import { describeUnless } from '../support/services.ts'
import { isPastProxy, proxiesMissing, requestsIn, sceneOfSuite } from './scene.ts'
import { smuggledRequest } from './smuggling-attacks.ts'
import { createVictim } from './victim.ts'
import { askThrough, connectTo, problemOf, requestText, talk } from './wire.ts'

const attacker = '127.0.0.9'

describeUnless(proxiesMissing, 'bodies and heads through a proxy', () => {
  // Shorter than the deadline of the proxies, so that it is met where they pass on what they read.
  const scene = sceneOfSuite({ env: { FILMGATE_SERVER_REQUEST_TIMEOUT_MS: '3000', FILMGATE_SERVER_HEADER_TIMEOUT_MS: '2000' } })

  const addFilm = async (): Promise<string> =>
    `POST /add_film HTTP/1.1\r\nHost: ${publicHost}\r\nAuthorization: Bearer ${(await scene()).server.key()}\r\nContent-Type: application/json\r\n`

  describe('all at once', { concurrency: true }, () => {
    for (const name of proxyNames) {
      describe(name, { concurrency: true }, () => {
        test('an upload in slow pieces arrives', async () => {
          const { proxies, server } = await scene()
          const body = JSON.stringify({ name: `Slow ${name}`, studio: 'Snail', year: 2001 })
          const socket = await connectTo(proxies[name], { from: '127.0.0.5' })
          socket.write(`${await addFilm()}Content-Length: ${body.length}\r\n\r\n`)
          // The slowness is what this is about; a busy machine makes it slower, up to the deadline of 3 s.
          for (let at = 0; at < body.length - 1; at += 20) {
            socket.write(body.slice(at, Math.min(at + 20, body.length - 1)))
            await pause(100)
          }
          const { replies } = await talk(socket, body.slice(-1), { answers: 1 })
          assert.equal(replies[0]?.status, 201, String(replies[0]?.body))
          await server.logged(({ path, client, status }) => path === '/add_film' && client === '127.0.0.5' && status === 201)
        })

        const refusals: Readonly<Record<string, { readonly head: () => Promise<string>; readonly statuses: readonly number[] }>> = {
          'to nowhere': { head: async () => `POST /nowhere HTTP/1.1\r\nHost: ${publicHost}\r\n`, statuses: [404] },
          'without a key': {
            head: async () => `POST /add_film HTTP/1.1\r\nHost: ${publicHost}\r\nContent-Type: application/json\r\n`,
            statuses: [401],
          },
          'too large': { head: addFilm, statuses: [413] },
          'for another host': { head: async () => 'POST /add_film HTTP/1.1\r\nHost: evil.example\r\n', statuses: [421] },
        }
        for (const [what, { head, statuses }] of Object.entries(refusals)) {
          for (const framing of ['Content-Length', 'chunks'] as const) {
            test(`refused before its 600 KB are read (${what}, ${framing}): none of it becomes a request of anybody [ASVS 4.2.1]`, async () => {
              const { proxies } = await scene()
              using victim = createVictim(proxies[name])
              const body = smuggledRequest(`/early-${name}`).repeat(5000)
              const framed =
                framing === 'chunks'
                  ? `Transfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
                  : `Content-Length: ${body.length}\r\n\r\n${body}`
              const socket = await connectTo(proxies[name], { from: attacker })
              const sending = talk(socket, (await head()) + framed, { answers: 1 })
              await victim.askInTurn()
              const { replies, ended } = await sending
              await victim.askInTurn()
              // A proxy that was still sending may only have seen the end of the connection.
              const { status } = replies[0] ?? {}
              assert.ok(status === undefined ? ended : [...statuses, 502, 503].includes(status), `${status}`)
              socket.destroy()
            })
          }
        }

        test('a head that is too large is refused as such, also just above what Filmgate takes, and never as a fault of the server', async () => {
          const { proxies } = await scene()
          using victim = createVictim(proxies[name])
          const ask = async (bytes: number, target = '/v1/films/1'): Promise<number> =>
            (await askThrough(proxies[name], { from: attacker, target, fields: { 'X-A': 'a'.repeat(bytes) } })).status
          assert.equal(await ask(7000), 200)
          assert.equal(await ask(12_000), 200)
          for (const bytes of [17_000, 20_000, 31_000, 50_000, 100_000]) {
            const status = await ask(bytes)
            assert.ok([400, 431, 494].includes(status), `${bytes}: ${status}`)
            await victim.askInTurn()
          }
          for (const bytes of [5000, 9000]) {
            const { status } = await askThrough(proxies[name], { from: attacker, target: `/${'a'.repeat(bytes)}` })
            assert.equal(status, 414)
          }
        })

        test('HTTP/1.0, kept alive or not', async () => {
          const { proxies } = await scene()
          for (const fields of ['', 'Connection: keep-alive\r\n']) {
            const socket = await connectTo(proxies[name], { from: attacker })
            const { replies } = await talk(socket, `GET /v1/films/9 HTTP/1.0\r\nHost: ${publicHost}\r\n${fields}\r\n`, { answers: 1 })
            assert.equal(replies[0] && problemOf(replies[0])['id'], 9)
          }
        })
      })
    }

    test('an upload that stops is ended, and disturbs nobody', async () => {
      const { proxies } = await scene()
      const stops = `${await addFilm()}Content-Length: 500\r\n\r\n{"name":`
      await Promise.all(
        proxyNames.map(async (name) => {
          using victim = createVictim(proxies[name])
          const startedMs = performance.now()
          const ending = talk(await connectTo(proxies[name], { from: attacker }), stops, { answers: 1, quietMs: 30_000 })
          await victim.askInTurn()
          const { replies, ended } = await ending
          assert.ok(ended || [408, 502].includes(replies[0]?.status ?? 0), `${name}: ${JSON.stringify(replies)}`)
          // The deadline of the proxy is 10 s.
          assert.ok(performance.now() - startedMs < 20_000, name)
          await victim.askInTurn()
        }),
      )
    })
  })

  test('nothing came past a proxy, and nothing made Filmgate stumble', async () => {
    const { server } = await scene()
    assert.deepEqual(
      requestsIn(server).filter((record) => isPastProxy(record) || String(record['path']).startsWith('/early')),
      [],
    )
    assertQuietLog(server)
  })
})

/** Counted without keeping them: the rest of a body that the end of the connection ends. */
const bytesOf = async (socket: TLSSocket): Promise<number> => {
  socket.write(requestText({ target: '/large', fields: { Connection: 'close' } }).replace('HTTP/1.1', 'HTTP/1.0'))
  let head: string | undefined = ''
  let bytes = 0
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    if (head === undefined) {
      bytes += chunk.length
      continue
    }
    head += chunk.toString('latin1')
    const end = head.indexOf('\r\n\r\n')
    if (end === -1) continue
    assert.match(head, /^HTTP\/1\.[01] 200 /)
    bytes = head.length - end - 4
    head = undefined
  }
  return bytes
}

describeUnless(proxiesMissing, 'an answer that is made piece by piece', () => {
  const pieceBytes = 256 * 1024
  const pieces = 40
  const continuing = new Map<string, () => void>()
  const server = createServer((request, response) => {
    if (request.url === '/large') {
      response.writeHead(200)
      for (let i = 0; i < pieces; i++) response.write(Buffer.alloc(pieceBytes, i))
      response.end()
      return
    }
    response.writeHead(200, { 'content-type': 'application/x-ndjson' })
    response.write('first\n')
    continuing.set(request.url ?? '', () => response.end('second\n'))
  })
  after(() => server.close())

  for (const name of proxyNames) {
    test(`${name}: the first piece is there before there is a second, and 10 MB arrive whole`, async () => {
      if (!server.listening) await once(server.listen(0, '127.0.0.1'), 'listening')
      using authority = createAuthority('Streams')
      const upstream = (server.address() as AddressInfo).port
      await using proxy = await startProxy(name, { certificate: authority.issue(publicHost), upstream })
      const socket = await connectTo(proxy, { from: attacker })
      socket.setEncoding('latin1')
      socket.write(requestText({ target: `/stream-${name}` }))
      let text = ''
      for await (const chunk of socket as AsyncIterable<string>) {
        text += chunk
        if (text.includes('first\n')) continuing.get(`/stream-${name}`)?.()
        if (text.includes('second\n')) break
      }
      assert.match(text, /first\n[^]*second\n/)
      assert.equal(await bytesOf(await connectTo(proxy, { from: attacker })), pieces * pieceBytes)
    })
  }
})
