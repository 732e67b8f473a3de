import { relative } from 'node:path'

import type { Config } from '../config.ts'
import type { Serving } from '../serve.ts'
import { shellQuoted } from './output.ts'

/** What a start prints for people: where it listens, calls that work as they stand, and what protects them. */
export const welcome = (config: Config, serving: Serving): string => {
  const { limits, server } = config
  const { address, opsAddress, origin, hasPage } = serving
  const curl = curlOf(serving)
  return `
Filmgate listens on ${address} (health: ${opsAddress}/readyz)
${hasPage ? `In a browser: ${origin}/index.html\n` : ''}${trusting(serving)}
Try it, one call a second:
  ${curl} ${origin}/
  ${curl} '${origin}/?like=1'
${adding(serving)}${claiming(serving)}
On from the start:
  limits      ${limits.default} for each client and route; ${builtIn(config)}in all ${limits.total}; counted in ${counters(config)}${observed(config)}
${throttled(config)}  at once     ${config.concurrency.perClient} requests of each client, ${config.concurrency.total} in all
  access      reading and voting for everybody, adding films with credentials; ${foreignPages(config)}
  input       JSON only, at most ${server.bodyLimitBytes} bytes, schema for every part, nothing coerced or stripped; SQL only with parameters
  transport   ${secured(config)}hosts ${['localhost', server.host, ...server.hosts].join(', ')}; headers within ${server.headerTimeoutMs / 1000} s, requests within ${server.requestTimeoutMs / 1000} s
  answers     security headers and a strict CSP on every one, problem documents without internals
  log         one line for every request, refusals included, secrets redacted; metrics beside health
  monitor     ${watching[config.monitor.mode]}: filmgate decisions, filmgate explain
  storage     an answered write is on the disk
`
}

const watching = {
  enforce: 'rules ban or slow down whoever attacks, never this machine',
  observe: 'rules tell of attacks and refuse nobody',
} as const

/** With a key that is at hand: the starter key, until there is an admin. */
const adding = (serving: Serving): string =>
  serving.starterKeyPath === undefined
    ? 'Adding films needs an API key: an admin makes one with POST /v1/keys.\n'
    : `  ${curlOf(serving)} ${serving.origin}/add_film -H "Authorization: Bearer ${contentOf(serving.starterKeyPath)}" -H 'Content-Type: application/json' -d '{"name":"Moana","studio":"Disney","year":2016}'\n`

/**
 * Bash and zsh read the password without showing it, and printf is part of them: it stands on no command line, which others of the machine
 * could see, and in no history.
 */
const claiming = (serving: Serving): string => {
  const { claim, origin } = serving
  if (claim === undefined) return ''
  const code = 'code' in claim ? claim.code : contentOf(claim.path)
  const body = String.raw`printf '{"code":"%s","username":"%s","password":"%s"}' "${code}" admin "$password"`
  return `
There is no admin yet. For 15 minutes this line makes one, named admin, and ends the key above; it asks for a password of 12 characters or more:
  read -rs password && ${body} | ${curlOf(serving)} ${origin}/v1/auth/claim -H 'Content-Type: application/json' -d @-; unset password
`
}

const contentOf = (path: string): string => `$(cat ${fromHere(path)})`

/** As a word of a shell in this folder. */
const fromHere = (path: string): string => {
  const local = relative('.', path)
  return shellQuoted(local.startsWith('..') ? path : local)
}

/** With what makes it trust a certificate of this machine alone. */
const curlOf = ({ caPath }: Serving): string => (caPath === undefined ? 'curl' : `curl --cacert ${fromHere(caPath)}`)

/** A line, or none where clients trust the certificate, or there is none. */
const trusting = ({ caPath }: Serving): string =>
  caPath === undefined
    ? ''
    : `Its certificate is for this machine alone; clients trust it by ${fromHere(caPath)} (docs/https.md: browsers, other programs)\n`

const secured = ({ tls }: Config): string => {
  if (tls.mode === 'off') return ''
  return `TLS 1.3 and 1.2, HTTP/2 and HTTP/1.1${tls.redirectPort === 0 ? '' : `, plain HTTP on port ${tls.redirectPort} redirected`}; `
}

const foreignPages = ({ cors: { origins, routes } }: Config): string => {
  const lists = [origins, ...Object.values(routes).map((route) => route.origins)]
  if (lists.every((list) => list.length === 0)) return "other sites' pages cannot vote or write (CORS is closed)"
  if (lists.some((list) => list.includes('*'))) return "every site's pages may read, in part or all (CORS: filmgate routes)"
  return `pages of ${new Set(lists.flat()).size} other origins may call (CORS: filmgate routes)`
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
