import Type, { type Static } from 'typebox'

import { Timestamp } from '../../timestamp.ts'
import type { FactorMethod } from '../parts.ts'
import { Browser, GivenPassword, Tokens, Username } from '../schema.ts'

export const LoginBody = Type.Object(
  { username: Username, password: GivenPassword, browser: Type.Optional(Browser) },
  { additionalProperties: false, examples: [{ username: 'ada', password: 'seven kestrels over the marsh' }] },
)

/** As `MfaAnswer` in parts.ts. */
export const SecondFactorDue = Type.Object(
  {
    mfa_required: Type.Literal(true),
    mfa_token: Type.String({ description: 'For POST /v1/auth/mfa, within five minutes.' }),
    methods: Type.Unsafe<readonly FactorMethod[]>(
      Type.Array(Type.Enum(['totp', 'recovery_code', 'passkey']), { description: 'What can finish the login.' }),
    ),
  },
  { description: 'The first factor was right, and a second one is due.' },
)

export const LoginAnswer = Type.Union([Tokens, SecondFactorDue], {
  description: 'The tokens of a session, or what a second factor is to be sent with.',
  examples: [{ access_token: 'eyJ0eXAiOi…', token_type: 'Bearer', expires_in: 300, refresh_token: 'fgr_…' }],
})

export const RefreshBody = Type.Object(
  {
    refresh_token: Type.Optional(
      // Longer than any of ours: what is none is refused as unknown, and not by its shape.
      Type.String({ minLength: 1, maxLength: 200, description: 'Left out where it comes as the cookie.', writeOnly: true }),
    ),
  },
  { additionalProperties: false, examples: [{ refresh_token: 'fgr_…' }] },
)

export const SessionPath = Type.Object(
  { id: Type.String({ pattern: '^[A-Za-z0-9_-]{22}$', description: 'The id of a session.', examples: ['pJ0xkV9dXo2mB8y1Qw3r5A'] }) },
  { additionalProperties: false },
)

export const SessionQuery = Type.Object(
  {
    user: Type.Optional(
      Type.String({ pattern: '^u[a-z2-7]{20}$', description: 'The id of an account, for admins. Your own unless said.', 'x-public': true }),
    ),
  },
  { additionalProperties: false },
)

const NullableText = (description: string) => Type.Unsafe<string | null>({ type: ['string', 'null'], description })

export const OpenSession = Type.Object(
  {
    id: Type.String(),
    current: Type.Boolean({ description: 'The one that you ask with.' }),
    created_at: Timestamp('When it was opened.'),
    authenticated_at: Timestamp('When its owner last proved who it is.'),
    last_used_at: Timestamp('When it was last refreshed.'),
    expires_at: Timestamp('When it ends at the latest; sooner, where it is not refreshed for a while.'),
    methods: Type.Array(Type.String(), { description: 'How its owner proved who it is (RFC 8176).' }),
    mfa: Type.Boolean({ description: 'With more than one factor.' }),
    browser: Type.Boolean({ description: 'Its refresh token is a cookie.' }),
    client: NullableText('Where it was opened from: an address, or the /64 of IPv6.'),
    user_agent: NullableText('What the client called itself, cut and escaped: its own words.'),
  },
  { additionalProperties: false, description: 'A session that has not ended.' },
)

export const SessionList = Type.Object(
  { items: Type.Array(OpenSession) },
  {
    additionalProperties: false,
    examples: [
      {
        items: [
          {
            id: 'pJ0xkV9dXo2mB8y1Qw3r5A',
            current: true,
            created_at: '2027-01-31T12:00:00.000Z',
            authenticated_at: '2027-01-31T12:00:00.000Z',
            last_used_at: '2027-02-01T08:30:00.000Z',
            expires_at: '2027-03-02T12:00:00.000Z',
            methods: ['pwd'],
            mfa: false,
            browser: false,
            client: '192.0.2.7',
            user_agent: 'curl/8.9.1',
          },
        ],
      },
    ],
  },
)
export type SessionList = Static<typeof SessionList>
