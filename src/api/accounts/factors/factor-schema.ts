import Type, { type Static } from 'typebox'

import { visibleText } from '../../films/schema.ts'
import { NullableTimestamp, Timestamp } from '../../timestamp.ts'

const strict = { additionalProperties: false } as const

const totpExample = 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP'
const codesExample = ['k3vq-7xw2-mnte-hb5r-2ycd-uo4s', '6fja-zq4n-pd2x-w7tk-ei5m-r3hb']

export const TotpState = Type.Object(
  {
    enabled: Type.Boolean({ description: 'Whether logins ask for codes.' }),
    recovery_codes_left: Type.Integer({ minimum: 0, description: 'Recovery codes that were not used.' }),
  },
  { ...strict, examples: [{ enabled: true, recovery_codes_left: 9 }] },
)

export const TotpOffer = Type.Object(
  {
    secret: Type.String({ description: 'For people who type it, in base 32.' }),
    uri: Type.String({ description: 'For a QR code.' }),
  },
  {
    ...strict,
    examples: [
      {
        secret: totpExample,
        uri: `otpauth://totp/Filmgate:ada?issuer=Filmgate&secret=${totpExample}&algorithm=SHA1&digits=6&period=30`,
      },
    ],
  },
)

export const TotpCode = Type.Object(
  { code: Type.String({ pattern: '^[0-9]{6}$', description: 'What the app shows now.', examples: ['492039'] }) },
  { ...strict, examples: [{ code: '492039' }] },
)

export const RecoveryCodes = Type.Object(
  { recovery_codes: Type.Array(Type.String(), { description: 'Shown once. Each is good for one login.' }) },
  { ...strict, description: 'New recovery codes; all earlier ones are void.', examples: [{ recovery_codes: codesExample }] },
)

/** RFC 4648 section 5, without padding. */
const Base64Url = (maxLength: number, example: string) =>
  Type.String({ minLength: 1, maxLength, pattern: '^[A-Za-z0-9_-]+$', examples: [example] })

/** WebAuthn section 4: at most 1023 bytes. */
const CredentialId = Base64Url(1364, 'MFw3MhVKHDzIsrVnyG1bLQ')
const Challenge = Base64Url(128, 'ZHu2pTVfQhqP2y1h0C0hYw')

/**
 * Public-key credentials as browsers make them with `toJSON()` (WebAuthn level 3, section 5.1): open, for what browsers add to them is no
 * mistake of a client's. What is not named here is not looked at.
 */
const fromBrowser = { additionalProperties: true } as const
const Extensions = Type.Optional(Type.Object({}, fromBrowser))

const credentialMembers = {
  id: CredentialId,
  rawId: CredentialId,
  type: Type.Literal('public-key'),
  clientExtensionResults: Extensions,
}

const clientData = 'eyJ0eXBlIjoid2ViYXV0aG4uZ2V0IiwiY2hhbGxlbmdlIjoiWkh1MiIsIm9yaWdpbiI6Imh0dHBzOi8vZmlsbXMuZXhhbXBsZSJ9'

const AttestationMembers = Type.Object(
  {
    clientDataJSON: Base64Url(4096, clientData),
    attestationObject: Base64Url(8192, 'o2NmbXRkbm9uZWdhdHRTdG10oGhhdXRoRGF0YVg'),
    transports: Type.Optional(Type.Array(Type.String({ maxLength: 32 }), { maxItems: 16 })),
  },
  fromBrowser,
)

const AssertionMembers = Type.Object(
  {
    clientDataJSON: Base64Url(4096, clientData),
    authenticatorData: Base64Url(4096, 'SZYN5YgOjGh0NBcPZHZgW4_krrmihjLHmVzzuoMdl2MFAAAAAQ'),
    signature: Base64Url(2048, 'MEUCIQCx'),
    userHandle: Type.Optional(Type.Unsafe<string | null>({ type: ['string', 'null'], maxLength: 128 })),
  },
  fromBrowser,
)

export const Assertion = Type.Object(
  { ...credentialMembers, response: AssertionMembers },
  { ...fromBrowser, description: 'What navigator.credentials.get() gives, by its toJSON().' },
)
export type Assertion = Static<typeof Assertion>

export const Attestation = Type.Object(
  { ...credentialMembers, response: AttestationMembers },
  { ...fromBrowser, description: 'What navigator.credentials.create() gives, by its toJSON().' },
)
export type Attestation = Static<typeof Attestation>

const attestationExample = {
  id: 'MFw3MhVKHDzIsrVnyG1bLQ',
  rawId: 'MFw3MhVKHDzIsrVnyG1bLQ',
  type: 'public-key',
  response: { clientDataJSON: clientData, attestationObject: 'o2NmbXRkbm9uZWdhdHRTdG10oGhhdXRoRGF0YVg', transports: ['internal'] },
}
const assertionExample = {
  id: 'MFw3MhVKHDzIsrVnyG1bLQ',
  rawId: 'MFw3MhVKHDzIsrVnyG1bLQ',
  type: 'public-key',
  response: {
    clientDataJSON: clientData,
    authenticatorData: 'SZYN5YgOjGh0NBcPZHZgW4_krrmihjLHmVzzuoMdl2MFAAAAAQ',
    signature: 'MEUCIQCx',
    userHandle: 'dWVqZ3p0a3E',
  },
}

const MfaToken = Type.String({
  maxLength: 64,
  writeOnly: true,
  description: 'From the answer of the login.',
  examples: [`fgm_${'A'.repeat(43)}`],
})

/** One schema for both kinds of proof, so that an error names the place once and not for each kind. */
const Code = Type.Unsafe<string | Assertion>({
  ...Assertion,
  type: ['string', 'object'],
  minLength: 6,
  maxLength: 64,
  writeOnly: true,
  description: 'The code; for passkey, the credential that navigator.credentials.get() gives, by its toJSON().',
})

export const Mfa = Type.Object(
  { mfa_token: MfaToken, method: Type.Enum(['totp', 'recovery_code', 'passkey']), code: Code },
  { ...strict, examples: [{ mfa_token: `fgm_${'A'.repeat(43)}`, method: 'totp', code: '492039' }] },
)
export type Mfa = Static<typeof Mfa>

export const PasskeyQuestion = Type.Object({ mfa_token: Type.Optional(MfaToken) }, { ...strict, examples: [{}] })

export const Descriptor = Type.Object(
  { type: Type.Literal('public-key'), id: CredentialId, transports: Type.Array(Type.String()) },
  { ...strict, description: 'A passkey, for the browser.' },
)

export const AssertionOptions = Type.Object(
  {
    challenge: Challenge,
    rpId: Type.String({ examples: ['films.example'] }),
    timeout: Type.Integer({ description: 'Milliseconds.' }),
    userVerification: Type.Literal('required'),
    allowCredentials: Type.Array(Descriptor),
  },
  {
    ...strict,
    description: 'For PublicKeyCredential.parseRequestOptionsFromJSON().',
    examples: [
      { challenge: 'ZHu2pTVfQhqP2y1h0C0hYw', rpId: 'films.example', timeout: 300_000, userVerification: 'required', allowCredentials: [] },
    ],
  },
)
export type AssertionOptions = Static<typeof AssertionOptions>

export const CreationOptions = Type.Object(
  {
    challenge: Challenge,
    rp: Type.Object({ id: Type.String(), name: Type.String() }, strict),
    user: Type.Object({ id: Type.String(), name: Type.String(), displayName: Type.String() }, strict),
    pubKeyCredParams: Type.Array(Type.Object({ type: Type.Literal('public-key'), alg: Type.Integer() }, strict)),
    timeout: Type.Integer({ description: 'Milliseconds.' }),
    excludeCredentials: Type.Array(Descriptor),
    authenticatorSelection: Type.Object(
      { residentKey: Type.Literal('required'), requireResidentKey: Type.Boolean(), userVerification: Type.Literal('required') },
      strict,
    ),
    attestation: Type.Literal('none'),
  },
  {
    ...strict,
    description: 'For PublicKeyCredential.parseCreationOptionsFromJSON().',
    examples: [
      {
        challenge: 'ZHu2pTVfQhqP2y1h0C0hYw',
        rp: { id: 'films.example', name: 'Filmgate' },
        user: { id: 'dWVqZ3p0a3E', name: 'ada', displayName: 'ada' },
        pubKeyCredParams: [{ type: 'public-key', alg: -7 }],
        timeout: 300_000,
        excludeCredentials: [],
        authenticatorSelection: { residentKey: 'required', requireResidentKey: true, userVerification: 'required' },
        attestation: 'none',
      },
    ],
  },
)
export type CreationOptions = Static<typeof CreationOptions>

const Name = Type.String({
  minLength: 1,
  maxLength: 64,
  pattern: visibleText,
  description: 'By which its owner knows it.',
  examples: ['My laptop'],
})

export const NewPasskey = Type.Object(
  { name: Name, credential: Attestation },
  { ...strict, examples: [{ name: 'My laptop', credential: attestationExample }] },
)

const passkeyMembers = {
  id: Type.String({ description: 'Of the passkey here; no credential id.', examples: ['2fZ1Jz0vZk1mX0Yc3l0bqA'] }),
  name: Type.String({ examples: ['My laptop'] }),
  created_at: Timestamp('When it was added.'),
  last_used_at: NullableTimestamp('The last login with it; null: not yet.'),
}
const passkeyExample = {
  id: '2fZ1Jz0vZk1mX0Yc3l0bqA',
  name: 'My laptop',
  created_at: '2026-11-22T08:45:00.000Z',
  last_used_at: null,
}

export const AddedPasskey = Type.Object(
  {
    ...passkeyMembers,
    recovery_codes: Type.Optional(
      Type.Array(Type.String(), { description: 'Where it is the first second factor. Shown once, each is good for one login.' }),
    ),
  },
  { ...strict, examples: [{ ...passkeyExample, recovery_codes: codesExample }] },
)
export type AddedPasskey = Static<typeof AddedPasskey>

export const ListedPasskey = Type.Object(passkeyMembers, { ...strict, description: 'A passkey of the account.' })

export const PasskeyList = Type.Object({ items: Type.Array(ListedPasskey) }, { ...strict, examples: [{ items: [passkeyExample] }] })

export const PasskeyPath = Type.Object(
  {
    id: Type.String({ pattern: '^[A-Za-z0-9_-]{22}$', description: 'The id of a passkey.', examples: ['2fZ1Jz0vZk1mX0Yc3l0bqA'] }),
  },
  strict,
)

export const PasskeyLogin = Type.Object(
  {
    credential: Assertion,
    browser: Type.Optional(Type.Boolean({ description: 'The refresh token comes as a cookie that scripts cannot read, not in the body.' })),
  },
  { ...strict, examples: [{ credential: assertionExample }] },
)
