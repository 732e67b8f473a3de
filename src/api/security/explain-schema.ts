import Type, { type Static } from 'typebox'

import { Event, eventExample } from './event-schema.ts'
import { Decision, decisionExample, evidenceExample } from './schema.ts'
import { number, text } from './words.ts'

export const AboutPath = Type.Object(
  {
    about: Type.String({
      // Shorter words than eight letters are no id of anything.
      pattern: String.raw`^(@[a-z0-9._-]{2,64}|(key|session):[A-Za-z0-9_-]{1,64}|[0-9A-Fa-f:.]{2,45}(/[0-9]{1,3})?|[A-Za-z0-9._-]{8,128})$`,
      description:
        'The id of a request or of a decision, an address or a prefix (its slash written as %2F), key: or session: and an id, a subject, or @ and a username.',
      examples: ['192.0.2.7'],
    }),
  },
  { additionalProperties: false },
)

export const Explanation = Type.Object(
  {
    about: text('What was asked about, in its canonical spelling.', '192.0.2.7'),
    kind: Type.Enum(['request', 'decision', 'client', 'range', 'principal', 'account'], { description: 'What that is.' }),
    exempt: Type.Boolean({
      description: 'It is this machine, a trusted proxy or on the allow list: nothing is decided about it or enforced.',
    }),
    decisions: Type.Array(Decision, { description: 'The decisions that concern it, the strongest first.' }),
    buckets: Type.Array(
      Type.Object(
        {
          rule: text('The rule.', 'credential-stuffing'),
          group: text('Whose it is.', '192.0.2.7'),
          level: number('How full it is now.', 3.2),
          capacity: number('What it holds.', 10),
        },
        { additionalProperties: false },
      ),
      { description: 'Its buckets that are not empty, in this instance.' },
    ),
    events: Type.Array(Event, { description: 'What this instance remembers of it, newest first, 50 at most.' }),
  },
  {
    additionalProperties: false,
    examples: [
      {
        about: '192.0.2.7',
        kind: 'client',
        exempt: false,
        decisions: [{ ...decisionExample, evidence: evidenceExample }],
        buckets: [{ rule: 'credential-stuffing', group: '192.0.2.7', level: 3.2, capacity: 10 }],
        events: [eventExample],
      },
    ],
  },
)
export type Explanation = Static<typeof Explanation>
