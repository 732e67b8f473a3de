import { databaseUrlMistake } from './database-url.ts'
import { cidrMistake, hostMistake, isLoopback, sharesPorts } from './networks.ts'
import type { Checks, Config, KeyName } from './keys.ts'

const loopbackHost = (host: string): string | undefined =>
  isLoopback(host)
    ? undefined
    : 'is not a loopback address, and this release has neither TLS nor accounts to protect it with: keep 127.0.0.1, ' +
      'put a reverse proxy on the same machine in front, and name its network in server.trusted_proxies ("127.0.0.1/32")'

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

function limitsStore(text: string): string | undefined {
  if (text === 'memory') return undefined
  const later = /^(?:rediss?|valkeys?):/i.test(text) ? 'is Redis, which is not available in this release: it ' : ''
  return `${later}must be "memory" (FILMGATE_LIMITS_STORE wins over a REDIS_URL that is meant for something else)`
}

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

export const checks: Checks = {
  server: { host: loopbackHost, public_url: publicUrl, hosts: each(hostMistake), trusted_proxies: each(cidrMistake) },
  ops: { host: loopbackHost },
  data: { dir: dataDir },
  database: { url: databaseUrlMistake },
  secrets: { key: secretsKey },
  limits: { store: limitsStore },
}

interface CrossCheck {
  /** All must have the right type; the first of them that is not a default gets the blame. */
  readonly keys: readonly [KeyName, ...KeyName[]]
  readonly check: (config: Pick<Config, 'server' | 'ops' | 'database' | 'secrets'>) => string | undefined
}

/** Combinations that are wrong although each value alone is not. */
export const crossChecks: readonly CrossCheck[] = [
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
]
