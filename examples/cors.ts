/**
 * CORS in an application that has nothing else of Filmgate: pages of one origin may write, everybody's may read.
 *
 *     PORT=8080 PAGES=https://app.example.com node examples/cors.ts
 */
import Fastify from 'fastify'

import * as filmgate from '../src/layers/index.ts'

const { PAGES: pages = 'http://localhost:5173', PORT: port = '0' } = process.env
const observe = (event: object): void => console.log(JSON.stringify(event))
const app = Fastify()
await app.register(filmgate.problems, { observe })
await app.register(filmgate.clientAddress, { addresses: filmgate.createClientAddresses({ trustedProxies: [] }) })

// 1. Who may read, and for each route that differs who instead. Throws for what is no origin.
const policies = new filmgate.CorsPolicies({
  origins: pages.split(','),
  routes: { 'GET /films': { origins: ['*'] }, 'DELETE /films/:id': { origins: [] } },
  allowHeaders: ['authorization', 'content-type'],
  exposeHeaders: [...filmgate.exposedLimitFields, 'Location'],
})

// 2. The fields are chosen before anything can refuse, so that a page can read its 401 and its 429.
const routes = filmgate.collectRoutes(app)
await app.register(filmgate.corsFields, { policies })

// 3. What counts everything comes before the answers to preflights, and what asks who it is behind them: they carry no credentials.
const store = filmgate.createMemoryStore({ clock: filmgate.systemClock, maxTrackedClients: 100_000 })
const limits = new filmgate.Limits({ anonymous: '1000 per minute', total: '30 per minute' })
await app.register(filmgate.totalLimit, { store, limits, observe })
await app.register(filmgate.corsPreflights, { policies, observe })
await app.register(filmgate.authentication, { observe })

const films = new Map([['1', 'Metropolis']])
app.get('/films', () => [...films].map(([id, name]) => ({ id, name })))
app.post('/films', ({ id }, reply) => {
  films.set(id, 'A film from afar')
  return reply.code(201).header('location', `/films/${id}`).send({ id })
})
app.delete('/films/:id', () => ({ deleted: films.delete('1') }))

// 4. Every address answers OPTIONS, and 405 to what it does not have. Without it the start fails.
filmgate.addMethodAnswers(app, routes)

process.once('SIGTERM', () => void app.close())
console.log(`listens on ${await app.listen({ host: '127.0.0.1', port: Number(port) })}`)
