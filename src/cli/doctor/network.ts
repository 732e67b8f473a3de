import { once } from 'node:events'
import { createServer } from 'node:net'

import { type Config, isLoopback } from '../../config.ts'
import { callServer, type OwnAnswer, ownOrigin } from '../own-server.ts'
import { fail, type Finding, ok, warn } from './finding.ts'

/** Where it listens, whether it can, and whom it believes. */
export const checkNetwork = async (config: Config): Promise<Finding[]> => {
  const { server, ops, tls } = config
  const secured = tls.mode === 'off' ? 'http' : 'https'
  const redirect = { host: server.host, port: tls.redirectPort }
  return [
    bind(config),
    await port(config, { check: 'API port', key: 'server.port', scheme: secured, ...server, isOurs: isOurApi }),
    await port(config, {
      check: 'health port',
      key: 'ops.port',
      scheme: isLoopback(ops.host) ? 'http' : secured,
      ...ops,
      isOurs: isOurOps,
    }),
    ...(redirect.port === 0
      ? []
      : [await port(config, { check: 'redirect port', key: 'tls.redirect_port', scheme: 'http', ...redirect, isOurs: isOurRedirect })]),
    proxies(config),
    publicUrl(config),
  ]
}

/** Who can reach it, and whether somebody on the way can read and change what is said; the configuration refuses that by itself. */
const bind = ({ server: { host, trustedProxies }, tls }: Config): Finding => {
  if (isLoopback(host)) return ok('bind', `${host}: only this machine, and what forwards to it, can reach the API`)
  return ok(
    'bind',
    tls.mode === 'files'
      ? `${host}: other machines reach the API, over TLS`
      : `${host}: other machines reach the API in plain HTTP; nobody but ${trustedProxies.join(', ')} should be let through`,
  )
}

interface Place {
  readonly check: string
  readonly key: string
  readonly scheme: 'http' | 'https'
  readonly host: string
  readonly port: number
  readonly isOurs: (config: Config, origin: string) => Promise<boolean>
}

const port = async (config: Config, { check, key, scheme, host, port: number, isOurs }: Place): Promise<Finding> => {
  if (number === 0) return ok(check, 'any free one')
  const origin = ownOrigin(scheme, host, number)
  const at = origin.slice(scheme.length + 3)
  const code = await listenFailure(host, number)
  if (code === undefined) return ok(check, `${at} is free`)
  if (code === 'EADDRINUSE') {
    return (await isOurs(config, origin))
      ? ok(check, `${at} is served by Filmgate`)
      : fail(check, `another program listens on ${at}`, `stop it (ss -ltnp 'sport = :${number}' names it), or set ${key}`)
  }
  if (code === 'EACCES')
    return fail(
      check,
      `this user may not listen on ${at}`,
      `set ${key} to 1024 or more, or let this program have the port: AmbientCapabilities=CAP_NET_BIND_SERVICE in its systemd unit`,
    )
  return fail(check, `nobody can listen on ${at} (${code})`, `set server.host and ops.host to addresses of this machine, such as 127.0.0.1`)
}

const listenFailure = async (host: string, number: number): Promise<string | undefined> => {
  const server = createServer()
  try {
    server.listen({ host, port: number, exclusive: true })
    await once(server, 'listening')
    server.close()
    await once(server, 'close')
    return undefined
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unknown error'
  }
}

/** What no other program answers. */
const isOurApi = async (config: Config, origin: string): Promise<boolean> => {
  const answer = await ask(config, `${origin}/add_film`, 'HEAD')
  return answer?.headers['accept-post'] === 'application/json' && answer.headers['x-request-id'] !== undefined
}

const isOurOps = async (config: Config, origin: string): Promise<boolean> => {
  const answer = await ask(config, `${origin}/livez`, 'GET')
  return answer?.headers['x-request-id'] !== undefined && answer.body === '{"status":"ok"}'
}

const isOurRedirect = async (config: Config, origin: string): Promise<boolean> => {
  const answer = await ask(config, `${origin}/`, 'HEAD')
  return answer?.status === 308 && answer.headers['x-request-id'] !== undefined
}

const ask = (config: Config, url: string, method: string): Promise<OwnAnswer | undefined> =>
  callServer(config, url, { method, withinMs: 2000 }).catch(() => undefined)

const proxies = ({ server, tls }: Config): Finding => {
  const { trustedProxies } = server
  if (trustedProxies.length > 0) return ok('proxies', `X-Forwarded-For is believed from ${trustedProxies.join(', ')}`)
  return server.publicUrl === '' || isLocal(server.publicUrl) || tls.mode === 'files'
    ? ok('proxies', 'none is trusted: each client is the address that connects')
    : fail(
        'proxies',
        'server.public_url says that a proxy stands in front, but none is trusted: all clients behind it count as one',
        'server.trusted_proxies = ["127.0.0.1/32"], or the network of the proxy',
      )
}

const publicUrl = ({ server }: Config): Finding => {
  const { publicUrl: url, trustedProxies, hosts, host } = server
  if (url === '') {
    if (!isLoopback(host) && hosts.length === 0) {
      return warn(
        'public URL',
        'other machines reach the API, but server.public_url is empty: requests for its host name are refused with 421',
        'server.public_url = "https://films.example.com", the address that people use',
      )
    }
    return trustedProxies.length === 0
      ? ok('public URL', 'none: for this machine alone')
      : warn(
          'public URL',
          'a proxy is trusted, but server.public_url is empty: requests for its host name are refused with 421, votes of its pages are not counted',
          'server.public_url = "https://films.example.com", the address that people use',
        )
  }
  return url.startsWith('https:') || isLocal(url)
    ? ok('public URL', url)
    : warn(
        'public URL',
        `${url} is not encrypted: keys and votes can be read on their way`,
        'let the proxy speak TLS, and write https:// in server.public_url',
      )
}

const isLocal = (url: string): boolean => /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(new URL(url).hostname)
