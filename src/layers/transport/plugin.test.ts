import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import { test } from 'node:test'

import Fastify from 'fastify'

import { transportOptions } from './plugin.ts'

const deadlines = { bodyLimitBytes: 1024, headerTimeoutMs: 5000, requestTimeoutMs: 10_000 }

test('a connection on which nothing moves ends after 82 s with the default deadlines, later than an idle one', () => {
  const { connectionTimeout, keepAliveTimeout } = transportOptions(deadlines)
  assert.deepEqual([connectionTimeout, keepAliveTimeout], [82_000, 72_000])
})

test('a reader that stops reading loses its connection when that time is over', async () => {
  const app = Fastify({ ...transportOptions(deadlines), connectionTimeout: 300 })
  // More than the buffers of both sides hold, so that the rest of the answer waits for the reader.
  app.get('/', () => 'x'.repeat(64 * 1024 * 1024))
  await app.listen({ host: '127.0.0.1', port: 0 })
  const accepted = once(app.server, 'connection')
  const reader = connect({ port: (app.server.address() as AddressInfo).port, host: '127.0.0.1' }).on('error', () => undefined)
  reader.pause()
  reader.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
  const [socket] = await accepted
  await once(socket, 'close', { signal: AbortSignal.timeout(10_000) })
  reader.destroy()
  await app.close()
})
