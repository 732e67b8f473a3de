/**
 * Rate limits, throttling and concurrency limits in an application that has nothing else of Filmgate.
 *
 *     PORT=8080 node examples/limits.ts
 */
import Fastify from 'fastify'

import * as filmgate from '../src/layers/index.ts'

const clock = { monotonicMs: () => performance.now() }
const observe = (event: object): void => console.log(JSON.stringify(event))
// What all three share: errors as problem documents, who a client is, and where requests are counted.
const store = filmgate.createMemoryStore({ clock, maxTrackedClients: 100_000 })
const addresses = filmgate.createClientAddresses({ trustedProxies: [] })
const app = Fastify()
await app.register(filmgate.problems, { observe })
await app.register(filmgate.clientAddress, { addresses })

// 1. Rate limits: at most so many in any minute. Those of a route stand beside it; `total` is over everything, unknown addresses too.
const limits = new filmgate.Limits({ anonymous: '30 per minute', total: '60 per minute' })
await app.register(filmgate.totalLimit, { store, limits, observe })
await app.register(filmgate.routeLimits, { store, limits, observe })

// 2. Throttling: of one route two requests begin in a second; two more may wait. Whoever is refused here has used up no limit of the route.
const onRefused = filmgate.createRouteRefund(store)
const timers = { after: later }
const slowly = { pace: { limit: 2, windowMs: 1000 }, burst: 1, maxWaitMs: 1000, maxWaiting: 2 }
const policyOf = (route: string) => (route === 'GET /slowly' ? slowly : undefined)
await app.register(filmgate.throttle, { store, observe, clock, timers, policyOf, maxWaitingInAll: () => 100, onRefused })

// 3. Concurrency: so many of one client's requests are answered at the same time, and so many in all.
await app.register(filmgate.concurrency, { observe, onRefused, limits: () => ({ perClient: 5, total: 50 }) })

app.get('/', { config: { limits: { add: '5 per 10 seconds' } } }, () => ({ hello: 'world' }))
app.get('/slowly', () => ({ at: Math.round(clock.monotonicMs()) }))
app.get('/long', () => new Promise((resolve) => setTimeout(resolve, 1000, { done: true })))

/** A timer that can be called off. */
function later(ms: number, callback: () => void): () => void {
  const timer = setTimeout(callback, Math.ceil(ms))
  return () => clearTimeout(timer)
}

process.once('SIGTERM', () => void app.close())
console.log(`listens on ${await app.listen({ host: '127.0.0.1', port: Number(process.env['PORT'] ?? 0) })}`)
