import Type, { type Static } from 'typebox'

import { Next, pageQuery } from '../pages.ts'
import { Timestamp } from '../timestamp.ts'
import { nullableText, text, word } from './words.ts'

/** RFC 3339 in UTC: one spelling of a time. */
const Since = Type.Optional(
  Type.String({
    pattern: String.raw`^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,3})?Z$`,
    description: 'Only from then on, in UTC.',
    examples: ['2027-01-01T00:00:00Z'],
    'x-public': true,
  }),
)

export const EventQuery = Type.Object(
  {
    ...pageQuery,
    event: word('Only events of this name; `request` is a request that was refused.', 'authn_login_fail'),
    client: Type.Optional(
      Type.String({
        pattern: '^[0-9A-Fa-f:./]{2,49}$',
        description: 'Only of this client: an address or its prefix.',
        examples: ['192.0.2.7'],
      }),
    ),
    request_id: Type.Optional(
      Type.String({ pattern: '^[A-Za-z0-9._-]{1,128}$', description: 'Only of this request.', examples: ['9f2c4e8a1b3d5f7092a4c6e8'] }),
    ),
    since: Since,
  },
  { additionalProperties: false },
)
export type EventQuery = Static<typeof EventQuery>

export const Event = Type.Object(
  {
    seq: Type.Integer({ minimum: 1, description: 'Its number in this instance since its start.', examples: [1024] }),
    at: Timestamp('When.'),
    event: text('What: the name that it has in the log, or `request` for a request that was refused.', 'authn_login_fail'),
    request_id: nullableText('The request that it is about.', '9f2c4e8a1b3d5f7092a4c6e8'),
    client: nullableText('The client prefix that it came from.', '192.0.2.7'),
    details: Type.Record(
      Type.String(),
      Type.Unsafe<string | number | boolean | null | readonly string[]>({
        type: ['string', 'number', 'boolean', 'null', 'array'],
        items: { type: 'string' },
      }),
      { description: 'What else the log says of it.' },
    ),
  },
  { additionalProperties: false, description: 'What happened, as the log has it.' },
)
export type Event = Static<typeof Event>

export const eventExample = {
  seq: 1024,
  at: '2027-01-31T12:00:00.000Z',
  event: 'authn_login_fail',
  request_id: '9f2c4e8a1b3d5f7092a4c6e8',
  client: '192.0.2.7',
  details: { reason: 'wrong password' },
}

export const EventList = Type.Object(
  { items: Type.Array(Event, { description: 'Newest first.' }), next: Next },
  { additionalProperties: false, examples: [{ items: [eventExample], next: null }] },
)
