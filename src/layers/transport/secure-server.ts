import type { ServerResponse } from 'node:http'
import { type Http2ServerResponse, Http2ServerRequest, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import type { ReadableOptions } from 'node:stream'

import { secureContextOptions, type TlsMaterial } from './tls-context.ts'

/** What writes answers, per protocol. */
export interface ResponseClasses {
  readonly http1: typeof ServerResponse
  readonly http2: typeof Http2ServerResponse
}

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
  ...secureContextOptions(material),
  handshakeTimeout,
  allowHTTP1: true,
  http1Options: { ...http1, ServerResponse: responses.http1 },
  Http2ServerRequest: NamedRequest as typeof Http2ServerRequest,
  Http2ServerResponse: responses.http2,
  settings: { enablePush: false, maxConcurrentStreams: 100, maxHeaderListSize: http1.maxHeaderSize },
})
