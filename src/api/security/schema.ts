import Type, { type Static } from 'typebox'

import { visibleText } from '../films/schema.ts'
import { Next, pageQuery } from '../pages.ts'
import { NullableTimestamp, Timestamp } from '../timestamp.ts'
import { nullableText, number, ordered, scopes, scopeText, text, toldText, types, typeText, whom, word } from './words.ts'

export const DecisionQuery = Type.Object(
  {
    ...pageQuery,
    scope: Type.Optional(Type.Enum([...scopes], { description: 'Only of this scope.', examples: ['client'], 'x-public': true })),
    target: Type.Optional(Type.String({ pattern: whom, description: 'Only about this one.', examples: ['192.0.2.7'] })),
    rule: word('Only by this rule.', 'credential-stuffing'),
    active: Type.Optional(
      Type.Enum(['true', 'false'], {
        description: 'true: only those in force. false: only those that were lifted or are over.',
        examples: ['true'],
        'x-public': true,
      }),
    ),
  },
  { additionalProperties: false },
)
export type DecisionQuery = Static<typeof DecisionQuery>

const decisionMembers = {
  id: text('Its id.', 'Zk3v0qHc1xYt8LmN'),
  scope: Type.Enum([...scopes], { description: scopeText, examples: ['client'] }),
  target: text('Whom it is about.', '192.0.2.7'),
  type: Type.Enum([...types], { description: toldText, examples: ['ban'] }),
  rule: nullableText('The rule that asked for it; null where a person did.', 'credential-stuffing'),
  reason: text('Why. Whoever is refused is not told.', 'many names were tried with wrong passwords'),
  by: text('monitor, or the subject of a person.', 'monitor'),
  created_at: Timestamp('From when on.'),
  expires_at: Timestamp('Until when.'),
  offence: Type.Integer({ description: 'The how manieth of this target within a week: each one lasts longer.', examples: [1] }),
  observed: Type.Boolean({ description: 'It was only told of: nobody is refused.' }),
  active: Type.Boolean({ description: 'Whether it is in force now.' }),
  lifted_at: NullableTimestamp('When somebody lifted it; null where nobody did.'),
  lifted_by: nullableText('Who lifted it.', 'ub4d7xv5o2mzq6k3wtyeh'),
}

export const decisionExample = {
  id: 'Zk3v0qHc1xYt8LmN',
  scope: 'client',
  target: '192.0.2.7',
  type: 'ban',
  rule: 'credential-stuffing',
  reason: 'many names were tried with wrong passwords',
  by: 'monitor',
  created_at: '2027-01-31T12:00:00.000Z',
  expires_at: '2027-01-31T16:00:00.000Z',
  offence: 1,
  observed: false,
  active: true,
  lifted_at: null,
  lifted_by: null,
} as const

export const ListedDecision = Type.Object(decisionMembers, { additionalProperties: false, description: 'What was decided about somebody.' })
export type ListedDecision = Static<typeof ListedDecision>

export const DecisionList = Type.Object(
  { items: Type.Array(ListedDecision, { description: 'Newest first.' }), next: Next },
  { additionalProperties: false, examples: [{ items: [decisionExample], next: null }] },
)

const SignalSeen = Type.Object(
  {
    at: Timestamp('When.'),
    request_id: nullableText('The request.', '9f2c4e8a1b3d5f7092a4c6e8'),
    name: text('An event, or `request`.', 'authn_login_fail'),
    client: nullableText('The client prefix.', '192.0.2.7'),
    method: nullableText('The method.', 'POST'),
    route: nullableText('The route.', '/v1/auth/login'),
    status: Type.Unsafe<number | null>({ type: ['integer', 'null'], description: 'The status of the answer.', examples: [401] }),
    about: nullableText('What about it counted.', 'wrong password'),
  },
  { additionalProperties: false },
)

const Evidence = Type.Object(
  {
    bucket: Type.Object(
      {
        capacity: number('What it holds before it runs over.', 10),
        leak_per_second: number('What runs out of it each second.', 0.1),
        level: number('How full it was.', 10.4),
      },
      { additionalProperties: false, description: 'The leaky bucket of the rule for this target.' },
    ),
    signals: Type.Array(SignalSeen, { description: 'The newest of what filled it, oldest first.' }),
  },
  { additionalProperties: false },
)

export const evidenceExample = {
  bucket: { capacity: 10, leak_per_second: 0.1, level: 10.4 },
  signals: [
    {
      at: '2027-01-31T12:00:00.000Z',
      request_id: '9f2c4e8a1b3d5f7092a4c6e8',
      name: 'authn_login_fail',
      client: '192.0.2.7',
      method: 'POST',
      route: '/v1/auth/login',
      status: 401,
      about: 'wrong password',
    },
  ],
}

export const Decision = Type.Object(
  {
    ...decisionMembers,
    evidence: Type.Unsafe<Static<typeof Evidence> | null>({
      anyOf: [Evidence, { type: 'null' }],
      description: 'Why a rule decided; null where a person did, and where it is not kept any more.',
    }),
  },
  {
    additionalProperties: false,
    description: 'What was decided about somebody, and why.',
    examples: [{ ...decisionExample, evidence: evidenceExample }],
  },
)
export type Decision = Static<typeof Decision>

export const DecisionPath = Type.Object(
  { id: Type.String({ pattern: '^[A-Za-z0-9_-]{16}$', description: 'The id of a decision.', examples: ['Zk3v0qHc1xYt8LmN'] }) },
  { additionalProperties: false },
)

export const NewDecision = Type.Object(
  {
    scope: Type.Enum([...scopes], { description: scopeText }),
    target: Type.String({
      pattern: whom,
      description:
        'Of client: an address, which stands for its prefix. Of range: a CIDR without bits behind its prefix, at most /8 (IPv6: /19) wide. Of principal: key: and the id of an API key, or session: and the id of a session. Of account: a subject, or @ and a username.',
      examples: ['192.0.2.7'],
    }),
    type: Type.Enum([...ordered], {
      description: `${typeText} About a credential only ban; about an account ban, or require_login, which stops logins alone.`,
    }),
    reason: Type.String({
      minLength: 1,
      maxLength: 200,
      pattern: visibleText,
      description: 'For operators and the audit trail.',
      examples: ['scraper'],
    }),
    expires_at: Type.Optional(Timestamp('Until when: in the future, and within a year; in four hours where it is left out.')),
  },
  {
    additionalProperties: false,
    examples: [{ scope: 'client', target: '192.0.2.7', type: 'ban', reason: 'scraper' }],
  },
)
export type NewDecision = Static<typeof NewDecision>
