import type { RouteDescription } from '../../../layers/index.ts'

/** What the description of the API says of the routes beside it. */
const tags = ['API keys'] as const

export const listKeysDescription = {
  operationId: 'listKeys',
  summary: 'Your API keys',
  description:
    'All keys of your account that are not revoked, the newest first, without their secrets. Needs a login: a key sees only itself.',
  tags,
  answers: { 200: { description: 'The keys.' } },
  problems: ['forbidden'],
} as const satisfies RouteDescription

export const makeKeyDescription = {
  operationId: 'makeKey',
  summary: 'Make an API key',
  description:
    'For a program that acts for you. It may do what its scopes say, as long as you may do that yourself: each is asked for again at every use. The key is shown this once. 50 keys at most; expired ones make room.',
  tags,
  answers: { 201: { description: 'The key, with its secret.', headers: ['Location'] } },
  problems: ['forbidden', 'conflict'],
} as const satisfies RouteDescription

export const keyByIdDescription = {
  operationId: 'keyById',
  summary: 'An API key by its id',
  description: 'One of your own. With a key as the credential: that key alone.',
  tags,
  answers: { 200: { description: 'The key, without its secret.' } },
  problems: ['not_found'],
} as const satisfies RouteDescription

export const revokeKeyDescription = {
  operationId: 'revokeKey',
  summary: 'Revoke an API key',
  description:
    'One of your own; it is refused at once, and within a second on every other instance. A key can revoke itself, so whoever finds a lost one can end it.',
  tags,
  answers: { 204: { description: 'It is revoked.' } },
  problems: ['not_found'],
} as const satisfies RouteDescription
