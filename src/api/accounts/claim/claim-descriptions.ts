import type { RouteDescription } from '../../../layers/index.ts'

const tags = ['Login'] as const

export const claimDescription = {
  operationId: 'claim',
  summary: 'Become the first admin',
  description:
    'Takes the one-time code that a start without an admin leaves on the terminal, or in claim.code in the data folder, for 15 minutes. The answer is that of a login. Where there is an admin no code is good; the starter key ends with the claim.',
  tags,
  answers: { 200: { description: 'The admin is there, and logged in.', headers: ['Set-Cookie'] } },
  problems: ['forbidden', 'conflict', 'temporary_reduced_capacity'],
} as const satisfies RouteDescription

export const registerDescription = {
  operationId: 'register',
  summary: 'Make an account',
  description:
    'Makes a viewer account, where the operator has opened registration (auth.registration). There is no session yet: log in next.',
  tags,
  answers: { 201: { description: 'The account.' } },
  problems: ['forbidden', 'conflict', 'temporary_reduced_capacity'],
} as const satisfies RouteDescription
