import { after } from 'node:test'

import { type Authority, createAuthority } from '../support/certificates.ts'
import { type Edit, type Proxy, type ProxyName, type ProxyOptions, proxyNames, publicHost, startProxy } from '../support/proxies.ts'
import { type LogRecord, raisedLimits, startServer, type TestServer } from '../support/server.ts'
import { servicesMissing } from '../support/services.ts'

/** For `skip`. */
export const proxiesMissing = servicesMissing('proxies', 'openssl')

/** Where the proxies connect from: the only address that Filmgate trusts, and that no client of these tests has. */
export const proxyAddress = '127.0.0.1'

export interface Scene extends AsyncDisposable {
  readonly server: TestServer
  readonly authority: Authority
  readonly proxies: Readonly<Record<ProxyName, Proxy>>
}

export interface SceneOptions {
  readonly toml?: string
  readonly env?: Readonly<Record<string, string>>
  readonly edits?: Partial<Readonly<Record<ProxyName, readonly Edit[]>>>
}

export const behindProxy = {
  FILMGATE_SERVER_TRUSTED_PROXIES: `${proxyAddress}/32`,
  FILMGATE_SERVER_PUBLIC_URL: `https://${publicHost}`,
  FILMGATE_PAGE_ENABLED: 'false',
  FILMGATE_CONCURRENCY_PER_CLIENT: '10000',
  FILMGATE_CONCURRENCY_TOTAL: '100000',
}

/** One of each, which end with the stack, also where another one does not start. */
export const startProxies = async (
  stack: AsyncDisposableStack,
  optionsOf: (name: ProxyName) => ProxyOptions,
): Promise<readonly Proxy[]> => {
  const started = await Promise.allSettled(proxyNames.map(async (name) => stack.use(await startProxy(name, optionsOf(name)))))
  return started.map((one) => {
    if (one.status === 'rejected') throw one.reason
    return one.value
  })
}

/** A Filmgate behind each of the proxies, with the files of deploy/. */
export const openScene = async ({ toml = raisedLimits, env = {}, edits = {} }: SceneOptions = {}): Promise<Scene> => {
  await using opened = new AsyncDisposableStack()
  const authority = opened.use(createAuthority('Proxies of this test'))
  const certificate = authority.issue(publicHost)
  const server = opened.use(await startServer({ toml, env: { ...behindProxy, ...env } }))
  const started = await startProxies(opened, (name) => ({ certificate, upstream: server.port, edits: edits[name] ?? [] }))
  const proxies = Object.fromEntries(started.map((proxy) => [proxy.name, proxy])) as Record<ProxyName, Proxy>
  const kept = opened.move()
  return { server, authority, proxies, [Symbol.asyncDispose]: () => kept.disposeAsync() }
}

/** Opened when the first test of a suite asks for it, closed behind the last. */
export const sceneOfSuite = (options: SceneOptions = {}): (() => Promise<Scene>) => {
  let opened: Promise<Scene> | undefined
  after(async () => {
    const scene = await opened?.catch(() => undefined)
    await scene?.[Symbol.asyncDispose]()
  })
  return () => (opened ??= openScene(options))
}

export const requestsIn = (server: TestServer): readonly LogRecord[] => server.log().filter(({ msg }) => msg === 'request')

/**
 * A request that no proxy forwarded: without the address and the request id that they all write. What cannot be parsed is logged for the peer,
 * and names no path.
 */
export const isPastProxy = (record: LogRecord): boolean =>
  record['path'] !== null && (record['client'] === proxyAddress || !isProxyId(record['request_id']))

/** Request ids that a proxy gave: those of Filmgate are 24 hexadecimal digits. */
export const isProxyId = (id: unknown): boolean =>
  /^([0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})$/.test(String(id))
