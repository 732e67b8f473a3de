/** Bare Fastify with our security headers and our CORS for one named origin, and nothing else of ours. argv: port */
import Fastify from 'fastify'
import { corsFields, CorsPolicies, corsPreflights, createSecuredResponses, exposedLimitFields } from '../../src/layers/index.ts'
import { film, filmSchema } from './film.ts'

const app = Fastify({ http: { ServerResponse: createSecuredResponses({ tls: true }).http1 } })
const policies = new CorsPolicies({
  origins: ['https://app.example.com', 'https://*.films.example'],
  allowHeaders: ['authorization', 'content-type'],
  exposeHeaders: [...exposedLimitFields, 'Location', 'ETag', 'Link', 'X-Request-Id'],
})
await app.register(corsFields, { policies })
await app.register(corsPreflights, { policies, observe: () => undefined })
app.get('/', { schema: { response: { 200: filmSchema } } }, () => film)
app.options('/', () => undefined)
const address = await app.listen({ host: '127.0.0.1', port: Number(process.argv[2]) })
console.log(`ready: ${address}`)
