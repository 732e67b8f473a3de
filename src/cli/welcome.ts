import { relative } from 'node:path'

import type { Config } from '../config.ts'
import type { Serving } from '../serve.ts'
import { shellQuoted } from './output.ts'

/** What a start prints for people: where it listens, calls that work as they stand, and what protects them. */
export const welcome = (config: Config, serving: Serving): string => {
  const { limits, server } = config
  const { address, opsAddress, hasPage } = serving
  return `
Filmgate listens on ${address} (health: ${opsAddress}/readyz)
${hasPage ? `In a browser: ${address}/index.html\n` : ''}
Try it, one call a second:
  curl ${address}/
  curl '${address}/?like=1'
${adding(serving)}${claiming(serving)}
On from the start:
  limits      ${limits.default} for each client and route; ${builtIn(config)}in all ${limits.total}; counted in ${counters(config)}${observed(config)}
${throttled(config)}  at once     ${config.concurrency.perClient} requests of each client, ${config.concurrency.total} in all
  access      reading and voting for everybody, adding films with credentials; other sites' pages cannot vote or write (CORS is closed)
  input       JSON only, at most ${server.bodyLimitBytes} bytes, schema for every part, nothing coerced or stripped; SQL only with parameters
  transport   hosts ${['localhost', server.host, ...server.hosts].join(', ')}; headers within ${server.headerTimeoutMs / 1000} s, requests within ${server.requestTimeoutMs / 1000} s
  answers     security headers and a strict CSP on every one, problem documents without internals
  log         one line for every request, refusals included, secrets redacted
  storage     an answered write is on the disk
`
}

/** With a key that is at hand: the starter key, until there is an admin. */
const adding = ({ address, starterKeyPath }: Serving): string =>
  starterKeyPath === undefined
    ? 'Adding films needs an API key: an admin makes one with POST /v1/keys.\n'
    : `  curl ${address}/add_film -H "Authorization: Bearer ${contentOf(starterKeyPath)}" -H 'Content-Type: application/json' -d '{"name":"Moana","studio":"Disney","year":2016}'\n`

/**
 * Bash and zsh read the password without showing it, and printf is part of them: it stands on no command line, which others of the machine
 * could see, and in no history.
 */
const claiming = ({ address, claim }: Serving): string => {
  if (claim === undefined) return ''
  const code = 'code' in claim ? claim.code : contentOf(claim.path)
  const body = String.raw`printf '{"code":"%s","username":"%s","password":"%s"}' "${code}" admin "$password"`
  return `
There is no admin yet. For 15 minutes this line makes one, named admin, and ends the key above; it asks for a password of 12 characters or more:
  read -rs password && ${body} | curl ${address}/v1/auth/claim -H 'Content-Type: application/json' -d @-; unset password
`
}

const contentOf = (path: string): string => {
  const local = relative('.', path)
  return `$(cat ${shellQuoted(local.startsWith('..') ? path : local)})`
}

/** What the article's calls have besides, where the configuration left it to them. */
const builtIn = ({ limits: { routes } }: Config): string => {
  const isLeft = (name: string): boolean => routes[name] === undefined || (typeof routes[name] === 'object' && 'add' in routes[name])
  const paths = ['GET /', 'POST /add_film'].filter(isLeft).map((name) => name.split(' ')[1])
  return paths.length === 0 ? '' : `1 per second on ${paths.join(' and ')}; `
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
