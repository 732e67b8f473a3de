/** What `WWW-Authenticate` says to whoever needs a bearer token (RFC 6750 section 3), with what else it tells, such as `error`. */
export const bearerChallenge = (parameters: Readonly<Record<string, string>> = {}): string =>
  `Bearer ${Object.entries({ realm: 'filmgate', ...parameters })
    .map(([name, value]) => `${name}="${value}"`)
    .join(', ')}`

/** RFC 9470 section 3: these credentials are good, but not good enough for this. */
export const strongerLogin = (description: string, maxAgeSeconds: number): string =>
  bearerChallenge({
    error: 'insufficient_user_authentication',
    error_description: description,
    max_age: String(maxAgeSeconds),
  })
