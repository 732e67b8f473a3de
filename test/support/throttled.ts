import type { AddressInfo } from 'node:net'

import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'

import { systemClock, systemTimers } from '../../src/core/clock.ts'
import type { SecurityEvent } from '../../src/core/events.ts'
import * as layers from '../../src/layers/index.ts'
import { type Connection, openConnection } from './connection.ts'
import { eventually } from './deadline.ts'
import type { ManualClock } from './manual-clock.ts'

const unheard = (): void => undefined

/** Requests name themselves. */
export const nameOf = (request: FastifyRequest): string => String(request.headers['x-name'] ?? '')

export interface Start {
  readonly name: string
  readonly atMs: number
}

export interface ThrottledOptions {
  readonly policy: layers.ThrottlePolicy
  /** By default real time. */
  readonly clock?: ManualClock
  readonly more?: Partial<layers.ThrottleOptions>
  /** Registered in front of the throttle. */
  readonly before?: (app: FastifyInstance, store: layers.LimiterStore) => void
}

/** Somebody else's application with a throttle on /work: when each request came and when its work began. */
export const openThrottled = async ({ policy, clock, more = {}, before }: ThrottledOptions) => {
  const app = Fastify()
  const { monotonicMs } = clock ?? systemClock
  const live = { policy: policy as layers.ThrottlePolicy | undefined }
  const [arrivals, starts]: [Start[], Start[]] = [[], []]
  const events: SecurityEvent[] = []
  const refused: string[] = []
  const store = layers.createMemoryStore({ clock: { monotonicMs }, maxTrackedClients: 1000 })
  await app.register(layers.problems, { observe: unheard })
  await app.register(layers.clientAddress, { addresses: layers.createClientAddresses({ trustedProxies: [] }) })
  app.addHook('onRequest', (request, _reply, next) => {
    arrivals.push({ name: nameOf(request), atMs: monotonicMs() })
    next()
  })
  before?.(app, store)
  await app.register(layers.throttle, {
    store,
    clock: { monotonicMs },
    timers: clock ?? systemTimers,
    observe: (event) => void events.push(event),
    policyOf: (route) => (route === 'GET /work' ? live.policy : undefined),
    maxWaitingInAll: () => 1000,
    onRefused: (request) => void refused.push(nameOf(request)),
    ...more,
  })
  app.get('/work', (request) => {
    starts.push({ name: nameOf(request), atMs: monotonicMs() })
    return 'done'
  })
  app.get('/free', () => 'free')
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo

  const connections: Connection[] = []
  const send = async (name: string): Promise<Connection> => {
    const connection = await openConnection(port)
    connections.push(connection)
    connection.send(`GET /work HTTP/1.1\r\nHost: x\r\nX-Name: ${name}\r\n\r\n`)
    return connection
  }
  /** One after the other, so that the order is certain. */
  const arrive = async (name: string): Promise<Connection> => {
    const connection = await send(name)
    await eventually(5000, `${name} arrived`, () => arrivals.some((arrival) => arrival.name === name))
    return connection
  }
  const close = async (): Promise<void> => {
    for (const connection of connections) connection[Symbol.dispose]()
    app.server.closeAllConnections()
    await app.close()
  }
  return { app, port, live, arrivals, starts, events, refused, send, arrive, [Symbol.asyncDispose]: close }
}
