import { pbkdf2Sync } from 'node:crypto'
import { parentPort } from 'node:worker_threads'

import Fastify from 'fastify'

import * as layers from '../../src/layers/index.ts'

/** In a worker, so that it has an event loop of its own: every request keeps it busy for some milliseconds. */
const watch = new layers.Overload({ clock: layers.systemClock, observe: (event) => parentPort?.postMessage(event) })
const app = Fastify()
await app.register(layers.overload, { watch })
await app.register(layers.problems, { observe: () => undefined })
app.get('/', (_request, reply) => {
  pbkdf2Sync('a', 'b', 15_000, 32, 'sha256')
  return reply.send({ done: true })
})
app.get('/warnings', (_request, reply) => reply.send(watch.warnings()))
const address = await app.listen({ port: 0, host: '127.0.0.1' })
parentPort?.postMessage({ port: Number(new URL(address).port) })
