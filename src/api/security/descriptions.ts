import type { RouteDescription } from '../../layers/index.ts'

/** What the description of the API says of the routes beside it. */
const tags = ['Security'] as const

export const listEventsDescription = {
  operationId: 'listSecurityEvents',
  summary: 'What happened',
  description:
    'Security events and refused requests, the newest first: what this instance keeps in memory since its start, at most 20,000 and 1,000 of one client. The log has all of them, of all instances. With `Accept: text/event-stream` each new one comes as a server-sent event, its place as the id; `Last-Event-ID` goes on behind it. `event: dropped` says how many entries a reader was too slow for, `event: gap` that it is not known what was missed, `event: end` why the stream ends: when its credentials do, for one. 4 streams for each subject.',
  tags,
  answers: { 200: { description: 'A page of events, or a stream of them.', headers: ['Link'] } },
  problems: ['temporary_reduced_capacity'],
} as const satisfies RouteDescription

export const listDecisionsDescription = {
  operationId: 'listDecisions',
  summary: 'Who is refused, and who was',
  description: 'The decisions of the rules and of people, of all instances, newest first. Those that are over are kept for a while.',
  tags,
  answers: { 200: { description: 'A page of decisions.', headers: ['Link'] } },
} as const satisfies RouteDescription

export const decisionDescription = {
  operationId: 'decision',
  summary: 'A decision with its evidence',
  description: 'Whom it is about and until when, by which rule, how full its bucket was, and what filled it.',
  tags,
  answers: { 200: { description: 'The decision.' } },
  problems: ['not_found'],
} as const satisfies RouteDescription

export const decideDescription = {
  operationId: 'decide',
  summary: 'Refuse somebody',
  description:
    'In force at once, and within a second on every other instance. Nothing can be decided about this machine, trusted proxies and the allow list, and nobody can lock out who asks.',
  tags,
  answers: { 201: { description: 'The decision.', headers: ['Location'] } },
  problems: ['conflict'],
} as const satisfies RouteDescription

export const liftDescription = {
  operationId: 'liftDecision',
  summary: 'Lift a decision',
  description: 'Whoever it is about is answered again at once, and within a second on every other instance.',
  tags,
  answers: { 204: { description: 'It is lifted.' } },
  problems: ['not_found'],
} as const satisfies RouteDescription

export const listRulesDescription = {
  operationId: 'listRules',
  summary: 'What the monitor looks for',
  description: 'Every rule, what its decisions do under the configuration of now, and how many of them are in force.',
  tags,
  answers: { 200: { description: 'The rules.' } },
} as const satisfies RouteDescription

export const explainDescription = {
  operationId: 'explain',
  summary: 'Why somebody was refused',
  description:
    'Of a request, a decision, a client, a credential or an account: which decisions concern it, by which rule, which events led to them, how full its buckets are, and until when.',
  tags,
  answers: { 200: { description: 'What is known.' } },
  problems: ['not_found'],
} as const satisfies RouteDescription
