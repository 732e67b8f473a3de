/** Bare Fastify with rate-limiter-flexible, one window in memory, and the fields that its documentation shows. argv: port */
import Fastify from 'fastify'
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible'
import { film, filmSchema } from './film.ts'

const points = 1_000_000_000
const limiter = new RateLimiterMemory({ points, duration: 86_400 })
const app = Fastify()
app.addHook('onRequest', async (request, reply) => {
  try {
    const { msBeforeNext, remainingPoints } = await limiter.consume(request.ip)
    reply.headers({
      'Retry-After': msBeforeNext / 1000,
      'X-RateLimit-Limit': points,
      'X-RateLimit-Remaining': remainingPoints,
      'X-RateLimit-Reset': Math.ceil((Date.now() + msBeforeNext) / 1000),
    })
  } catch (refusal) {
    if (refusal instanceof RateLimiterRes) return reply.code(429).send('Too Many Requests')
    throw refusal
  }
  return undefined
})
app.get('/', { schema: { response: { 200: filmSchema } } }, () => film)
const address = await app.listen({ host: '127.0.0.1', port: Number(process.argv[2]) })
console.log(`ready: ${address}`)
