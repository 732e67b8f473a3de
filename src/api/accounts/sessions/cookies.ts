/** A browser takes it only from this very host, over TLS or from itself (RFC 6265bis section 4.1.3.2): no other name can set or read it. */
export const sessionCookieName = '__Host-filmgate_session'

const attributes = 'Path=/; Secure; HttpOnly; SameSite=Strict'

export const sessionCookie = (token: string, maxAgeSeconds: number): string =>
  `${sessionCookieName}=${token}; ${attributes}; Max-Age=${Math.max(0, Math.floor(maxAgeSeconds))}`

/** Makes the browser forget it. */
export const noSessionCookie = `${sessionCookieName}=; ${attributes}; Max-Age=0`

/**
 * The values under that name in a Cookie field (RFC 6265 section 4.2.1), as they stand. More than one: somebody else than us has set one,
 * and which of them a parser takes is nobody's promise (cookie tossing), so it is for the caller to refuse.
 */
export const sessionCookiesIn = (field: string | undefined): readonly string[] =>
  (field ?? '')
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${sessionCookieName}=`))
    .map((pair) => pair.slice(sessionCookieName.length + 1))
