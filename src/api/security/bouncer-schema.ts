import Type, { type Static } from 'typebox'

/** Names of CrowdSec: scenarios, origins, scopes. */
const list = (description: string, example: string) =>
  Type.Optional(Type.String({ maxLength: 1024, pattern: String.raw`^[\w./:,-]*$`, description, examples: [example] }))

const flag = (description: string) => Type.Optional(Type.Enum(['true', 'false'], { description, examples: ['true'] }))

const filters = {
  scopes: list('Only these scopes, with commas between them.', 'ip,range'),
  origins: list('Only these origins; all that is decided here is of "filmgate".', 'filmgate'),
  scenarios_containing: list('Only scenarios with one of these words in their name.', 'stuffing'),
  scenarios_not_containing: list('No scenarios with one of these words in their name.', 'spray'),
}

export const StreamQuery = Type.Object(
  {
    startup: flag('true: all that is in force, whatever was told before.'),
    ...filters,
    dedup: flag('Taken and without effect: each address comes once.'),
    community_pull: flag('Taken and without effect: there is no list of others here.'),
    additional_pull: flag('Taken and without effect: there is no list of others here.'),
  },
  { additionalProperties: false },
)
export type StreamQuery = Static<typeof StreamQuery>

export const LiveQuery = Type.Object(
  {
    ip: Type.Optional(Type.String({ minLength: 2, maxLength: 45, description: 'Who is asked about.', examples: ['203.0.113.7'] })),
    range: Type.Optional(
      Type.String({ minLength: 4, maxLength: 49, description: 'A network that is asked about.', examples: ['203.0.113.0/24'] }),
    ),
    type: Type.Optional(
      Type.String({
        maxLength: 32,
        pattern: String.raw`^[\w-]*$`,
        description: 'Only this kind; there are bans alone.',
        examples: ['ban'],
      }),
    ),
    contains: flag('true, the default: networks around it count. false: those inside it.'),
    ...filters,
  },
  { additionalProperties: false },
)
export type LiveQuery = Static<typeof LiveQuery>

const Block = Type.Object(
  {
    id: Type.Integer({ description: 'A number that follows from the id of the decision.', examples: [123_456_789] }),
    uuid: Type.String({
      description: 'The id of the decision: what GET /v1/security/decisions/{id} knows it by.',
      examples: ['kJ8sQ2mB7xZ4vN1a'],
    }),
    origin: Type.String({ description: 'Always filmgate.', examples: ['filmgate'] }),
    type: Type.String({ description: 'Always ban.', examples: ['ban'] }),
    scope: Type.Enum(['Ip', 'Range'], { description: 'An address, or a network such as the /64 of an IPv6 client.', examples: ['Ip'] }),
    value: Type.String({ description: 'The address or the network.', examples: ['203.0.113.7'] }),
    duration: Type.String({
      description: 'What is left of it, as Go writes durations; negative where it is over.',
      examples: ['3h59m51.000s'],
    }),
    scenario: Type.String({ description: 'The rule that decided, or manual.', examples: ['filmgate/credential-stuffing'] }),
  },
  { additionalProperties: false },
)
export type ShownBlock = Static<typeof Block>

const example = {
  id: 123_456_789,
  uuid: 'kJ8sQ2mB7xZ4vN1a',
  origin: 'filmgate',
  type: 'ban',
  scope: 'Ip',
  value: '203.0.113.7',
  duration: '3h59m51.000s',
  scenario: 'filmgate/credential-stuffing',
} as const

/** The form of CrowdSec's Local API: members are null where there is nothing. */
export const BlockStream = Type.Object(
  {
    new: Type.Union([Type.Array(Block), Type.Null()], { description: 'To be refused from now on.' }),
    deleted: Type.Union([Type.Array(Block), Type.Null()], { description: 'To be let in again.' }),
  },
  { additionalProperties: false, examples: [{ new: [example], deleted: null }] },
)
export type BlockStream = Static<typeof BlockStream>

export const BlockList = Type.Union([Type.Array(Block), Type.Null()], { examples: [[example]] })
