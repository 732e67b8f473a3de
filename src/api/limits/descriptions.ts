import type { RouteDescription } from '../../layers/index.ts'

/** What the description of the API says of the routes beside it. */
const tags = ['Limits'] as const

export const listLimitsDescription = {
  operationId: 'listLimits',
  summary: 'The limits of every route',
  description: 'Which limits hold now, and where each of them was set.',
  tags,
  answers: { 200: { description: 'The limits.' } },
} as const satisfies RouteDescription

export const limitUsageDescription = {
  operationId: 'limitUsage',
  summary: 'What a client has left',
  description: 'Looks at the counters of one client or subject without counting anything for it.',
  tags,
  answers: { 200: { description: 'The counters.' } },
  problems: ['not_found'],
} as const satisfies RouteDescription

export const resetLimitsDescription = {
  operationId: 'resetLimits',
  summary: 'Let a client start anew',
  description:
    'Forgets all that was counted for one client or subject. On other instances that share the counters it takes up to a second until a refusal there is lifted.',
  tags,
  answers: { 204: { description: 'Done, also where there was nothing to forget.' } },
  problems: ['not_found'],
} as const satisfies RouteDescription
