import type { FastifyContextConfig } from 'fastify'

import { type Cidr, inCidr, parseAddress, parseCidr } from '../../core/address.ts'
import type { Client, Principal } from '../../core/request.ts'
import {
  type KeyLimits,
  keyLimits,
  limitName,
  type LimitRules,
  quotasOf,
  type RouteLimits,
  type RouteQuotas,
  type SourcedQuota,
  totalQuotas,
} from './policies.ts'
import type { Identity } from './store.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    limits?: RouteLimits
  }
}

/** The network is only asked for by who counts by it. */
class ClientIdentity implements Identity {
  readonly id: string
  readonly #client: Client

  constructor(client: Client) {
    this.id = client.prefix
    this.#client = client
  }

  get wider(): string | undefined {
    return this.#client.network
  }
}

interface Route {
  readonly method: string | readonly string[]
  readonly url: string
  readonly config?: FastifyContextConfig | undefined
}

/** The quotas of one route as the rules now are. */
export interface LiveRoute {
  readonly name: string
  quotas: RouteQuotas | undefined
}

/** What is enforced for a route, for those who describe it. Empty where only `total` counts. */
export interface EffectiveLimits {
  readonly name: string
  /** Of a client without credentials. */
  readonly anonymous: readonly SourcedQuota[]
  readonly authenticated: readonly SourcedQuota[]
  /** Over everything that a client prefix sends. */
  readonly total: readonly SourcedQuota[]
}

/** A prefix as it stands, a subject behind an @, which no prefix contains: neither can be mistaken for the other. */
export const clientIdentity = (client: Client): Identity => new ClientIdentity(client)
export const subjectIdentity = (subject: string): Identity => ({ id: `@${subject}` })

/**
 * The limits in force. `replace` changes them between two requests; counters stay, because stores count by scope and not by limit.
 * The constructor and `replace` throw a LimitSyntaxError or a TypeError for rules that mean nothing, and then change nothing.
 */
export class Limits {
  /** Another number after each change. */
  version = 0
  #rules: LimitRules
  #total: ReturnType<typeof totalQuotas> | undefined
  #exempt: readonly Cidr[] = []
  #exempted = new WeakMap<Client, boolean>()
  readonly #routes: { readonly limits: RouteLimits; readonly routeName: string; readonly live: LiveRoute }[] = []

  constructor(rules: LimitRules) {
    this.#rules = rules
    this.replace(rules)
  }

  get isObserving(): boolean {
    return this.#rules.mode === 'observe'
  }

  replace(rules: LimitRules): void {
    const total = rules.total === undefined ? undefined : totalQuotas(rules.total)
    const exempt = (rules.exempt ?? []).map(readCidr)
    // Defaults are checked also where no route uses them.
    quotasOf('', {}, rules)
    const quotas = this.#routes.map(({ routeName, limits }) => quotasOf(routeName, limits, rules))
    this.#rules = rules
    this.#total = total
    this.#exempt = exempt
    this.#exempted = new WeakMap()
    this.version++
    for (const [i, { live }] of this.#routes.entries()) live.quotas = quotas[i]
  }

  /** The quotas of a route from now on, also when the rules change. Throws a LimitSyntaxError. */
  route(route: Route): LiveRoute {
    const limits = route.config?.limits ?? {}
    const routeName = nameOf(route)
    const live = { name: limitName(routeName, limits), quotas: quotasOf(routeName, limits, this.#rules) }
    this.#routes.push({ limits, routeName, live })
    return live
  }

  /** Undefined where nothing is limited in total. */
  total(client: Client): readonly SourcedQuota[] | undefined {
    // An IPv4 address is its own prefix; an IPv6 prefix lies in a network that one site owns.
    return client.prefix === client.address ? this.#total?.plain : this.#total?.guarded
  }

  get keys(): readonly KeyLimits[] {
    return keyLimits(this.#rules)
  }

  /** With what the /64s of one IPv6 network share. */
  get guardedTotal(): readonly SourcedQuota[] {
    return this.#total?.guarded ?? []
  }

  isExempt(client: Client): boolean {
    if (this.#exempt.length === 0) return false
    const known = this.#exempted.get(client)
    if (known !== undefined) return known
    const parts = parseAddress(client.address)
    const found = parts !== undefined && this.#exempt.some((cidr) => inCidr(parts, cidr))
    this.#exempted.set(client, found)
    return found
  }

  isExemptKey(principal: Principal | null | undefined): boolean {
    return principal?.credential !== undefined && this.#rules.keys?.[principal.credential] === 'exempt'
  }

  /** What is enforced for a route now, made by the functions that the hooks use. */
  effective(route: Route): EffectiveLimits {
    const limits = route.config?.limits ?? {}
    const quotas = quotasOf(nameOf(route), limits, this.#rules)
    const name = limitName(nameOf(route), limits)
    return { name, anonymous: quotas?.anonymous ?? [], authenticated: quotas?.authenticated ?? [], total: this.#total?.plain ?? [] }
  }
}

/** The quotas that a request of this principal counts in; undefined: none. */
export const quotasFor = ({ quotas }: LiveRoute, principal: Principal | null | undefined): readonly SourcedQuota[] | undefined => {
  if (quotas === undefined || principal === null || principal === undefined) return quotas?.anonymous
  const { byKey, authenticated } = quotas
  return byKey.size > 0 && byKey.has(principal.credential) ? byKey.get(principal.credential) : authenticated
}

const readCidr = (text: string): Cidr => {
  const cidr = parseCidr(text)
  if (cidr === undefined) throw new TypeError(`exempt: ${JSON.stringify(text)} is not a CIDR such as 10.0.0.0/8`)
  return cidr
}

/** HEAD is counted as the GET that it stands for: a second quota would double every limit. */
const nameOf = ({ method, url }: Route): string => `${method === 'HEAD' ? 'GET' : String(method)} ${url}`

/** The names under which routes are limited: what an operator may write in `limits.routes`. */
export const limitedRouteNames = (routes: readonly Route[]): ReadonlySet<string> =>
  new Set(
    routes.flatMap((route) => {
      const limits = route.config?.limits ?? {}
      return limits === 'none' ? [] : [limitName(nameOf(route), limits)]
    }),
  )
