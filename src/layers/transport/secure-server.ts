import type { ServerResponse } from 'node:http'
import { type Http2ServerResponse, Http2ServerRequest, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import type { ReadableOptions } from 'node:stream'

/** In PEM. */
export interface TlsMaterial {
  /** The certificate, then those that lead to one that clients know. */
  readonly cert: string
  readonly key: string
}

/** What writes answers, per protocol. */
export interface ResponseClasses {
  readonly http1: typeof ServerResponse
  readonly http2: typeof Http2ServerResponse
}

/** TLS 1.2 with AEAD and forward secrecy, and 1.3 (RFC 9325 sections 3.1 and 4.2); the cheapest first. */
const ciphers = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':')

/** HTTP/2 says in `:authority` what HTTP/1.1 says in Host (RFC 9113 section 8.3.1): whoever reads Host finds it under that name. */
class NamedRequest extends Http2ServerRequest {
  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, options: ReadableOptions, rawHeaders: readonly string[]) {
    const { ':authority': authority } = headers
    if (authority !== undefined) headers.host ??= authority
    super(stream, headers, options, rawHeaders)
  }
}

export interface SecureServerOptions {
  readonly material: TlsMaterial
  readonly responses: ResponseClasses
  readonly handshakeTimeout: number
  /** Node's options of an HTTP/1.1 server. */
  readonly http1: { readonly maxHeaderSize: number; readonly [option: string]: unknown }
}

/** HTTP/2 and HTTP/1.1 on one port, chosen by ALPN (RFC 7301), for `http2.createSecureServer`. */
export const secureServerOptions = ({ material, responses, handshakeTimeout, http1 }: SecureServerOptions) => ({
  cert: material.cert,
  key: material.key,
  ciphers,
  minVersion: 'TLSv1.2' as const,
  handshakeTimeout,
  allowHTTP1: true,
  http1Options: { ...http1, ServerResponse: responses.http1 },
  Http2ServerRequest: NamedRequest as typeof Http2ServerRequest,
  Http2ServerResponse: responses.http2,
  settings: { enablePush: false, maxConcurrentStreams: 100, maxHeaderListSize: http1.maxHeaderSize },
})
