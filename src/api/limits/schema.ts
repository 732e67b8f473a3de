import Type, { type Static } from 'typebox'

const text = (description: string, example: string) => Type.String({ description, examples: [example] })
const whole = (description: string, example: number) => Type.Integer({ minimum: 0, description, examples: [example] })

const Window = {
  name: text('What the RateLimit fields call it.', 'hour'),
  counted_over: text('What counts together: a route, all that a subject does, or everything (total).', 'route GET /'),
  limit: whole('Requests in each span of that length.', 50),
  window_seconds: whole('The length.', 3600),
  burst: Type.Optional(whole('Of a rate: requests at once after a pause.', 20)),
}

const Source = {
  source: text('Which setting it is from; "route": it is part of the program.', 'limits.default'),
  origin: text('Where that was set.', 'filmgate.toml:12'),
}

const Policy = Type.Object({ ...Window, ...Source }, { additionalProperties: false })

const example = {
  name: 'hour',
  counted_over: 'route GET /',
  limit: 50,
  window_seconds: 3600,
  source: 'limits.default',
  origin: 'default',
}

export const LimitList = Type.Object(
  {
    mode: Type.Enum(['enforce', 'observe'], { description: 'observe: limits are counted, nobody is refused.' }),
    items: Type.Array(
      Type.Object(
        {
          route: text('The method and the path.', 'GET /'),
          anonymous: Type.Array(Policy, { description: 'Of each client without credentials.' }),
          authenticated: Type.Array(Policy, { description: 'Of each subject.' }),
        },
        { additionalProperties: false },
      ),
    ),
    keys: Type.Array(
      Type.Object(
        {
          credential: text('The API key, by its id.', 'key:4fGh7Kq2LmZx'),
          rule: Type.Enum(['add', 'only', 'exempt'], {
            description: 'add: beside what holds anyway. only: instead of what the subject may over all routes. exempt: no limits.',
          }),
          limits: Type.Array(Policy),
        },
        { additionalProperties: false },
      ),
      { description: 'Of single API keys.' },
    ),
    total: Type.Array(Policy, { description: 'Of each client, over everything that is answered.' }),
  },
  {
    additionalProperties: false,
    examples: [
      {
        mode: 'enforce',
        items: [
          { route: 'GET /v1/films/:id', anonymous: [example], authenticated: [{ ...example, name: 'hour', counted_over: 'subject' }] },
        ],
        keys: [{ credential: 'key:4fGh7Kq2LmZx', rule: 'exempt', limits: [] }],
        total: [{ ...example, name: 'total-hour', counted_over: 'total', limit: 3000, source: 'limits.total' }],
      },
    ],
  },
)
export type LimitList = Static<typeof LimitList>

export const Usage = Type.Object(
  {
    identity: text('Who it is: an address, an IPv6 prefix, or a subject behind an @.', '192.0.2.7'),
    items: Type.Array(
      Type.Object(
        {
          ...Window,
          remaining: whole('Requests left now.', 49),
          reset_seconds: whole('For so many seconds there are no more than that.', 3600),
        },
        { additionalProperties: false },
      ),
    ),
  },
  {
    additionalProperties: false,
    examples: [
      {
        identity: '192.0.2.7',
        items: [{ name: 'hour', counted_over: 'route GET /', limit: 50, window_seconds: 3600, remaining: 49, reset_seconds: 3600 }],
      },
    ],
  },
)
export type Usage = Static<typeof Usage>

export const IdentityPath = Type.Object(
  {
    identity: Type.String({
      minLength: 1,
      maxLength: 128,
      pattern: String.raw`^(@[a-z0-9._-]{1,64}|[0-9A-Fa-f:.]{2,45}(/(48|64))?(@[a-z0-9._-]{1,64})?)$`,
      description:
        'An IPv4 or IPv6 address, which stands for its prefix; an IPv6 prefix such as 2001:db8::/64, its slash written as %2F; @ and the name of a subject; or both, for what that client failed at for that account.',
      examples: ['192.0.2.7'],
    }),
  },
  { additionalProperties: false },
)
