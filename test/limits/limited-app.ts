import type { AddressInfo } from 'node:net'

import Fastify, { type FastifyInstance } from 'fastify'

import { systemClock } from '../../src/core/clock.ts'
import type { SecurityEvent } from '../../src/core/events.ts'
import * as layers from '../../src/layers/index.ts'
import type { OpenLimitPlace } from '../support/limit-places.ts'
import { openTestStore } from '../support/limiter-redis.ts'

export interface OpenStore extends AsyncDisposable {
  readonly store: layers.LimiterStore
}

/** The store that a server there would count in. */
export const openStoreAt = async ({ nodes: [node] }: OpenLimitPlace): Promise<OpenStore> => {
  if (node !== undefined) return await openTestStore(node.url, { timeoutMs: 5000 })
  const store = layers.createMemoryStore({ clock: systemClock, maxTrackedClients: 1000 })
  return { store, [Symbol.asyncDispose]: async () => store.close() }
}

export interface LimitedApp extends AsyncDisposable {
  readonly port: number
  readonly events: readonly SecurityEvent[]
}

export interface LimitedAppOptions {
  readonly store: layers.LimiterStore
  readonly rules: layers.LimitRules
  readonly routes: (app: FastifyInstance, observe: (event: SecurityEvent) => void) => void
}

/** Somebody else's application with our limits, for routes that this program does not have. */
export const openLimitedApp = async ({ store, rules, routes }: LimitedAppOptions): Promise<LimitedApp> => {
  const app = Fastify()
  const events: SecurityEvent[] = []
  const observe = (event: SecurityEvent): void => void events.push(event)
  const limits = new layers.Limits(rules)
  await app.register(layers.problems, { observe })
  await app.register(layers.clientAddress, { addresses: layers.createClientAddresses({ trustedProxies: [] }) })
  await app.register(layers.totalLimit, { store, observe, limits })
  await app.register(layers.routeLimits, { store, observe, limits })
  routes(app, observe)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const close = async (): Promise<void> => {
    app.server.closeAllConnections()
    await app.close()
  }
  return { port: (app.server.address() as AddressInfo).port, events, [Symbol.asyncDispose]: close }
}
