/** Where a request came in: what Fastify's request says of its own connection. */
export interface OwnAddress {
  readonly protocol: 'http' | 'https'
  /** What Host names; foreign hosts were refused before. */
  readonly host: string
}

/** On the way to this machine itself there is nobody, whatever a proxy does for others. */
const isLoopbackHost = (host: string): boolean => /^(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?$/i.test(host)

/**
 * Over TLS only pages over TLS are ours: one in plain HTTP is written by whoever is on the way. Over plain HTTP a proxy may speak TLS for us: that
 * it does is known where the public address says so.
 */
const schemesOf = ({ protocol, host }: OwnAddress, publicOrigin: string): readonly string[] => {
  if (protocol === 'https') return ['https']
  if (publicOrigin === '') return ['http', 'https']
  return publicOrigin.startsWith('https:') && !isLoopbackHost(host) ? ['https'] : ['http']
}

/** The public address, with its scheme; and what Host names. */
const ownOrigins = (address: OwnAddress, publicOrigin: string): readonly string[] => {
  const { host } = address
  const named = schemesOf(address, publicOrigin).map((scheme) => originOf(`${scheme}://${host}`))
  const isPublic = publicOrigin !== '' && new URL(publicOrigin).host === host.toLowerCase()
  return isPublic ? [publicOrigin] : publicOrigin === '' ? named : [publicOrigin, ...named]
}

const originOf = (url: string): string => (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol) ? new URL(url).origin : '')

/** Whether a URL, or what Origin says (RFC 6454), is of our own pages; `null`, which is what a page without an origin says, is not. */
export const isOwnOrigin = (url: string, address: OwnAddress, publicOrigin: string): boolean => {
  const origin = originOf(url)
  return origin !== '' && ownOrigins(address, publicOrigin).includes(origin)
}
