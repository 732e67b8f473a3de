/** The public address, with its scheme; and what Host names, because foreign hosts were refused before. */
const ownOrigins = (host: string, publicOrigin: string): readonly string[] => {
  const named = [originOf(`http://${host}`), ...(publicOrigin === '' ? [originOf(`https://${host}`)] : [])]
  const isPublic = publicOrigin !== '' && new URL(publicOrigin).host === host.toLowerCase()
  return isPublic ? [publicOrigin] : publicOrigin === '' ? named : [publicOrigin, ...named]
}

const originOf = (url: string): string => (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol) ? new URL(url).origin : '')

/** Whether a URL, or what Origin says (RFC 6454), is of our own pages; `null`, which is what a page without an origin says, is not. */
export const isOwnOrigin = (url: string, host: string, publicOrigin: string): boolean => {
  const origin = originOf(url)
  return origin !== '' && ownOrigins(host, publicOrigin).includes(origin)
}
