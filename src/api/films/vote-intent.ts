import type { FastifyRequest } from 'fastify'

import { isOwnOrigin } from '../own-origins.ts'
import type { Vote } from '../votes/repository.ts'
import type { VoteQuery } from './schema.ts'

/** The votes that a query asks for, in the order like, dislike. */
export const askedVotes = ({ like, dislike }: VoteQuery): readonly Vote[] => [
  ...(like === undefined ? [] : [{ filmId: Number(like), value: 'like' as const }]),
  ...(dislike === undefined ? [] : [{ filmId: Number(dislike), value: 'dislike' as const }]),
]

interface KnownOrigins {
  readonly publicOrigin: string
  /** Whether the operator named that origin (`*` names nobody). */
  readonly isAllowedOrigin: (origin: string) => boolean
}

/**
 * Whether a vote by GET is meant by somebody. Browsers fetch ahead (Sec-Purpose), and any page can make a visitor's browser send a GET with
 * an image tag; a browser says so in fields that no page can forge (Fetch Metadata, W3C; RFC 6454 for Origin). Clients that are no browsers
 * send none of them. Of a page that the operator named it is meant: a GET with an Origin is the work of a script, no image tag sends one.
 */
export const isDeliberate = (
  request: Pick<FastifyRequest, 'headers' | 'host' | 'protocol'>,
  { publicOrigin, isAllowedOrigin }: KnownOrigins,
): boolean => {
  const { headers } = request
  const { origin, referer } = headers
  const site = headers['sec-fetch-site']
  if (headers['sec-purpose'] !== undefined || /prefetch/i.test(String(headers['purpose'] ?? ''))) return false
  if (origin !== undefined && isAllowedOrigin(origin)) return true
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return false
  const isOwn = (url: string | undefined): boolean => url === undefined || isOwnOrigin(url, request, publicOrigin)
  return isOwn(origin) && isOwn(referer)
}
