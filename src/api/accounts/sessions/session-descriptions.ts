import type { RouteDescription } from '../../../layers/index.ts'

/** What the description of the API says of logins and sessions. */
const login = ['Login'] as const
const sessions = ['Sessions'] as const

export const loginDescription = {
  operationId: 'login',
  summary: 'Log in',
  description:
    'Opens a session with a name and a password. Where the account has a second factor the answer is a token for POST /v1/auth/mfa instead. Wrong guesses are limited for each client, for each client and name, and for each name: then even the right password is refused. With browser the refresh token comes as a cookie, for pages of this server alone.',
  tags: login,
  answers: { 200: { description: 'A session, or a second factor is due.', headers: ['Set-Cookie'] } },
  problems: ['forbidden', 'temporary_reduced_capacity'],
} as const satisfies RouteDescription

export const refreshDescription = {
  operationId: 'refresh',
  summary: 'New tokens for a session',
  description:
    'Takes the refresh token, in the body or as the cookie, and answers with new tokens. Each refresh token is good once: one that comes again ends its session, for it is in two hands.',
  tags: login,
  answers: { 200: { description: 'The new tokens. The old refresh token is good for nothing any more.', headers: ['Set-Cookie'] } },
  problems: ['forbidden'],
} as const satisfies RouteDescription

export const logoutDescription = {
  operationId: 'logout',
  summary: 'Log out',
  description:
    'Ends the session of the refresh token, in the body or as the cookie, or of the access token in Authorization, with all its tokens and at once. What is no good token of a session is no mistake: it has ended already.',
  tags: login,
  answers: { 204: { description: 'It has ended.', headers: ['Set-Cookie'] } },
  problems: ['forbidden'],
} as const satisfies RouteDescription

export const listSessionsDescription = {
  operationId: 'listSessions',
  summary: 'Where you are logged in',
  description:
    'The sessions of your account that have not ended, the last used first. With user, for users:read, those of another account.',
  tags: sessions,
  answers: { 200: { description: 'The sessions.' } },
  problems: ['forbidden', 'not_found'],
} as const satisfies RouteDescription

export const endSessionDescription = {
  operationId: 'endSession',
  summary: 'End a session',
  description: 'Ends one of your sessions at once, with all its tokens. With users:write it may be anybody’s.',
  tags: sessions,
  answers: { 204: { description: 'It has ended.' } },
  problems: ['forbidden', 'not_found'],
} as const satisfies RouteDescription

export const endSessionsDescription = {
  operationId: 'endSessions',
  summary: 'Log out everywhere else',
  description:
    'Ends all your sessions at once but the one that you ask with. With user, for users:write, it ends all those of another account.',
  tags: sessions,
  answers: { 204: { description: 'They have ended, also where there were none.' } },
  problems: ['forbidden', 'not_found'],
} as const satisfies RouteDescription
