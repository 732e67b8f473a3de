import type { FastifyInstance } from 'fastify'

import { Problem } from '../../core/errors.ts'

export interface RedirectTarget {
  /** `server.public_url`, or empty. */
  readonly publicOrigin: string
  /** Where TLS is spoken. */
  readonly tlsPort: number
}

/**
 * Plain HTTP beside a TLS listener. Who types an address into a browser is sent on with GET and HEAD; a program is not, or it would go on
 * sending its keys in the clear without ever noticing (ASVS 4.1.2, 12.2.1). Refused in onRequest: nothing of a body is read, and the
 * connection ends with the answer.
 */
export const redirectRoutes = (app: FastifyInstance, target: RedirectTarget): void => {
  const locationOf = createLocations(target)
  const config = { access: 'public', limits: 'none' } as const
  app.route({
    method: [...app.supportedMethods],
    url: '*',
    config,
    exposeHeadRoute: false,
    onRequest: (request, reply, next) => {
      const { method, headers, host, raw } = request
      const { url = '' } = raw
      if (headers.authorization !== undefined) next(exposedCredential)
      else if (method !== 'GET' && method !== 'HEAD') next(plain)
      else if (!originForm.test(url)) next(noPath)
      // Host was held against the names of this server.
      else void reply.code(308).header('location', locationOf(host, url)).send()
    },
    handler: () => undefined,
  })
}

/**
 * A target with a scheme of its own, or the asterisk, has no place in Location: behind a host without a slash it is read as more of its name
 * (`https://films.example` and `s://evil.example/`).
 */
const originForm = /^\/[\x21-\x7e]*$/

const noPath = new Problem('bad_request', { detail: 'Send a path as the target.' })

const closing = { connection: 'close' }

const plain = new Problem('forbidden', { detail: 'Send this over HTTPS. Nothing of it was read.', headers: closing })

const exposedCredential = new Problem('forbidden', {
  detail: 'Send this over HTTPS. The credential in it went over the network in the clear: replace it.',
  headers: closing,
})

/** The public address where there is one; else what Host names, on the port of the TLS listener. Path and query stay. */
const createLocations = ({ publicOrigin, tlsPort }: RedirectTarget) => {
  const port = tlsPort === 443 ? '' : `:${tlsPort}`
  return (host: string, target: string): string =>
    `${publicOrigin === '' ? `https://${host.replace(/:\d+$/, '')}${port}` : publicOrigin}${target}`
}
