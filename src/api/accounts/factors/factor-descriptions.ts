import type { RouteDescription } from '../../../layers/index.ts'

/** What the description of the API says of second factors and passkeys. */
const tags = ['Second factors'] as const
const login = ['Login'] as const

export const totpStateDescription = {
  operationId: 'totpState',
  summary: 'Whether logins ask for codes',
  description: 'Says whether an authenticator app is set up, and how many recovery codes are left.',
  tags,
  answers: { 200: { description: 'The state.' } },
} as const satisfies RouteDescription

export const offerTotpDescription = {
  operationId: 'offerTotp',
  summary: 'Begin to set up an authenticator app',
  description:
    'Makes a new secret for time-based codes (RFC 6238: SHA-1, 6 digits, 30 s). It counts for nothing until PUT confirms it with a code; another POST replaces it.',
  tags,
  answers: { 200: { description: 'The secret, shown once.' } },
  problems: ['forbidden', 'conflict'],
} as const satisfies RouteDescription

export const confirmTotpDescription = {
  operationId: 'confirmTotp',
  summary: 'Confirm the authenticator app',
  description:
    'With a code of the app, logins ask for codes from now on. All other sessions of the account end; this one counts as opened with two factors, so refresh its access token. The recovery codes replace all earlier ones.',
  tags,
  answers: { 200: { description: 'Ten recovery codes.' } },
  problems: ['forbidden', 'conflict'],
} as const satisfies RouteDescription

export const removeTotpDescription = {
  operationId: 'removeTotp',
  summary: 'Remove the authenticator app',
  description:
    'Ends all other sessions of the account. Needs a session that was opened with a second factor. The last factor of an account whose role needs one stays.',
  tags,
  answers: { 204: { description: 'Removed.' } },
  problems: ['forbidden', 'not_found', 'conflict'],
} as const satisfies RouteDescription

export const replaceRecoveryCodesDescription = {
  operationId: 'replaceRecoveryCodes',
  summary: 'New recovery codes',
  description: 'Makes ten new recovery codes; all earlier ones are void. Ends all other sessions of the account.',
  tags,
  answers: { 200: { description: 'Ten recovery codes.' } },
  problems: ['forbidden', 'conflict'],
} as const satisfies RouteDescription

export const listPasskeysDescription = {
  operationId: 'listPasskeys',
  summary: 'Your passkeys',
  description: 'The passkeys of the account, the oldest first.',
  tags,
  answers: { 200: { description: 'The passkeys, 20 at most.' } },
} as const satisfies RouteDescription

export const passkeyCreationDescription = {
  operationId: 'passkeyCreationOptions',
  summary: 'Begin to add a passkey',
  description: 'What navigator.credentials.create() needs (WebAuthn level 3). The challenge is good for five minutes and one passkey.',
  tags,
  answers: { 200: { description: 'The options.' } },
  problems: ['forbidden', 'conflict'],
} as const satisfies RouteDescription

export const addPasskeyDescription = {
  operationId: 'addPasskey',
  summary: 'Add a passkey',
  description:
    'Stores the public key that the browser made. All other sessions of the account end; this one counts as opened with two factors. With the first second factor come recovery codes.',
  tags,
  answers: { 201: { description: 'The passkey.', headers: ['Location'] } },
  problems: ['forbidden', 'conflict'],
} as const satisfies RouteDescription

export const removePasskeyDescription = {
  operationId: 'removePasskey',
  summary: 'Remove a passkey',
  description:
    'Ends all other sessions of the account. Needs a session that was opened with a second factor. The last factor of an account whose role needs one stays.',
  tags,
  answers: { 204: { description: 'Removed.' } },
  problems: ['forbidden', 'not_found', 'conflict'],
} as const satisfies RouteDescription

export const finishLoginDescription = {
  operationId: 'finishLogin',
  summary: 'The second half of a login',
  description:
    'Takes the mfa_token of a login and a second factor. A token is good for five minutes and five codes, and for nothing else. A code is good once.',
  tags: login,
  answers: { 200: { description: 'The tokens of a new session.', headers: ['Set-Cookie'] } },
  problems: ['forbidden', 'conflict'],
} as const satisfies RouteDescription

export const passkeyQuestionDescription = {
  operationId: 'passkeyLoginOptions',
  summary: 'Begin a login with a passkey',
  description:
    'What navigator.credentials.get() needs (WebAuthn level 3). With mfa_token, for the second half of a login, which /v1/auth/mfa finishes; without, for a login that needs nothing else. The challenge is good for five minutes and one login.',
  tags: login,
  answers: { 200: { description: 'The options.' } },
  problems: ['conflict'],
} as const satisfies RouteDescription

export const passkeyLoginDescription = {
  operationId: 'passkeyLogin',
  summary: 'Log in with a passkey',
  description: 'Needs no name and no password. The passkey has verified the person, so that no second factor is asked for.',
  tags: login,
  answers: { 200: { description: 'The tokens of a new session.', headers: ['Set-Cookie'] } },
  problems: ['forbidden', 'conflict'],
} as const satisfies RouteDescription
