import type { RouteDescription } from '../../layers/index.ts'

/** What the description of the API says of the route beside it. */
export const listAuditDescription = {
  operationId: 'listAudit',
  summary: 'Who changed what',
  description:
    'Every change to users, roles, keys, sessions, limits and configuration, newest first. Rows are never changed; filmgate audit verify shows whether somebody did.',
  tags: ['Audit'],
  answers: { 200: { description: 'A page of the trail.', headers: ['Link'] } },
} as const satisfies RouteDescription
