/** Bare Fastify with our limits of a route and nothing else of ours: three windows, counted and never reached. argv: port */
import Fastify from 'fastify'
import { systemClock } from '../../src/core/clock.ts'
import { clientAddress, createClientAddresses, createMemoryStore, Limits, routeLimits } from '../../src/layers/index.ts'
import { film, filmSchema } from './film.ts'

const app = Fastify()
await app.register(clientAddress, { addresses: createClientAddresses({ trustedProxies: [] }) })
await app.register(routeLimits, {
  store: createMemoryStore({ clock: systemClock, maxTrackedClients: 1_000_000 }),
  limits: new Limits({ anonymous: '1000000000 per second; 1000000000 per hour; 1000000000 per day' }),
  observe: () => undefined,
})
app.get('/', { config: { access: 'public' }, schema: { response: { 200: filmSchema } } }, () => film)
const address = await app.listen({ host: '127.0.0.1', port: Number(process.argv[2]) })
console.log(`ready: ${address}`)
