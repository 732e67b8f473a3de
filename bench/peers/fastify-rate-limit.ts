/** Bare Fastify with its official rate limit: one window, which is all that it has, counted and never reached. argv: port */
import rateLimit from '@fastify/rate-limit'
import Fastify from 'fastify'
import { film, filmSchema } from './film.ts'

const app = Fastify()
await app.register(rateLimit, { max: 1_000_000_000, timeWindow: '1 day' })
app.get('/', { schema: { response: { 200: filmSchema } } }, () => film)
const address = await app.listen({ host: '127.0.0.1', port: Number(process.argv[2]) })
console.log(`ready: ${address}`)
