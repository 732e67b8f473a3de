import type { AddressInfo } from 'node:net'

import type { FastifyInstance } from 'fastify'

import type { App, Protections, SharedOptions } from '../app.ts'
import { isLoopback } from '../config.ts'
import { buildOpsApp, buildRedirectApp } from '../side-apps.ts'
import type { AccessRecord, Metrics } from '../layers/index.ts'
import type { Tls } from './certificates.ts'
import { limiterOf, type OpenLimiterStore } from './limiter-store.ts'
import type { Connections } from './open-files.ts'
import { listenHost } from './public-binding.ts'
import type { Stores } from './stores.ts'

export interface ListeningOptions extends SharedOptions {
  readonly app: App
  readonly tls: Tls | undefined
  readonly connections: Connections
  readonly stores: Pick<Stores, 'database' | 'databaseDir'>
  readonly limiterStore: OpenLimiterStore
  readonly protections: Pick<Protections, 'limits'>
  /** What /readyz tells. */
  readonly warnings: () => readonly string[]
  readonly metrics: Metrics
  readonly ended: (record: AccessRecord) => void
}

export interface Listening {
  readonly address: string
  readonly opsAddress: string
  readonly servers: readonly FastifyInstance[]
}

/** Opens the ports: health first, so that whoever watches sees a server before it is asked anything. */
export const startListening = async ({
  app,
  tls,
  connections,
  stores,
  warnings,
  metrics,
  ...options
}: ListeningOptions): Promise<Listening> => {
  const { config, limiterStore } = options
  const { server, ops } = config
  // Health is asked for by programs of this machine, which need no certificate; from elsewhere it is not to be read or changed on its way.
  const certificates = isLoopback(ops.host) ? undefined : tls?.certificates
  const { database, databaseDir } = stores
  const limiter = limiterOf(config, limiterStore)
  const health = { database, databaseDir, limiter, warnings, metrics, maxConnections: connections.ops, certificates }
  const opsServer = await buildOpsApp({ ...options, ...health })
  const opsAddress = await opsServer.listen({ host: listenHost(ops.host), port: ops.port })
  const address = await app.server.listen({ host: listenHost(server.host), port: server.port })
  const redirect = await openRedirect(app.server, { ...options, maxConnections: connections.redirect })
  return { address, opsAddress, servers: [app.server, opsServer, ...redirect] }
}

/** The plain listener of `tls.redirect_port`; none where that is 0. */
const openRedirect = async (
  secured: FastifyInstance,
  options: SharedOptions & Pick<ListeningOptions, 'limiterStore' | 'protections' | 'ended'>,
): Promise<FastifyInstance[]> => {
  const { server, tls } = options.config
  if (tls.redirectPort === 0) return []
  const { port: tlsPort } = secured.server.address() as AddressInfo
  const app = await buildRedirectApp({ ...options, limits: options.protections.limits, tlsPort })
  await app.listen({ host: listenHost(server.host), port: tls.redirectPort })
  return [app]
}
