import { relative } from 'node:path'

import type { Config } from '../config.ts'
import type { Serving } from '../serve.ts'
import { shellQuoted } from './output.ts'

/** What a start prints for people: where it listens, three calls that work as they stand, and what protects them. */
export const welcome = (config: Config, { address, opsAddress, starterKeyPath, hasPage }: Serving): string => {
  const { limits, server } = config
  const local = relative('.', starterKeyPath)
  const keyPath = local.startsWith('..') ? starterKeyPath : local
  return `
Filmgate listens on ${address} (health: ${opsAddress}/readyz)
${hasPage ? `In a browser: ${address}/index.html\n` : ''}
Try it, one call a second:
  curl ${address}/
  curl '${address}/?like=1'
  curl ${address}/add_film -H "Authorization: Bearer $(cat ${shellQuoted(keyPath)})" -H 'Content-Type: application/json' -d '{"name":"Moana","studio":"Disney","year":2016}'

On from the start:
  limits      ${limits.default} for each client and route; 1 per second on / and /add_film; in all ${limits.total}; counted in ${counters(config)}${observed(config)}
${throttled(config)}  at once     ${config.concurrency.perClient} requests of each client, ${config.concurrency.total} in all
  access      reading and voting for everybody, adding films with an API key; other sites' pages cannot vote or write (CORS is closed)
  input       JSON only, at most ${server.bodyLimitBytes} bytes, schema for every part, nothing coerced or stripped; SQL only with parameters
  transport   hosts ${['localhost', server.host, ...server.hosts].join(', ')}; headers within ${server.headerTimeoutMs / 1000} s, requests within ${server.requestTimeoutMs / 1000} s
  answers     security headers and a strict CSP on every one, problem documents without internals
  log         one line for every request, refusals included, secrets redacted
  storage     an answered write is on the disk
`
}

const counters = ({ limits: { store, onStoreFailure } }: Config): string =>
  store === 'memory' ? 'memory' : `Redis (while it is gone: ${onStoreFailure})`

const observed = ({ limits }: Config): string =>
  limits.mode === 'observe' ? '\n              NOT ENFORCED: limits.mode is "observe", nobody is refused' : ''

/** A line, or none where nothing is throttled. */
const throttled = ({ throttle: { routes } }: Config): string => {
  const paces = Object.entries(routes).map(([route, { pace }]) => `${route} at ${pace}`)
  return paces.length === 0 ? '' : `  throttled   ${paces.join('; ')} for each client\n`
}
