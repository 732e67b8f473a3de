/** As fastify-log, and the monitor with all its rules looks at every request and is asked about every client. argv: port, log file */
import Fastify from 'fastify'
import { film, filmSchema } from './film.ts'
import { registerLog, watchRequests } from './watched.ts'

const app = Fastify()
const monitor = await watchRequests(app)
await registerLog(app, process.argv[3] ?? '', monitor)
app.get('/', { schema: { response: { 200: filmSchema } } }, () => film)
const address = await app.listen({ host: '127.0.0.1', port: Number(process.argv[2]) })
console.log(`ready: ${address}`)
