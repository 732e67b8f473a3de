import type { RouteDescription } from '../../../layers/index.ts'

/** What the description of the API says of the routes beside it. */
const tags = ['Account'] as const

export const meDescription = {
  operationId: 'me',
  summary: 'Who you are',
  description: 'Your account, and what you may do. Needs a login; an API key looks at itself at GET /v1/keys/{id}.',
  tags,
  answers: { 200: { description: 'Your account.' } },
  problems: ['forbidden'],
} as const satisfies RouteDescription

export const renameMeDescription = {
  operationId: 'renameMe',
  summary: 'Change your name',
  description: 'From then on you log in with the new one. Your role and your rights others change.',
  tags,
  answers: { 200: { description: 'Your account.' } },
  problems: ['forbidden', 'conflict'],
} as const satisfies RouteDescription

export const removeMeDescription = {
  operationId: 'removeMe',
  summary: 'Remove your account',
  description:
    'With your sessions, API keys and factors, at once and for good. Your votes stay counted, under an id that nobody has any more. The last admin stays.',
  tags,
  answers: { 204: { description: 'It is gone.' } },
  problems: ['forbidden', 'conflict'],
} as const satisfies RouteDescription

export const changePasswordDescription = {
  operationId: 'changePassword',
  summary: 'Change your password',
  description:
    'Ends your other sessions, and every access token of this one: refresh it. API keys stay. Wrong tries count as failed logins.',
  tags,
  answers: { 204: { description: 'It is changed.' } },
  problems: ['forbidden', 'conflict', 'temporary_reduced_capacity'],
} as const satisfies RouteDescription
