/** Bare Fastify with our access log, and nothing else of ours but the address of the client. argv: port, log file */
import Fastify from 'fastify'
import { film, filmSchema } from './film.ts'
import { registerLog } from './watched.ts'

const app = Fastify()
await registerLog(app, process.argv[3] ?? '')
app.get('/', { schema: { response: { 200: filmSchema } } }, () => film)
const address = await app.listen({ host: '127.0.0.1', port: Number(process.argv[2]) })
console.log(`ready: ${address}`)
