/**
 * What Fastify's own documentation leads to: its official plugins for headers, CORS and limits, and its logger, into a file.
 * The film is a constant: no database. argv: port, log file
 */
import cors from '@fastify/cors'
import helmet from '@fastify/helmet'
import rateLimit from '@fastify/rate-limit'
import Fastify from 'fastify'
import { film, filmSchema } from './film.ts'

const [, , port, file = '/dev/null'] = process.argv
const app = Fastify({ logger: { level: 'info', file } })
await app.register(helmet)
await app.register(cors, { origin: ['https://films.example'] })
await app.register(rateLimit, { max: 1_000_000_000, timeWindow: '1 day' })
app.get('/', { schema: { response: { 200: filmSchema } } }, () => film)
const address = await app.listen({ host: '127.0.0.1', port: Number(port) })
console.log(`ready: ${address}`)
