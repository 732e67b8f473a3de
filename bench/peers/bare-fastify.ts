/** Fastify with nothing on it: one route, one response schema, no logger. The 1 that the others are compared with. argv: port */
import Fastify from 'fastify'
import { film, filmSchema } from './film.ts'

const app = Fastify()
app.get('/', { schema: { response: { 200: filmSchema } } }, () => film)
const address = await app.listen({ host: '127.0.0.1', port: Number(process.argv[2]) })
console.log(`ready: ${address}`)
