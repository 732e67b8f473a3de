import type { IncomingHttpHeaders } from 'node:http'

import type { VoteQuery } from './schema.ts'
import type { VoteValue } from '../votes/repository.ts'

export interface AskedVote {
  readonly filmId: number
  readonly value: VoteValue
}

/** The votes that a query asks for, in the order like, dislike. */
export const askedVotes = ({ like, dislike }: VoteQuery): readonly AskedVote[] => [
  ...(like === undefined ? [] : [{ filmId: Number(like), value: 'like' as const }]),
  ...(dislike === undefined ? [] : [{ filmId: Number(dislike), value: 'dislike' as const }]),
]

/**
 * Whether a vote by GET is meant by somebody. Browsers fetch ahead (Sec-Purpose), and any page can make a visitor's browser send a GET with
 * an image tag; a browser says so in fields that no page can forge (Fetch Metadata, W3C; RFC 6454 for Origin). Clients that are no browsers
 * send none of them.
 */
export const isDeliberate = (headers: IncomingHttpHeaders): boolean => {
  const { host = '', origin, referer } = headers
  const site = headers['sec-fetch-site']
  if (headers['sec-purpose'] !== undefined || headers['purpose'] === 'prefetch') return false
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return false
  return (origin === undefined || isOwn(origin, host)) && (referer === undefined || isOwn(referer, host))
}

/** Ours is what the Host field names, because foreign hosts were refused before. */
const isOwn = (url: string, host: string): boolean =>
  URL.canParse(url) && /^https?:$/.test(new URL(url).protocol) && new URL(url).host === host.toLowerCase()
