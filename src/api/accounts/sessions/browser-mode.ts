import type { FastifyRequest } from 'fastify'

import { hashOpaqueToken } from '../../../credentials/opaque-token.ts'
import { Problem } from '../../../core/errors.ts'
import { isOwnOrigin } from '../../own-origins.ts'
import { noSessionCookie, sessionCookiesIn } from './cookies.ts'

/** A refresh token as it came. */
export interface Given {
  readonly token: string
  readonly byCookie: boolean
}

type PageRequest = Pick<FastifyRequest, 'headers' | 'host' | 'protocol'>

const foreignPage = new Problem('forbidden', {
  detail: 'The session cookie is for pages of this server. Their browser says so in Origin or Sec-Fetch-Site; this request does not.',
})

/**
 * What the cookie does happens only for our own pages: a browser says where a request is from in fields that no page can forge (Fetch
 * Metadata, W3C; Origin, RFC 6454 section 7). SameSite=Strict alone takes every host of the same site for a friend, and protects no login.
 */
export const demandOwnPage = (request: PageRequest, publicOrigin: string): void => {
  const { headers } = request
  const { origin } = headers
  const site = headers['sec-fetch-site']
  if (origin === undefined && site === undefined) throw foreignPage
  if (site !== undefined && site !== 'same-origin') throw foreignPage
  if (origin !== undefined && !isOwnOrigin(origin, request, publicOrigin)) throw foreignPage
}

/** The refresh token of a request, wherever it is; undefined where there is none. Throws where there are several, or a foreign page uses the cookie. */
export const givenToken = (
  request: PageRequest,
  { refresh_token: inBody }: { readonly refresh_token?: string },
  publicOrigin: string,
): Given | undefined => {
  const cookies = sessionCookiesIn(request.headers.cookie)
  const [cookie] = cookies
  if (cookie === undefined) return inBody === undefined ? undefined : { token: inBody, byCookie: false }
  demandOwnPage(request, publicOrigin)
  if (cookies.length > 1) throw ambiguous('There are two session cookies, and only one is ours. Log in again.', clearing)
  if (inBody !== undefined) throw ambiguous('Send the refresh token in the body or as the cookie, not both.')
  return { token: cookie, byCookie: true }
}

/** The cookie of the browser that logs in anew, whatever it is worth. */
export const replacedHash = ({ headers }: Pick<FastifyRequest, 'headers'>): string | undefined => {
  const [cookie, ...others] = sessionCookiesIn(headers.cookie)
  return cookie === undefined || others.length > 0 ? undefined : hashOpaqueToken('fgr', cookie)
}

/** Makes the browser forget a cookie that is good for nothing, or it would send it for ever. */
export const clearing = { 'set-cookie': noSessionCookie } as const

const ambiguous = (detail: string, headers: Readonly<Record<string, string>> = {}): Problem =>
  new Problem('bad_request', { detail, headers })
