import type { FastifyPluginCallback } from 'fastify'

import { wholeServer } from '../core/plugin.ts'

export interface SecurityHeadersOptions {
  /** True only where the connection to the client is really TLS: then HSTS and upgrade-insecure-requests are sent. */
  readonly tls: boolean
}

/**
 * The fields of an API answer, helmet's defaults sharpened for JSON that no document may embed or execute (OWASP REST Security Cheat
 * Sheet). `no-store` is the default because an answer that is cacheable must say so; a route that is, overrides it.
 */
export const securityHeaderFields = ({ tls }: SecurityHeadersOptions): Readonly<Record<string, string>> => ({
  'content-security-policy': `default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'${tls ? '; upgrade-insecure-requests' : ''}`,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'permissions-policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'x-frame-options': 'DENY',
  'cache-control': 'no-store',
  ...(tls ? { 'strict-transport-security': 'max-age=63072000; includeSubDomains' } : {}),
})

/** Layer 4: chosen once, on every answer, refusals included, because the fields are set before anything can refuse. */
export const securityHeaders: FastifyPluginCallback<SecurityHeadersOptions> = wholeServer('security-headers', (app, options, done) => {
  const fields = securityHeaderFields(options)
  app.addHook('onRequest', (_request, reply, next) => {
    reply.headers(fields)
    next()
  })
  done()
})
