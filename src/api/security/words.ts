import Type from 'typebox'

export const text = (description: string, example: string) => Type.String({ description, examples: [example] })
export const nullableText = (description: string, example: string) =>
  Type.Unsafe<string | null>({ type: ['string', 'null'], description, examples: [example] })
export const number = (description: string, example: number) => Type.Number({ description, examples: [example] })
export const word = (description: string, example: string) =>
  Type.Optional(Type.String({ pattern: '^[a-z0-9_-]{1,64}$', description, examples: [example], 'x-public': true }))

/** What names somebody: addresses, CIDRs, `key:…`, `session:…`, subjects, `@name`. */
export const whom = String.raw`^[A-Za-z0-9@._:/-]{1,128}$`

export const scopes = ['client', 'range', 'principal', 'account'] as const
/** What a person may ask for. */
export const ordered = ['ban', 'tighten', 'require_login'] as const
export const types = [...ordered, 'tell'] as const

export const scopeText =
  'client: an IPv4 address, or the /64 of an IPv6 one. range: a network. principal: one API key or one session. account: a subject with all its credentials and its login.'
export const typeText =
  'ban: nothing is answered. tighten: ten requests a minute are. require_login: only requests with credentials, and those that get some.'
export const toldText = `${typeText} tell: people are told, nobody is refused.`
