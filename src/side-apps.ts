import type { FastifyInstance } from 'fastify'

import { opsRoutes, type OpsOptions } from './api/ops/routes.ts'
import { redirectRoutes } from './api/site/redirect.ts'
import type { SharedOptions } from './app.ts'
import * as layers from './layers/index.ts'
import { type Certificates, createListener, servedHosts } from './listener.ts'

interface OpsTls {
  /** Undefined where only this machine can reach it. */
  readonly certificates?: Certificates | undefined
}

export interface RedirectOptions extends SharedOptions {
  readonly limiterStore: layers.LimiterStore
  readonly limits: layers.Limits
  /** Takes the record of every request that has ended. */
  readonly ended: (record: layers.AccessRecord) => void
  /** Where TLS is spoken, as it listens. */
  readonly tlsPort: number
}

/** Who is to be sent on names the port of plain HTTP, or none: the port that the public address has is the other one. */
const withoutPort = (host: string): string => host.replace(/^(\[[^\]]*\]|[^:]*):\d+$/, '$1')

/** The plain listener in front of the TLS one: it sends browsers there and refuses everything else, counted in the same `total`. */
export const buildRedirectApp = async (options: RedirectOptions): Promise<FastifyInstance> => {
  const { config, observe, limiterStore: store, limits } = options
  const listener = createListener({
    ...options,
    write: (record) => options.ended(record),
    count: layers.createTotalCount(store, limits),
    trustedProxies: config.server.trustedProxies,
    hosts: servedHosts(config).map(withoutPort),
  })
  const { server } = listener
  await server.register(layers.transport, listener.transport)
  await server.register(layers.clientAddress, { addresses: listener.addresses })
  await server.register(layers.accessLog, listener.accessLog)
  await server.register(layers.totalLimit, { store, limits, observe })
  await server.register(layers.messageChecks, listener.messageChecks)
  await server.register(layers.problems, { observe })
  redirectRoutes(server, { publicOrigin: config.server.publicUrl, tlsPort: options.tlsPort })
  await server.ready()
  return server
}

/**
 * The ops listener: a server of its own, so that no limit or flood on the public one hides its health, nor a single neighbour who holds its few
 * connections. Only refusals are worth a log line.
 */
export const buildOpsApp = async (options: SharedOptions & OpsOptions & OpsTls): Promise<FastifyInstance> => {
  const { config, clock, log, observe, certificates, maxConnections, ...ops } = options
  const write = (record: layers.AccessRecord): void => {
    if (record.verdict !== 'ok') log.access(record)
  }
  const listener = createListener({
    config,
    clock,
    observe,
    write,
    count: () => ({}),
    trustedProxies: [],
    hosts: [config.ops.host, ...servedHosts(config)],
    certificates,
    ...(maxConnections === undefined ? {} : { maxConnections, maxConnectionsPerClient: Math.max(4, Math.floor(maxConnections / 4)) }),
  })
  const { server, routes } = listener
  await server.register(layers.transport, listener.transport)
  await server.register(layers.clientAddress, { addresses: listener.addresses })
  await server.register(layers.accessLog, listener.accessLog)
  await server.register(layers.messageChecks, listener.messageChecks)
  await server.register(layers.problems, { observe })
  await server.register(layers.authorization, { observe, clock, publicPermissions: new Set<never>() })
  await server.register(layers.validation)
  opsRoutes(server, ops)
  layers.addMethodAnswers(server, routes)
  layers.addNotFoundAnswer(server)
  await server.ready()
  return server
}
