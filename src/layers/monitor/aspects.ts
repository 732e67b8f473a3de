import { clientNetwork, parseAddress } from '../../core/address.ts'
import type { SecurityEvent } from '../../core/events.ts'
import { type ParameterName, parameterValues } from './parameters.ts'
import type { Aspect } from './rule.ts'
import type { EndedRequest, Signal } from './signal.ts'

/** Of one signal. A request that votes twice or an input with many wrong fields says several at once, and each of them counts. */
const maxValues = 16

const none: readonly string[] = []

const one = (text: string | null | undefined): readonly string[] => (text == null ? none : [text])

/** The network of a client prefix: /24 of IPv4, /48 of IPv6. */
export const networkOf = (prefix: string): string | undefined => {
  const parts = parseAddress(prefix.split('/', 1)[0] ?? '')
  return parts && clientNetwork(parts)
}

/** The client prefix that a signal is about. */
export const clientOf = (signal: Signal): string | null =>
  signal.kind === 'request' ? signal.request.client.prefix : (member(signal.event, 'client') ?? null)

/** What rules group and count by, as text; whoever keeps any of it digests it first. No value where the signal has none of it. */
export const valuesOf = (aspect: Aspect, signal: Signal): readonly string[] =>
  signal.kind === 'request' ? ofRequest[aspect](signal.request) : (ofEvent[aspect]?.(signal.event) ?? none)

/** Who would be refused by a decision of such a scope: never a name that was only tried. */
export const targetOf = (scope: 'client' | 'range' | 'principal' | 'account', signal: Signal): string | undefined => {
  if (scope === 'account') return signal.kind === 'request' ? signal.request.principal?.subject : member(signal.event, 'subject')
  const [target] = valuesOf(scope === 'range' ? 'network' : scope, signal)
  return target
}

const member = (event: SecurityEvent, name: string): string | undefined => {
  const value = (event as unknown as Readonly<Record<string, unknown>>)[name]
  return typeof value === 'string' ? value : undefined
}

const ofEvent: Readonly<Partial<Record<Aspect, (event: SecurityEvent) => readonly string[]>>> = {
  client: (event) => one(member(event, 'client')),
  network: (event) => one(networkOf(member(event, 'client') ?? '')),
  account: (event) => one(member(event, 'subject') ?? member(event, 'tried')),
  principal: (event) => {
    const session = member(event, 'session')
    return one(member(event, 'credential') ?? (session && `session:${session}`))
  },
  pointer: (event) => ('pointers' in event ? [...new Set(event.pointers)].slice(0, maxValues) : none),
  origin: (event) => one(member(event, 'origin')),
}

const ofRequest: Readonly<Record<Aspect, (request: EndedRequest) => readonly string[]>> = {
  client: ({ client }) => [client.prefix],
  network: ({ client }) => one(client.network ?? networkOf(client.prefix)),
  account: ({ principal }) => one(principal?.subject),
  principal: ({ principal }) => one(principal?.credential),
  route: ({ method, route }) => (route === null ? none : [`${method} ${route}`]),
  path: ({ target }) => [pathOf(target).replaceAll(/\d+/g, '0')],
  id: (request) => one(idOf(request)),
  vote: (request) => [...new Set([...votesByQuery(request.target), ...voteByBody(request)])],
  listing: listingOf,
  cursor: ({ target }) => one(parameterValues(target, isCursor)[0]?.value),
  parameters: ({ target }) => {
    const names = new Set(parameterValues(target, () => true).map(({ name }) => name))
    return names.size === 0 ? none : [[...names].toSorted().join('&')]
  },
  pointer: () => none,
  origin: () => none,
}

const pathOf = (target: string): string => {
  const end = target.indexOf('?')
  return end === -1 ? target : target.slice(0, end)
}

/** The values of all parameters of the route: `*` is none, it is what no route matched. */
const idOf = ({ route, params }: EndedRequest): string | undefined => {
  if (route === null) return undefined
  const values = Object.values(params)
  return values.length === 0 ? undefined : values.join('/')
}

const isVote: ParameterName = (name) => name === 'like' || name === 'dislike'
const isCursor: ParameterName = (name) => name === 'cursor'
/** Pages of another length are pages of the same listing. */
const isNoCursor: ParameterName = (name) => name !== 'cursor' && name !== 'limit'

/** One request can vote twice: whoever hides a vote behind another one counts for both. */
const votesByQuery = (target: string): readonly string[] =>
  parameterValues(target, isVote)
    .slice(0, maxValues)
    .map(({ name, value }) => `${name} ${unpadded(value)}`)

/** Whoever votes for 1, 01 and 001 votes for one film. */
const unpadded = (id: string): string => id.replace(/^0+(?=\d)/, '')

const voteByBody = (request: EndedRequest): readonly string[] => {
  const { body } = request
  const value: unknown = typeof body === 'object' && body !== null && 'value' in body ? body.value : undefined
  const id = idOf(request)
  return id !== undefined && (value === 'like' || value === 'dislike') ? [`${value} ${unpadded(id)}`] : none
}

/** Whatever the order of the parameters: another order is no other listing. */
function listingOf({ method, route, target, params }: EndedRequest): readonly string[] {
  const pairs = parameterValues(target, isNoCursor)
    .map(({ name, value }) => `${name}=${value}`)
    .toSorted()
  return [[method, route ?? pathOf(target), ...Object.values(params), ...pairs].join('\n')]
}
