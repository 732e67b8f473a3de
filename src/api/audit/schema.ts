import Type, { type Static } from 'typebox'

import { Next, pageQuery } from '../pages.ts'

const text = (description: string, example: string) => Type.String({ description, examples: [example] })
const nullableText = (description: string, example: string) =>
  Type.Unsafe<string | null>({ type: ['string', 'null'], description, examples: [example] })
/** No row has a U+0000, and PostgreSQL cannot even be asked for it: that would look like a database that fails. */
const filter = (description: string, example: string) =>
  Type.Optional(Type.String({ minLength: 1, maxLength: 128, pattern: String.raw`^[^\u0000]*$`, description, examples: [example] }))

/** RFC 3339 in UTC: one spelling of a time. */
const Time = (description: string, example: string) =>
  Type.Optional(
    Type.String({
      pattern: String.raw`^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,3})?Z$`,
      description,
      examples: [example],
    }),
  )

export const AuditQuery = Type.Object(
  {
    ...pageQuery,
    actor: filter('Only what this subject did; `cli` is the command line, `system` the program itself.', 'ub4d7xv5o2mzq6k3wtyeh'),
    action: filter('Only this action.', 'user.create'),
    target: filter('Only what was done to this.', 'ub4d7xv5o2mzq6k3wtyeh'),
    since: Time('Only from then on, in UTC.', '2026-01-01T00:00:00Z'),
    until: Time('Only before then, in UTC.', '2026-02-01T00:00:00Z'),
  },
  { additionalProperties: false },
)
export type AuditQuery = Static<typeof AuditQuery>

export const Entry = Type.Object(
  {
    seq: Type.Integer({ minimum: 1, description: 'Its number in the chain.', examples: [42] }),
    at: text('When, in UTC.', '2026-01-31T12:00:00.000Z'),
    actor: text('Who: a subject; `cli` is the command line, `system` the program itself.', 'ub4d7xv5o2mzq6k3wtyeh'),
    action: text('What was done: an object and a verb.', 'user.create'),
    target: text('To what, such as the id of an account.', 'uq3n5c6zr4a7kxw2jtvbm'),
    details: Type.Record(Type.String(), Type.Unsafe<string | number | boolean | null>({ type: ['string', 'number', 'boolean', 'null'] }), {
      description: 'What else is to be known of it; never a secret.',
    }),
    request_id: nullableText('The request that did it.', '9f2c4e8a1b3d5f7092a4c6e8'),
    client: nullableText('Where it came from: an IPv4 address or an IPv6 /64.', '192.0.2.7'),
  },
  { additionalProperties: false, description: 'A change, as the trail has it.' },
)
export type Entry = Static<typeof Entry>

export const AuditList = Type.Object(
  {
    items: Type.Array(Entry, {
      description: 'Newest first. With several filters a page may have fewer than `limit`, even none, though there is a next one.',
    }),
    next: Next,
  },
  {
    additionalProperties: false,
    examples: [
      {
        items: [
          {
            seq: 42,
            at: '2026-01-31T12:00:00.000Z',
            actor: 'ub4d7xv5o2mzq6k3wtyeh',
            action: 'user.create',
            target: 'uq3n5c6zr4a7kxw2jtvbm',
            details: { role: 'editor' },
            request_id: '9f2c4e8a1b3d5f7092a4c6e8',
            client: '192.0.2.7',
          },
        ],
        next: null,
      },
    ],
  },
)
export type AuditList = Static<typeof AuditList>
