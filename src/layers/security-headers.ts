import { IncomingMessage, type OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { Http2ServerResponse } from 'node:http2'
import type { Socket } from 'node:net'
import { Writable } from 'node:stream'

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

/** Node's own, which writes the status line and the fields of an answer; not documented, hence `provesItself`. */
type StoreHeader = (this: ServerResponse, firstLine: string, fields: unknown) => void
// oxlint-disable-next-line no-underscore-dangle -- Node's name for it
const storeHeader = (ServerResponse.prototype as unknown as { readonly _storeHeader?: StoreHeader })._storeHeader

/**
 * Node's responses with the fields built in, for the options `ServerResponse` and `Http2ServerResponse` of its servers: they are on every
 * answer, whoever writes it. Over HTTP/1 they are text that was made once and goes behind the status line: handed to Node one by one, each of
 * them would be checked again for every answer. A field that the answer sets itself wins. Throws where this version of Node writes its answers
 * in another way.
 */
export const createSecuredResponses = (options: SecurityHeadersOptions): ResponseClasses => {
  const defaults = securityHeaderFields(options)
  const bits = new Map(Object.keys(defaults).map((name, i) => [name, 1 << i]))
  const linesBut = createLines(defaults)
  class SecuredResponse<Request extends IncomingMessage> extends ServerResponse<Request> {
    _storeHeader(firstLine: string, fields: unknown): void {
      storeHeader?.call(this, firstLine + linesBut(setIn(fields, bits)), fields)
    }
  }
  class SecuredHttp2Response extends Http2ServerResponse {
    override writeHead(statusCode: number, ...rest: unknown[]): this {
      const own = rest.at(-1)
      return super.writeHead(statusCode, { ...defaults, ...this.#earlier(), ...(isFields(own) ? own : {}) })
    }

    /** What was set before, one by one, as Fastify does for a stream: Node would let the fields of `writeHead` win. */
    #earlier(): OutgoingHttpHeaders | undefined {
      return this.getHeaderNames().length === 0 ? undefined : this.getHeaders()
    }
  }
  if (!provesItself(SecuredResponse, defaults)) throw new Error('this version of Node does not let an answer have fields built in')
  return { http1: SecuredResponse, http2: SecuredHttp2Response as typeof Http2ServerResponse }
}

interface ResponseClasses {
  readonly http1: typeof ServerResponse
  readonly http2: typeof Http2ServerResponse
}

const isFields = (value: unknown): value is OutgoingHttpHeaders => typeof value === 'object' && value !== null && !Array.isArray(value)

/** Which of the built-in fields an answer sets itself, a bit for each. Fastify's records and Node's own have names in lower case, lists any. */
const setIn = (fields: unknown, bits: ReadonlyMap<string, number>): number => {
  let set = 0
  if (Array.isArray(fields)) {
    for (const text of fields.flat()) set |= bits.get(String(text).toLowerCase()) ?? 0
  } else if (isFields(fields)) {
    for (const name in fields) set |= bits.get(name) ?? 0
  }
  return set
}

/** The lines of all fields but those whose bits are set; there are few such sets, and each is made once. */
const createLines = (defaults: Readonly<Record<string, string>>): ((without: number) => string) => {
  const lines = Object.entries(defaults).map(([name, value]) => `${name}: ${value}\r\n`)
  const made: (string | undefined)[] = []
  return (without) => (made[without] ??= lines.filter((_, i) => (without & (1 << i)) === 0).join(''))
}

/** Writes an answer and reads it: what Node does not promise is not believed. */
const provesItself = (Response: typeof ServerResponse, defaults: Readonly<Record<string, string>>): boolean => {
  let written = ''
  const socket = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      written += chunk.toString('latin1')
      done()
    },
  })
  const response = new Response(new IncomingMessage(socket as Socket))
  response.assignSocket(socket as Socket)
  response.writeHead(200, { 'cache-control': 'no-cache' })
  response.end()
  const wanted = Object.entries({ ...defaults, 'cache-control': 'no-cache' }).map(([name, value]) => `${name}: ${value}\r\n`)
  return wanted.every((line) => written.split(line).length === 2)
}

/** The same as hooks, for a server that somebody else creates: set before anything can refuse, so refusals carry them too. */
export const securityHeaders: FastifyPluginCallback<SecurityHeadersOptions> = wholeServer('security-headers', (app, options, done) => {
  const fields = securityHeaderFields(options)
  app.addHook('onRequest', (_request, reply, next) => {
    reply.headers(fields)
    next()
  })
  done()
})
