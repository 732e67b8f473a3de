import type { AddressInfo } from 'node:net'

import type { FastifyInstance } from 'fastify'

import type { OpsOptions } from '../api/ops/routes.ts'
import type { App, SharedOptions } from '../app.ts'
import { isLoopback } from '../config.ts'
import type { LimiterStore, Limits } from '../layers/index.ts'
import { buildOpsApp, buildRedirectApp } from '../side-apps.ts'
import type { Tls } from './certificates.ts'
import type { Connections } from './open-files.ts'
import { listenHost } from './public-binding.ts'

export interface ListeningOptions extends SharedOptions {
  readonly app: App
  readonly ops: OpsOptions
  readonly tls: Tls | undefined
  readonly connections: Connections
  readonly limiterStore: LimiterStore
  readonly limits: Limits
}

export interface Listening {
  readonly address: string
  readonly opsAddress: string
  readonly servers: readonly FastifyInstance[]
}

/** Opens the ports: health first, so that whoever watches sees a server before it is asked anything. */
export const startListening = async ({ app, ops, tls, connections, ...options }: ListeningOptions): Promise<Listening> => {
  const { server, ops: own } = options.config
  // Health is asked for by programs of this machine, which need no certificate; from elsewhere it is not to be read or changed on its way.
  const certificates = isLoopback(own.host) ? undefined : tls?.certificates
  const opsServer = await buildOpsApp({ ...options, ...ops, maxConnections: connections.ops, certificates })
  const opsAddress = await opsServer.listen({ host: listenHost(own.host), port: own.port })
  const address = await app.server.listen({ host: listenHost(server.host), port: server.port })
  const redirect = await openRedirect(app.server, { ...options, maxConnections: connections.redirect })
  return { address, opsAddress, servers: [app.server, opsServer, ...redirect] }
}

/** The plain listener of `tls.redirect_port`; none where that is 0. */
const openRedirect = async (
  secured: FastifyInstance,
  options: SharedOptions & Pick<ListeningOptions, 'limiterStore' | 'limits'>,
): Promise<FastifyInstance[]> => {
  const { server, tls } = options.config
  if (tls.redirectPort === 0) return []
  const { port: tlsPort } = secured.server.address() as AddressInfo
  const app = await buildRedirectApp({ ...options, tlsPort })
  await app.listen({ host: listenHost(server.host), port: tls.redirectPort })
  return [app]
}
