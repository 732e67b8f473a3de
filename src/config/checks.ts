import { databaseUrlMistake } from './database-url.ts'
import { parseDuration } from './duration.ts'
import type { ConfigMistake } from './errors.ts'
import type { Checks, Config } from './keys.ts'
import { issuerName, roleNames } from './issuers.ts'
import { allowMistake, bindMistake, cidrMistake, exemptMistake, hostMistake, isLoopback, sharesPorts } from './networks.ts'
import { isUnguarded, originsMistake } from './origins.ts'
import { redisUrlMistake } from './redis-url.ts'
import { type CrossCheck, tlsChecks } from './tls-checks.ts'
import { entryName } from './tables.ts'
import { webhookChecks, webhookSecretMistake, webhookUrlMistake } from './webhook.ts'

const each =
  (check: (entry: string) => string | undefined) =>
  (entries: readonly string[]): string | undefined =>
    entries
      .map((entry, index) => ({ mistake: check(entry), index }))
      .filter(({ mistake }) => mistake !== undefined)
      .map(({ mistake, index }) => `entry ${index + 1} ${mistake}`)
      .join('; ') || undefined

/** Only what is certain to be an origin: URL() also takes "https:host", backslashes, tabs and spaces. */
function publicUrl(text: string): string | undefined {
  if (text === '' || (/^https?:\/\/[^\s/?#@\\]+\/?$/.test(text) && URL.canParse(text))) return undefined
  return 'must be an http or https URL of a host alone, such as https://films.example.com: no path, query, user or password'
}

const dataDir = (text: string): string | undefined =>
  text.trim() === '' || text.includes('\0') ? 'must be the path of a folder' : undefined

/** The text itself, in UTF-8, is the key material: at least 32 bytes of it, and more where each character holds less than it could. */
function secretsKey(key: string): string | undefined {
  if (key === '') return undefined
  if (/[\p{Cc}\p{Z}]/u.test(key.slice(0, 1) + key.slice(-1)) || /\p{Cc}/u.test(key)) {
    return 'must not begin or end with a space, nor hold control characters'
  }
  if (/^[0-9a-f]+$/i.test(key) && key.length < 64) return 'must be at least 32 bytes: 64 digits in hex'
  if (key.length < 32) return 'must be at least 32 characters, or 32 bytes in hex or base64url: try openssl rand -hex 32'
  // "changemechangeme…" is long and known to everybody.
  if (new Set(key).size < 8) return 'must be random: it has fewer than 8 different characters. Try openssl rand -hex 32'
  return undefined
}

const duration =
  (leastText: string, mostText: string) =>
  (text: string): string | undefined => {
    const [ms = NaN, least = 0, most = 0] = [text, leastText, mostText].map(parseDuration)
    return ms >= least && ms <= most ? undefined : `must be a duration such as 90s, 5m, 12h or 30d, from ${leastText} to ${mostText}`
  }

/** Of tokens: without it anybody's tokens would do. */
const named = (text: string): string | undefined =>
  /^[\x21-\x7e]{1,255}$|^urn:filmgate:<installation id>$/.test(text)
    ? undefined
    : 'must not be empty, and have no spaces: it is what tokens are held against'

/** RFC 9110 section 5.1; `*` would be a wildcard to browsers. */
const fieldName = (name: string): string | undefined => {
  if (name === '*') return 'must be the name of a header field: "*" would be all of them'
  return /^[!#$%&'*+.^_`|~0-9a-z-]{1,64}$/i.test(name) ? undefined : 'must be the name of a header field, such as content-type'
}

/** All of them together must fit into what a preflight may ask for. */
const fieldNames = (names: readonly string[]): string | undefined => (names.length > 50 ? 'must be at most 50' : each(fieldName)(names))

const role = (name: string): string | undefined =>
  (roleNames as readonly string[]).includes(name) ? undefined : `must be one of ${roleNames.join(', ')}`

export const checks: Checks = {
  server: { host: bindMistake, public_url: publicUrl, hosts: each(hostMistake), trusted_proxies: each(cidrMistake) },
  ops: { host: bindMistake },
  data: { dir: dataDir },
  database: { url: databaseUrlMistake },
  secrets: { key: secretsKey },
  auth: {
    issuer: named,
    audience: named,
    // A token that lives longer would be what a session is for.
    access_token_ttl: duration('10s', '1h'),
    session_max_age: duration('1m', '365d'),
    session_idle: duration('1m', '365d'),
    require_mfa_for: each(role),
  },
  limits: { store: redisUrlMistake, exempt: each(exemptMistake) },
  monitor: { allow: each(allowMistake), webhook_url: webhookUrlMistake, webhook_secret: webhookSecretMistake },
  cors: { origins: originsMistake, allow_headers: fieldNames },
}

/** That there is an admin, too, only the database knows: see serve/public-binding.ts. */
const exposed = (host: string, { server, tls }: Config): string | undefined =>
  isLoopback(host) || tls.mode !== 'off' || server.trustedProxies.length > 0 || bindMistake(host) !== undefined
    ? undefined
    : 'is not a loopback address, and without TLS whoever is on the way reads passwords and keys: keep 127.0.0.1, set tls.mode = "files", ' +
      'or put a reverse proxy with TLS in front and name its network in server.trusted_proxies'

const unguarded =
  'has an http:// origin with credentials: whoever is on the way to its visitor writes that page. Use https://, or leave credentials out'

const crossChecks: readonly CrossCheck[] = [
  ...tlsChecks,
  ...webhookChecks,
  { keys: ['server.host', 'server.trusted_proxies', 'tls.mode'], check: (config) => exposed(config.server.host, config) },
  { keys: ['ops.host', 'server.trusted_proxies', 'tls.mode'], check: (config) => exposed(config.ops.host, config) },
  {
    keys: ['server.port', 'ops.port', 'server.host', 'ops.host'],
    check: ({ server, ops }) =>
      server.port !== 0 && server.port === ops.port && sharesPorts(server.host, ops.host)
        ? `leaves server and ops the same port ${ops.port}: give each its own, or 0 for any free one`
        : undefined,
  },
  {
    keys: ['server.header_timeout_ms', 'server.request_timeout_ms'],
    check: ({ server: { headerTimeoutMs, requestTimeoutMs } }) =>
      headerTimeoutMs > requestTimeoutMs
        ? `makes server.header_timeout_ms (${headerTimeoutMs}) longer than server.request_timeout_ms (${requestTimeoutMs}), which includes it`
        : undefined,
  },
  {
    keys: ['database.url', 'secrets.key'],
    check: ({ database, secrets }) =>
      database.url.startsWith('postgres') && secrets.key === ''
        ? 'is PostgreSQL, which needs secrets.key, the same for all instances, or each would count voters by itself: try openssl rand -hex 32'
        : undefined,
  },
  {
    keys: ['auth.session_idle', 'auth.session_max_age'],
    check: ({ auth: { sessionIdle, sessionMaxAge } }) =>
      (parseDuration(sessionIdle) ?? 0) > (parseDuration(sessionMaxAge) ?? 0)
        ? `makes auth.session_idle (${sessionIdle}) longer than auth.session_max_age (${sessionMaxAge}), which ends every session`
        : undefined,
  },
  {
    keys: ['cors.origins', 'cors.credentials'],
    check: ({ cors: { origins, credentials } }) =>
      credentials && origins.includes('*')
        ? 'is "*" with credentials: any page could then speak for its visitor. Name the origins, or leave credentials out'
        : undefined,
  },
  {
    keys: ['cors.origins', 'cors.credentials'],
    check: ({ cors: { origins, credentials } }) =>
      credentials && originsMistake(origins) === undefined && origins.some(isUnguarded) ? unguarded : undefined,
  },
  {
    keys: ['concurrency.per_client', 'concurrency.total'],
    check: ({ concurrency: { perClient, total } }) =>
      perClient > total
        ? `makes concurrency.per_client (${perClient}) more than concurrency.total (${total}), which would be reached first`
        : undefined,
  },
]

/** Combinations that are wrong although each value alone is not. `untyped` names the keys whose intended value is unknown. */
export function combinationMistakes(config: Config, untyped: ReadonlySet<string>): readonly ConfigMistake[] {
  const originOf = (key: string): string => config.origins.get(key) ?? 'default'
  const mistakes = crossChecks.flatMap(({ keys, check }): ConfigMistake[] => {
    const message = keys.some((key) => untyped.has(key)) ? undefined : check(config)
    const key = keys.find((name) => originOf(name) !== 'default') ?? keys[0]
    return message === undefined ? [] : [{ key, message, source: originOf(key) }]
  })
  return [
    ...mistakes,
    ...issuerMistakes(config),
    ...corsRouteMistakes(config),
    ...(untyped.has('server.request_timeout_ms') ? [] : waitMistakes(config)),
  ]
}

/** Two who sign for one name: whose tokens they are would be for a token to say. */
const issuerMistakes = ({ auth, origins }: Config): ConfigMistake[] =>
  auth.issuers.flatMap(({ url }, index) => {
    const mistake = {
      key: `${issuerName(index)}.url`,
      message: 'is auth.issuer, the name of this server itself: others need names of their own',
    }
    return url === auth.issuer ? [{ ...mistake, source: origins.get(issuerName(index)) ?? 'default' }] : []
  })

const corsRouteMistakes = ({ cors, origins }: Config): ConfigMistake[] =>
  Object.entries(cors.routes)
    .filter(([, route]) => cors.credentials && route.origins.some(isUnguarded))
    .map(([route]) => {
      const key = entryName('cors.routes', route)
      return { key, message: unguarded, source: origins.get(key) ?? 'default' }
    })

/** Its connection would be closed for being idle, or its body for being late, before its turn came. */
const waitMistakes = ({ server: { requestTimeoutMs }, throttle, origins }: Config): ConfigMistake[] =>
  Object.entries(throttle.routes)
    .filter(([, { maxWaitMs }]) => maxWaitMs >= requestTimeoutMs)
    .map(([route, { maxWaitMs }]) => {
      const key = entryName('throttle.routes', route)
      const message = `lets requests wait for ${maxWaitMs} ms, but server.request_timeout_ms is ${requestTimeoutMs}: max_wait_ms must be less`
      return { key, message, source: origins.get(key) ?? 'default' }
    })
