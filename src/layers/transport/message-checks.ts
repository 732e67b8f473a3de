import type { IncomingMessage } from 'node:http'

import { Problem } from '../../core/errors.ts'
import { targetAuthority, targetFault } from './target.ts'

export const connectRefused = new Problem('method_not_allowed', {
  detail: 'This is no proxy.',
  headers: { allow: 'GET, HEAD, POST, OPTIONS' },
})
const missingHost = new Problem('bad_request', { detail: 'Send one Host field.' })
const notHttp1 = new Problem('bad_request', { detail: 'Send HTTP/1.1.' })
const twice = new Problem('bad_request', { detail: 'Send Host, Authorization and Content-Type at most once each.' })
const twoAuthorities = new Problem('bad_request', { detail: 'Send the same in :authority and Host, or leave Host out.' })
const otherScheme = new Problem('bad_request', { detail: 'Send https as the scheme.' })
const unknown = new Problem('bad_request', { detail: 'The method is not known.' })
const misdirected = new Problem('misdirected_request', { detail: 'This server does not answer for that host.' })
const expectation = new Problem('expectation_failed', { detail: 'The only expectation that is met is 100-continue.' })

/** What is wrong with a parsed message before anybody looks at its meaning; undefined when nothing is. */
export const createMessageChecks =
  (isAllowedHost: (host: string) => boolean): ((request: IncomingMessage) => Problem | undefined) =>
  (request) => {
    const { host, expect } = request.headers
    // Node's parser takes "HTTP/2.0" in plain text; no client that means it sends that.
    if (request.httpVersionMajor !== 1) {
      const problem = isHttp2(request) ? http2Fault(request) : notHttp1
      if (problem !== undefined) return problem
    }
    if (hasTwice(request.rawHeaders)) return twice
    if (host === undefined || host === '') return missingHost
    if (!isAllowedHost(host)) return misdirected
    const authority = targetAuthority((request as { originalUrl?: string }).originalUrl ?? '/')
    if (authority !== undefined && !isAllowedHost(authority)) return misdirected
    if (expect !== undefined && !/^100-continue$/i.test(expect)) return expectation
    return targetFault(request)
  }

/** Of Node's compatibility API: it has a stream, which a message of HTTP/1 has not. */
const isHttp2 = (request: IncomingMessage): request is Http2Message => 'stream' in request

type Http2Message = IncomingMessage & { readonly unknownMethod?: string }

/** What the parser of HTTP/1.1 has refused by now, or cannot meet. Pseudo-header fields in themselves are nghttp2's to judge. */
const http2Fault = (request: Http2Message): Problem | undefined => {
  const { method, unknownMethod, headers } = request
  if (unknownMethod !== undefined) {
    // For the log and for metrics, now that it is routed.
    request.method = unknownMethod
    return unknown
  }
  if (method === 'CONNECT') return connectRefused
  const { host = '', ':authority': authority = host, ':scheme': scheme } = headers as Readonly<Record<string, string>>
  // Of another scheme nghttp2 lets any text be the path. "http" is what a proxy may have been asked for (RFC 9110 section 7.4).
  if (scheme !== 'https' && scheme !== 'http') return otherScheme
  // A proxy in front may have chosen by the other one (RFC 9113 section 8.3.1).
  return authority === host || authority.toLowerCase() === host.toLowerCase() ? undefined : twoAuthorities
}

/**
 * Node keeps the first of two such fields and drops the other; a proxy in front may have looked at the other one. The lengths come first
 * because this runs for every field of every request.
 */
const hasTwice = (rawHeaders: readonly string[]): boolean => {
  let seen = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? ''
    const bit = singleFields.get(name.length)
    if (bit === undefined || name.toLowerCase() !== bit.name) continue
    if ((seen & bit.mask) !== 0) return true
    seen |= bit.mask
  }
  return false
}

const singleFields = new Map(['host', 'authorization', 'content-type'].map((name, i) => [name.length, { name, mask: 1 << i }]))
