import type { Header } from './document.ts'

const text = (description: string, example: string, required = true): Header => ({
  description,
  required,
  schema: { type: 'string' },
  example,
})

/** The fields of answers that clients may count on. */
export const headerFields = {
  'X-Request-Id': text('The id of this request. It finds the request in the log.', '5f3a9c1e07b2d84461aa90fe'),
  'RateLimit-Policy': text(
    'The quotas that this request counts in: name, how many (q) in how many seconds (w). draft-ietf-httpapi-ratelimit-headers-11.',
    '"second";q=1;w=1, "hour";q=50;w=3600, "day";q=200;w=86400',
    false,
  ),
  RateLimit: text(
    'What is left of each quota (r), and for how many seconds it is no more than that (t).',
    '"second";r=0;t=1, "hour";r=49;t=3600, "day";r=199;t=86400',
    false,
  ),
  'Retry-After': {
    description: 'Seconds after which the request can succeed.',
    required: false,
    schema: { type: 'integer', minimum: 1 },
    example: 5,
  },
  'WWW-Authenticate': text(
    'How to authenticate (RFC 9110 section 11.6.1). It is on every 401; error says what the credentials lack: insufficient_user_authentication (RFC 9470) a more recent login or a second factor, insufficient_scope a permission.',
    'Bearer realm="filmgate"',
    false,
  ),
  'Set-Cookie': text(
    'In browser mode: the refresh token, which no script can read. Where Max-Age is 0 the browser forgets one that is good for nothing.',
    '__Host-filmgate_session=fgr_…; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=1209600',
    false,
  ),
  'Accept-Post': text('The media type that the address reads.', 'application/json'),
  Allow: text('The methods that the address answers.', 'HEAD, OPTIONS, POST'),
  Location: text('The address of what was made.', '/v1/films/1'),
  Link: text('Where the next page is (RFC 8288), where there is one.', '<?limit=50&cursor=c2VhbGVk>; rel="next"', false),
  ETag: text('A validator for If-None-Match.', '"8sAq1kCEcVTnaVHm1bGhxA"'),
  Vary: text('Fields of the request that the answer depends on.', 'Authorization', false),
  'Cache-Control': text('Who may keep the answer, and how long. With credentials it is always no-store.', 'no-store'),
} as const satisfies Readonly<Record<string, Header>>

export type HeaderName = keyof typeof headerFields

/** On every answer of a route, refusals included. */
export const everyAnswer: readonly HeaderName[] = ['X-Request-Id', 'RateLimit-Policy', 'RateLimit', 'Vary', 'Cache-Control']
