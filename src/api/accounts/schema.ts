import Type, { type Static } from 'typebox'

/** Code points, as ASVS 6.2.1 and 6.2.9 count: the longest is 512 bytes of UTF-8. */
export const passwordLength = { min: 12, max: 128 } as const

/** Short enough for a line of the log, and no character that looks like another one or needs an escape in a URL. */
export const usernamePattern = '^[a-z0-9._-]{2,64}$'

export const Username = Type.String({
  pattern: usernamePattern,
  description: '2 to 64 of a-z 0-9 . _ - ',
  examples: ['ada'],
})

/** A lone surrogate has no UTF-8: two passwords that differ there alone would be the same one. Every other character counts, NUL too. */
const wellFormed = String.raw`^\P{Cs}*$`

/** As somebody gives it to prove who it is: what could not have been set was not set, whoever asks. */
export const GivenPassword = Type.String({ minLength: 1, maxLength: passwordLength.max, pattern: wellFormed, writeOnly: true })

/** As somebody sets it; `Passwords.mistake` has the rest of the rules. */
export const NewPassword = Type.String({
  minLength: passwordLength.min,
  maxLength: passwordLength.max,
  pattern: wellFormed,
  writeOnly: true,
  description: 'At least 12 characters, of whatever kind, and taken exactly as they are sent.',
  examples: ['correct horse battery staple'],
})

/** Where the refresh token goes. */
export const Browser = Type.Boolean({ description: 'The refresh token comes as a cookie that scripts cannot read, not in the body.' })

export type Username = Static<typeof Username>

/** As `TokenAnswer` in parts.ts. */
export const Tokens = Type.Object(
  {
    access_token: Type.String({ description: 'For Authorization: Bearer.' }),
    token_type: Type.Literal('Bearer'),
    expires_in: Type.Integer({ description: 'Seconds.' }),
    refresh_token: Type.Optional(Type.String({ description: 'Good for one refresh. Left out where it came as a cookie.' })),
  },
  {
    description: 'What a session answers with (RFC 6749 section 5.1).',
    examples: [{ access_token: 'eyJ0eXAiOi…', token_type: 'Bearer', expires_in: 300, refresh_token: 'fgr_…' }],
  },
)
