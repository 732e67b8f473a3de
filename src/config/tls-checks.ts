import type { Config, KeyName } from './keys.ts'
import { bindMistake, isLoopback, sharesPorts } from './networks.ts'

export interface CrossCheck {
  /** All must have the right type; the first of them that is not a default gets the blame. */
  readonly keys: readonly [KeyName, ...KeyName[]]
  readonly check: (config: Config) => string | undefined
}

/** What belongs together in [tls], and what must not. What stands in the files is looked at when the server starts. */
export const tlsChecks: readonly CrossCheck[] = [
  {
    keys: ['tls.mode', 'tls.cert'],
    check: ({ tls: { mode, cert } }) =>
      mode === 'files' && cert === '' ? 'is "files", which needs tls.cert: a PEM file, the certificate first, then its chain' : undefined,
  },
  {
    keys: ['tls.mode', 'tls.key'],
    check: ({ tls: { mode, key } }) =>
      mode === 'files' && key === '' ? 'is "files", which needs tls.key: a PEM file with the private key, mode 0600' : undefined,
  },
  { keys: ['tls.cert', 'tls.mode'], check: ({ tls }) => unused(tls.mode, tls.cert) },
  { keys: ['tls.key', 'tls.mode'], check: ({ tls }) => unused(tls.mode, tls.key) },
  { keys: ['server.host', 'tls.mode'], check: ({ server, tls }) => localOnly(tls.mode, server.host) },
  { keys: ['ops.host', 'tls.mode'], check: ({ ops, tls }) => (isLoopback(ops.host) ? undefined : localOnly(tls.mode, ops.host)) },
  {
    keys: ['server.public_url', 'tls.mode'],
    check: ({ server: { publicUrl }, tls }) =>
      tls.mode !== 'off' && publicUrl.startsWith('http:') ? `begins with http, but tls.mode is "${tls.mode}": write https` : undefined,
  },
  {
    keys: ['tls.redirect_port', 'tls.mode'],
    check: ({ tls }) =>
      tls.redirectPort !== 0 && tls.mode === 'off' ? 'redirects to HTTPS, but tls.mode is "off": nobody would answer there' : undefined,
  },
  {
    keys: ['tls.redirect_port', 'server.port'],
    check: ({ server, tls }) =>
      tls.redirectPort !== 0 && tls.redirectPort === server.port
        ? `leaves server.port and tls.redirect_port the same port ${server.port}: one speaks TLS, the other does not`
        : undefined,
  },
  {
    keys: ['tls.redirect_port', 'ops.port', 'server.host', 'ops.host'],
    check: ({ server, ops, tls }) =>
      tls.redirectPort !== 0 && tls.redirectPort === ops.port && sharesPorts(server.host, ops.host)
        ? `leaves ops and the redirect to HTTPS the same port ${ops.port}: give each its own`
        : undefined,
  },
]

/** Who names a certificate believes that it is served. */
const unused = (mode: Config['tls']['mode'], path: string): string | undefined =>
  mode !== 'files' && path !== '' ? `is set, but tls.mode is "${mode}", which does not use it: set tls.mode = "files"` : undefined

/** What a development certificate is for; src/tls/dev-pair.ts has the same list. */
const devHosts: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '::1'])

const localOnly = (mode: Config['tls']['mode'], host: string): string | undefined =>
  mode !== 'dev' || devHosts.has(host.toLowerCase()) || bindMistake(host) !== undefined
    ? undefined
    : 'is no address of a development certificate, which is for localhost, 127.0.0.1 and ::1 alone: use one of them, or set tls.mode = "files"'
