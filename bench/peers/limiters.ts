/** What a rate limit alone costs: bare Fastify with each, beside bare Fastify without one. */
import { type Peer, programPeer } from './peer.ts'

export const routeLimits = programPeer('fastify-route-limits', 'bare Fastify + our route limits, three windows', ['fastify'])
const rateLimit = programPeer('fastify-rate-limit', 'bare Fastify + @fastify/rate-limit, one window', ['fastify', '@fastify/rate-limit'])
const flexible = programPeer('fastify-flexible', 'bare Fastify + rate-limiter-flexible, one window', ['fastify', 'rate-limiter-flexible'])

export const limiters: readonly Peer[] = [routeLimits, rateLimit, flexible]
