import { METHODS, type ServerResponse } from 'node:http'
import { Http2ServerRequest, Http2ServerResponse, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import type { ReadableOptions } from 'node:stream'

import { openStreamOf } from './http2-stream.ts'
import { secureContextOptions, type TlsMaterial } from './tls-context.ts'

/** What writes answers, per protocol. */
export interface ResponseClasses {
  readonly http1: typeof ServerResponse
  readonly http2: typeof Http2ServerResponse
}

/** Of all header fields of a request together, over HTTP/1.1 and HTTP/2 alike. */
export const maxHeaderBytes = 16_384

const methods: ReadonlySet<string> = new Set(METHODS)

/** Enough to see in the log what it was. */
const mostOfMethod = 20

/**
 * A request over HTTP/2 as the layers know it from HTTP/1.1. What `:authority` says is found under Host (RFC 9113 section 8.3.1), the target of
 * CONNECT, which has no `:path`, where targets are, and the socket is the connection's own: Node makes a proxy for each stream, and has none
 * left when a client resets it at once.
 */
class NamedRequest extends Http2ServerRequest {
  readonly #open: ReturnType<typeof openStreamOf>
  /** One that the parser of HTTP/1.1 refuses. The router knows it neither, and its own answer to that runs no hook: it gets CONNECT instead. */
  readonly unknownMethod: string | undefined

  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, options: ReadableOptions, rawHeaders: readonly string[]) {
    const { ':authority': authority, ':method': method = '' } = headers
    if (authority !== undefined) headers.host ??= authority
    headers[':path'] ??= authority ?? ''
    const isKnown = methods.has(method)
    if (!isKnown) headers[':method'] = 'CONNECT'
    super(stream, headers, options, rawHeaders)
    this.unknownMethod = isKnown ? undefined : method.slice(0, mostOfMethod)
    this.#open = openStreamOf(stream)
    if (this.#open !== undefined) this.#open.request = this
  }

  static {
    const nodes = Object.getOwnPropertyDescriptor(Http2ServerRequest.prototype, 'socket')
    Object.defineProperty(this.prototype, 'socket', {
      get(this: NamedRequest): unknown {
        return this.#open === undefined ? nodes?.get?.call(this) : this.#open.connection.socket
      },
    })
  }
}

/**
 * Counts what is handed over, so that a reader who takes nothing is told from one who is fed as fast as he takes. Connection is HTTP/1.1's
 * alone (RFC 9113 section 8.2.2): Fastify and layers send it where the connection must end, here only the stream does.
 */
const watchedResponse = (Response: typeof Http2ServerResponse): typeof Http2ServerResponse =>
  class extends Response {
    override write(chunk: string | Uint8Array, ...rest: never[]): boolean {
      const open = openStreamOf(this.stream)
      if (open !== undefined) open.given += chunk.length
      return super.write(chunk, ...rest)
    }

    override setHeader(name: string, value: number | string | readonly string[]): void {
      if (name !== 'connection') super.setHeader(name, value)
    }

    override writeHead(status: number, ...rest: never[]): this {
      const own: unknown = rest.at(-1)
      if (typeof own === 'object' && own !== null && 'connection' in own) delete own.connection
      return super.writeHead(status, ...rest)
    }

    /** Node throws where the client is gone already. */
    override writeContinue(): void {
      if (!this.stream.closed && !this.stream.destroyed) super.writeContinue()
    }
  } as typeof Http2ServerResponse

export interface SecureServerOptions {
  readonly material: TlsMaterial
  readonly responses: ResponseClasses
  readonly handshakeTimeout: number
  /** Node's options of an HTTP/1.1 server. */
  readonly http1: { readonly [option: string]: unknown }
}

/**
 * What nghttp2 bounds by itself, and why. Left as they are: 8 CONTINUATION frames a block (CVE-2024-27316), an HPACK table of 4 KiB, 64 KiB a
 * window, and 1000 answers to PING and SETTINGS that nobody takes.
 */
const http2Bounds = {
  settings: {
    enablePush: false,
    // A WebSocket over HTTP/2 (RFC 8441) is a tunnel to nowhere here.
    enableConnectProtocol: false,
    // RFC 9113 section 6.5.2 recommends no fewer; `concurrency` bounds what one client has in the making.
    maxConcurrentStreams: 100,
    // An HPACK bomb grows from a byte per field to kilobytes; what is larger than this is reset while it is unpacked.
    maxHeaderListSize: maxHeaderBytes,
  },
  maxHeaderListPairs: 128,
  // What clients send that keep to the protocol has none.
  maxSessionInvalidFrames: 16,
  // Until our settings arrive a client may open more streams than it may have.
  maxSessionRejectedStreams: 100,
  // Rapid reset: Http2Connection ends it earlier; this is for what it does not see.
  streamResetBurst: 200,
  streamResetRate: 20,
  // Entries of one SETTINGS frame; there are seven that mean something.
  maxSettings: 32,
  // We ask one at a time.
  maxOutstandingPings: 1,
  // Megabytes that nghttp2 may hold for a session before it refuses streams.
  maxSessionMemory: 10,
  // Blanks around a value end its request instead of being cut off.
  strictFieldWhitespaceValidation: true,
}

/** HTTP/2 and HTTP/1.1 on one port, chosen by ALPN (RFC 7301), for `http2.createSecureServer`. */
export const secureServerOptions = ({ material, responses, handshakeTimeout, http1 }: SecureServerOptions) => ({
  ...secureContextOptions(material),
  ...http2Bounds,
  handshakeTimeout,
  // Node's servers of HTTP/1.1 do so by themselves, those of TLS don't: the end of an answer would wait for the client's next packet.
  noDelay: true,
  allowHTTP1: true,
  http1Options: { ...http1, ServerResponse: responses.http1 },
  Http2ServerRequest: NamedRequest as typeof Http2ServerRequest,
  Http2ServerResponse: watchedResponse(responses.http2),
})
