import type { ServerResponse } from 'node:http'

import type { FastifyPluginCallback, FastifyRequest, onRequestHookHandler } from 'fastify'

import { Problem } from '../core/errors.ts'
import type { Observe } from '../core/events.ts'
import { wholeServer } from '../core/plugin.ts'
import { type Client, isGone, type Principal } from '../core/request.ts'

export interface ConcurrencyLimits {
  /** Requests of one identity in flight; the clients of one IPv6 site (/48) may have 32 times as many together. */
  readonly perClient: number
  /** Requests in flight in this process. */
  readonly total: number
}

export interface ConcurrencyOptions {
  /** Read at each request. */
  readonly limits: () => ConcurrencyLimits
  readonly observe: Observe
  /** Whom a request counts for; by default the subject that is known, else the client's prefix and, of IPv6, its network. */
  readonly identityOf?: (request: FastifyRequest) => string
  /** The request will not be answered well: it was refused, or its client is gone. */
  readonly onRefused?: (request: FastifyRequest) => void
}

/**
 * Step 10: how many requests may be in flight, of one identity and of all, in this process. A slot is taken by the hook of each route and
 * given back when the response closes, which comes once, after every answer and when the client goes away.
 */
export const concurrency: FastifyPluginCallback<ConcurrencyOptions> = wholeServer('concurrency', (app, options, done) => {
  const hook = createHook(options)
  app.addHook('onRoute', (route) => {
    // What answers at once, before any work, holds nothing.
    if (route.url === '*' || route.config?.otherMethods === true) return
    route.onRequest = [route.onRequest ?? [], hook].flat()
  })
  done()
})

/** One identity with requests in flight. */
interface Holder {
  readonly identity: string
  /** The same for as long as requests are in flight. */
  site: Holder | undefined
  inFlight: number
}

/** Without this bound a single owner of 65,536 prefixes could hold every slot with answers that it reads slowly. */
const siteFactor = 32

const createHook = ({ limits, observe, identityOf, onRefused }: ConcurrencyOptions): onRequestHookHandler => {
  const { take, release } = createSlots()
  const refuse = (request: FastifyRequest, violated: string, problem: Problem): Problem => {
    onRefused?.(request)
    const client = request.client?.prefix ?? null
    observe({ event: 'excess_rate_limit_exceeded', requestId: request.id, client, policy: 'concurrency', violated: [violated] })
    return problem
  }

  return (request, reply, next) => {
    const { raw } = reply
    // Its 'close' was before: a slot would never come back, and work for nobody would be beyond the limit.
    if (isGone(raw)) {
      onRefused?.(request)
      return
    }
    const { perClient, total } = limits()
    const identity = identityOf?.(request) ?? identityOfRequest(request)
    const taken = take(raw, identity, identityOf === undefined ? siteOf(request) : undefined, { perClient, total })
    if (taken === 'taken') {
      raw.on('close', release)
      next()
    } else if (taken === 'identity full') next(refuse(request, 'concurrency', tooManyOfOne(perClient)))
    else next(refuse(request, 'concurrency-total', tooManyInAll))
  }
}

/** Entries beyond those with requests in flight: to make and remove one for each request takes longer than all the rest of this. */
const mostIdle = 1024

/** Holds an entry for each identity with requests in flight and for a few others. */
const createSlots = () => {
  // On the response itself, so that one listener serves all: a closure or a map entry for each request costs more.
  const slot = Symbol('concurrency slot')
  interface Holding {
    [slot]?: Holder | undefined
  }
  const holders = new Map<string, Holder>()
  let inFlight = 0

  const holderOf = (identity: string, site: Holder | undefined): Holder =>
    holders.get(identity) ?? addHolder({ identity, site, inFlight: 0 })

  const addHolder = (holder: Holder): Holder => {
    holders.set(holder.identity, holder)
    return holder
  }

  const forgetIdle = (): void => {
    for (const { identity, inFlight: own } of holders.values()) if (own === 0) holders.delete(identity)
  }

  const take = (raw: ServerResponse & Holding, identity: string, network: string | undefined, { perClient, total }: ConcurrencyLimits) => {
    // Before those that are about to be used are looked up.
    if (holders.size >= mostIdle + 2 * inFlight) forgetIdle()
    const site = network === undefined ? undefined : holderOf(network, undefined)
    const holder = holderOf(identity, site)
    if (holder.inFlight >= perClient || (site !== undefined && site.inFlight >= perClient * siteFactor)) return 'identity full'
    if (inFlight >= total) return 'all full'
    // An idle one may have been of a site that was forgotten since.
    if (holder.inFlight++ === 0) holder.site = site
    if (site !== undefined) site.inFlight++
    inFlight++
    raw[slot] = holder
    return 'taken'
  }

  function release(this: ServerResponse & Holding): void {
    const holder = this[slot]
    if (holder === undefined) return
    this[slot] = undefined
    holder.inFlight--
    if (holder.site !== undefined) holder.site.inFlight--
    inFlight--
  }

  return { take, release }
}

const tooManyOfOne = (perClient: number): Problem =>
  new Problem('quota_exceeded', {
    detail: `At most ${perClient} of your requests are answered at the same time. Try again when one of them is.`,
    retryAfterSeconds: 1,
    members: { 'violated-policies': ['concurrency'] },
  })

const tooManyInAll = new Problem('temporary_reduced_capacity', {
  detail: 'Too many requests are being answered at the same time. Try again later.',
  retryAfterSeconds: 1,
})

/** A subject behind an @, which no prefix contains. */
const identityOfRequest = (request: FastifyRequest): string => {
  const { client, principal } = request as { readonly client: Client; readonly principal?: Principal | null }
  return principal === null || principal === undefined ? client.prefix : `@${principal.subject}`
}

/** An IPv4 address is its own prefix; an IPv6 prefix lies in a network that one site owns. A subject is one wherever it is. */
const siteOf = (request: FastifyRequest): string | undefined => {
  const { client, principal } = request as { readonly client: Client; readonly principal?: Principal | null }
  return client.prefix === client.address || (principal !== null && principal !== undefined) ? undefined : client.network
}
