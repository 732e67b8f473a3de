import type { RouteDescription } from '../../../layers/index.ts'

/** What the description of the API says of the routes beside it. */
const tags = ['Users'] as const

export const listUsersDescription = {
  operationId: 'listUsers',
  summary: 'All accounts',
  description: 'In the order of their names.',
  tags,
  answers: { 200: { description: 'A page of accounts.', headers: ['Link'] } },
} as const satisfies RouteDescription

export const addUserDescription = {
  operationId: 'addUser',
  summary: 'Add an account',
  description: 'With a role and a first password. Whoever it is for changes that at PUT /v1/me/password.',
  tags,
  answers: { 201: { description: 'The account.', headers: ['Location'] } },
  problems: ['conflict', 'temporary_reduced_capacity'],
} as const satisfies RouteDescription

export const userByIdDescription = {
  operationId: 'userById',
  summary: 'An account by its id',
  description: 'With the kinds of its second factors.',
  tags,
  answers: { 200: { description: 'The account.' } },
  problems: ['not_found'],
} as const satisfies RouteDescription

export const changeUserDescription = {
  operationId: 'changeUser',
  summary: 'Change an account',
  description:
    'All of what is sent or nothing, in force at once, and within a second on every other instance. A new role ends the access tokens of now; a refresh gets one with the new role. Disabling ends all sessions and revokes all API keys, for good. A new password, and taking away the factors, end all sessions. Your own account you change under /v1/me; the last admin stays one.',
  tags,
  answers: { 200: { description: 'The account as it is now.' } },
  problems: ['not_found', 'conflict', 'temporary_reduced_capacity'],
} as const satisfies RouteDescription

export const removeUserDescription = {
  operationId: 'removeUser',
  summary: 'Remove an account',
  description: 'Its sessions, API keys and factors go with it, at once. Its votes stay counted. The last admin stays.',
  tags,
  answers: { 204: { description: 'It is gone.' } },
  problems: ['not_found', 'conflict'],
} as const satisfies RouteDescription
