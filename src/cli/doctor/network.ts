import { once } from 'node:events'
import { createServer } from 'node:net'

import type { Config } from '../../config.ts'
import { fail, type Finding, ok, warn } from './finding.ts'

/** Where it listens, whether it can, and whom it believes. */
export const checkNetwork = async (config: Config): Promise<Finding[]> => [
  bind(config),
  await port('API port', 'server', config.server, isOurApi),
  await port('health port', 'ops', config.ops, isOurOps),
  proxies(config),
  publicUrl(config),
]

/** The configuration refuses anything else in this release; said all the same, because it is the question that people have. */
const bind = ({ server }: Config): Finding => ok('bind', `${server.host}: only this machine, and what forwards to it, can reach the API`)

interface Place {
  readonly host: string
  readonly port: number
}

const port = async (
  check: string,
  section: string,
  { host, port: number }: Place,
  isOurs: (origin: string) => Promise<boolean>,
): Promise<Finding> => {
  if (number === 0) return ok(check, 'any free one')
  const at = host.includes(':') ? `[${host}]:${number}` : `${host}:${number}`
  const code = await listenFailure(host, number)
  if (code === undefined) return ok(check, `${at} is free`)
  if (code === 'EADDRINUSE') {
    return (await isOurs(`http://${at}`))
      ? ok(check, `${at} is served by Filmgate`)
      : fail(check, `another program listens on ${at}`, `stop it (ss -ltnp 'sport = :${number}' names it), or set ${section}.port`)
  }
  if (code === 'EACCES')
    return fail(check, `this user may not listen on ${at}`, `set ${section}.port to 1024 or more, and let a reverse proxy listen there`)
  return fail(check, `nobody can listen on ${at} (${code})`, `set ${section}.host to an address of this machine, such as 127.0.0.1`)
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
const isOurApi = async (origin: string): Promise<boolean> => {
  const answer = await ask(`${origin}/add_film`, 'HEAD')
  return answer?.headers.get('accept-post') === 'application/json' && answer.headers.has('x-request-id')
}

const isOurOps = async (origin: string): Promise<boolean> => {
  const answer = await ask(`${origin}/livez`, 'GET')
  return answer?.headers.has('x-request-id') === true && (await answer.text()) === '{"status":"ok"}'
}

const ask = (url: string, method: string): Promise<Response | undefined> =>
  fetch(url, { method, redirect: 'manual', signal: AbortSignal.timeout(2000) }).catch(() => undefined)

const proxies = ({ server }: Config): Finding => {
  const { trustedProxies } = server
  if (trustedProxies.length > 0) return ok('proxies', `X-Forwarded-For is believed from ${trustedProxies.join(', ')}`)
  return server.publicUrl === '' || isLocal(server.publicUrl)
    ? ok('proxies', 'none is trusted: each client is the address that connects')
    : fail(
        'proxies',
        'server.public_url says that a proxy stands in front, but none is trusted: all clients behind it count as one',
        'server.trusted_proxies = ["127.0.0.1/32"], or the network of the proxy',
      )
}

const publicUrl = ({ server }: Config): Finding => {
  const { publicUrl: url, trustedProxies } = server
  if (url === '') {
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
