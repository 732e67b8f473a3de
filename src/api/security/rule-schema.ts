import Type, { type Static } from 'typebox'

import { number, scopes, scopeText, text, toldText, types } from './words.ts'

export const RuleList = Type.Object(
  {
    mode: Type.Enum(['enforce', 'observe'], { description: 'monitor.mode. observe: rules decide, nobody is refused.' }),
    items: Type.Array(
      Type.Object(
        {
          name: text('Its name.', 'credential-stuffing'),
          summary: text('What it sees.', 'One client tries many accounts.'),
          mode: Type.Enum(['enforce', 'observe', 'off'], { description: 'What its decisions do now.' }),
          group_by: Type.Array(Type.String(), { description: 'What has a bucket of its own.', examples: [['client']] }),
          distinct: Type.Union([Type.String(), Type.Null()], {
            description: 'Of what each value counts once; null: everything counts.',
            examples: ['account'],
          }),
          bucket: Type.Object(
            { capacity: number('What it holds.', 10), leak_per_second: number('What runs out of it each second.', 0.1) },
            { additionalProperties: false },
          ),
          decision: Type.Object(
            {
              type: Type.Enum([...types], { description: toldText }),
              scope: Type.Enum([...scopes], { description: scopeText }),
              seconds: number('How long the first one lasts; each further one within a week twice as long.', 14_400),
              max_seconds: number('And at most so long.', 604_800),
            },
            { additionalProperties: false },
          ),
          confidence: Type.Enum(['low', 'medium', 'high'], { description: 'How sure it is that this is what happens.' }),
          spoofable: Type.Boolean({ description: 'Whether somebody else could bring it about for the one it hits.', examples: [false] }),
          references: Type.Array(Type.String(), { description: 'Where it is described.', examples: [['OWASP OAT-008']] }),
          decided: Type.Integer({ description: 'Decisions of it that are in force now.', examples: [2] }),
        },
        { additionalProperties: false },
      ),
    ),
  },
  {
    additionalProperties: false,
    examples: [
      {
        mode: 'enforce',
        items: [
          {
            name: 'credential-stuffing',
            summary: 'One client tries many accounts.',
            mode: 'enforce',
            group_by: ['client'],
            distinct: 'account',
            bucket: { capacity: 8, leak_per_second: 1 / 30 },
            decision: { type: 'tighten', scope: 'client', seconds: 1800, max_seconds: 86_400 },
            confidence: 'high',
            spoofable: false,
            references: ['OWASP OAT-008 Credential Stuffing'],
            decided: 2,
          },
        ],
      },
    ],
  },
)
export type RuleList = Static<typeof RuleList>
