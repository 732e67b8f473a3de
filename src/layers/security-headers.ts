import { type IncomingMessage, type OutgoingHttpHeader, type OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { Http2ServerResponse } from 'node:http2'

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

/**
 * Node's responses with the fields built in, for the options `ServerResponse` and `Http2ServerResponse` of its servers: they are on every
 * answer, whoever writes it, and handed over as one list they cost half of what setting them one by one does. A field that the answer sets
 * itself wins.
 */
export const createSecuredResponses = (options: SecurityHeadersOptions) => {
  const defaults = securityHeaderFields(options)
  const fields = Object.entries(defaults).flat()
  const places = new Map(fields.flatMap((name, i) => (i % 2 === 0 ? [[name, i + 1]] : [])))
  class SecuredResponse<Request extends IncomingMessage> extends ServerResponse<Request> {
    override writeHead(statusCode: number, ...rest: unknown[]): this {
      const own = rest.at(-1)
      if (!isFields(own)) return super.writeHead(statusCode, ...(rest as [OutgoingHttpHeaders]))
      const list: OutgoingHttpHeader[] = fields.slice()
      for (const name in own) {
        const value = own[name] ?? ''
        const place = places.get(name)
        if (place === undefined) list.push(name, value)
        else list[place] = value
      }
      return super.writeHead(statusCode, list)
    }
  }
  class SecuredHttp2Response extends Http2ServerResponse {
    override writeHead(statusCode: number, ...rest: unknown[]): this {
      const own = rest.at(-1)
      return super.writeHead(statusCode, { ...defaults, ...(isFields(own) ? own : {}) })
    }
  }
  return { http1: SecuredResponse as typeof ServerResponse, http2: SecuredHttp2Response as typeof Http2ServerResponse }
}

const isFields = (value: unknown): value is OutgoingHttpHeaders => typeof value === 'object' && value !== null && !Array.isArray(value)

/** The same as hooks, for a server that somebody else creates: set before anything can refuse, so refusals carry them too. */
export const securityHeaders: FastifyPluginCallback<SecurityHeadersOptions> = wholeServer('security-headers', (app, options, done) => {
  const fields = securityHeaderFields(options)
  app.addHook('onRequest', (_request, reply, next) => {
    reply.headers(fields)
    next()
  })
  done()
})
