import type { AddressInfo } from 'node:net'

import type { FastifyInstance } from 'fastify'

import { buildRedirectApp, type RedirectOptions } from '../app.ts'
import { listenHost } from './public-binding.ts'

/** The plain listener of `tls.redirect_port`, listening; none where that is 0. */
export const openRedirect = async (options: Omit<RedirectOptions, 'tlsPort'>, secured: FastifyInstance): Promise<FastifyInstance[]> => {
  const { server, tls } = options.config
  if (tls.redirectPort === 0) return []
  const { port: tlsPort } = secured.server.address() as AddressInfo
  const app = await buildRedirectApp({ ...options, tlsPort })
  await app.listen({ host: listenHost(server.host), port: tls.redirectPort })
  return [app]
}
