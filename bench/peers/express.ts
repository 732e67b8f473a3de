/**
 * What Express's documentation leads to: helmet, cors, express-rate-limit with the headers of the newest draft, and pino-http,
 * which writes to stdout: the bench has put a file there. The film is a constant: no database. argv: port
 */
import cors from 'cors'
import express from 'express'
import { rateLimit } from 'express-rate-limit'
import helmet from 'helmet'
import { pinoHttp } from 'pino-http'
import { film } from './film.ts'

const app = express()
app.use(pinoHttp())
app.use(helmet())
app.use(cors({ origin: ['https://films.example'] }))
app.use(rateLimit({ windowMs: 86_400_000, limit: 1_000_000_000, standardHeaders: 'draft-8', legacyHeaders: false }))
app.get('/', (_request, response) => {
  response.json(film)
})
app.listen(Number(process.argv[2]), '127.0.0.1')
