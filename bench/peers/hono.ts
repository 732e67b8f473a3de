/**
 * What Hono's documentation leads to on Node: its own middlewares for headers, CORS and the log (into a file), and hono-rate-limiter with
 * its memory store. The film is a constant: no database. argv: port, log file
 */
import { createWriteStream } from 'node:fs'
import { serve } from '@hono/node-server'
import { getConnInfo } from '@hono/node-server/conninfo'
import { Hono } from 'hono'
import { rateLimiter } from 'hono-rate-limiter'
import { cors } from 'hono/cors'
import { logger } from 'hono/logger'
import { secureHeaders } from 'hono/secure-headers'
import { film } from './film.ts'

const [, , port, file = '/dev/null'] = process.argv
const log = createWriteStream(file, { flags: 'a' })
const app = new Hono()
app.use(logger((text, ...rest) => log.write(`${[text, ...rest].join(' ')}\n`)))
app.use(secureHeaders())
app.use(cors({ origin: ['https://films.example'] }))
const keyGenerator = (context: Parameters<typeof getConnInfo>[0]): string => getConnInfo(context).remote.address ?? ''
app.use(rateLimiter({ windowMs: 86_400_000, limit: 1_000_000_000, standardHeaders: 'draft-7', keyGenerator }))
app.get('/', (context) => context.json(film))
serve({ fetch: app.fetch, hostname: '127.0.0.1', port: Number(port) })
