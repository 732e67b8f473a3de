import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type ClientHttp2Session, connect, createServer, type IncomingHttpHeaders } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { test } from 'node:test'

import Fastify, { type FastifyInstance } from 'fastify'

import { createSecuredResponses, securityHeaderFields } from './security-headers.ts'

const { http1, http2 } = createSecuredResponses({ tls: true })
const defaults = securityHeaderFields({ tls: true })
const own = { 'cache-control': 'public, max-age=9', 'content-security-policy': "script-src 'self'", 'content-type': 'text/plain' }

const addRoutes = (app: FastifyInstance): void => {
  app.get('/text', (_request, reply) => reply.headers(own).send('text'))
  app.get('/stream', (_request, reply) => reply.headers(own).send(Readable.from(['a', 'stream'])))
  app.get('/raw', (_request, reply) => {
    reply.hijack()
    for (const [name, value] of Object.entries(own)) reply.raw.setHeader(name, value)
    reply.raw.end('raw')
  })
  app.get('/bare', (_request, reply) => {
    reply.hijack()
    reply.raw.end('bare')
  })
}

const fieldsOf = async (client: ClientHttp2Session, path: string): Promise<IncomingHttpHeaders> => {
  const stream = client.request({ ':path': path })
  const [fields] = (await once(stream, 'response')) as [IncomingHttpHeaders]
  stream.resume()
  await once(stream, 'close')
  return fields
}

test('an answer that is a stream keeps its own policy over HTTP/1.1 and HTTP/2, and all fields that it does not set', async (t) => {
  const plain = Fastify({ http: { ServerResponse: http1 } })
  addRoutes(plain)
  await plain.listen({ host: '127.0.0.1', port: 0 })
  t.after(() => plain.close())
  const multiplexed = Fastify({
    serverFactory: (handler) => createServer({ Http2ServerResponse: http2 }, handler as never) as never,
  })
  addRoutes(multiplexed)
  await multiplexed.listen({ host: '127.0.0.1', port: 0 })
  const client = connect(`http://127.0.0.1:${(multiplexed.server.address() as AddressInfo).port}`)
  t.after(async () => {
    client.close()
    await multiplexed.close()
  })
  const { port } = plain.server.address() as AddressInfo
  for (const [path, expected] of Object.entries({ '/text': own, '/stream': own, '/raw': own, '/bare': {} })) {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`)
    await answer.text()
    const other = await fieldsOf(client, path)
    for (const [name, value] of Object.entries({ ...defaults, ...expected })) {
      assert.equal(answer.headers.get(name), value, `HTTP/1.1 ${path} ${name}`)
      assert.equal(other[name], value, `HTTP/2 ${path} ${name}`)
    }
  }
})
