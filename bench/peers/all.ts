import { filmgate, filmgatePostgres } from './filmgate.ts'
import { flask } from './flask.ts'
import { type Peer, programPeer } from './peer.ts'

/** The 1 that the others are compared with. */
export const bare = programPeer('bare-fastify', 'bare Fastify', ['fastify'])
export const plugins = programPeer('fastify-plugins', 'Fastify + helmet, cors, rate-limit, pino', [
  'fastify',
  '@fastify/helmet',
  '@fastify/cors',
  '@fastify/rate-limit',
  'pino',
])
export const express = programPeer('express', 'Express + helmet, cors, express-rate-limit, pino-http', [
  'express',
  'helmet',
  'cors',
  'express-rate-limit',
  'pino-http',
])
export const hono = programPeer('hono', 'Hono on Node + secure-headers, cors, logger, hono-rate-limiter', [
  'hono',
  '@hono/node-server',
  'hono-rate-limiter',
])

/** In the order in which each round measures them. */
export const allPeers: readonly Peer[] = [bare, plugins, express, hono, flask, filmgate, filmgatePostgres]
