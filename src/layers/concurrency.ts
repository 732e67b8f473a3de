import type { ServerResponse } from 'node:http'

import type { FastifyPluginCallback, FastifyRequest, onRequestHookHandler } from 'fastify'

import { Problem } from '../core/errors.ts'
import type { Observe } from '../core/events.ts'
import { wholeServer } from '../core/plugin.ts'
import type { Client, Principal } from '../core/request.ts'

export interface ConcurrencyLimits {
  /** Requests of one identity in flight. */
  readonly perClient: number
  /** Requests in flight in this process. */
  readonly total: number
}

export interface ConcurrencyOptions {
  /** Read at each request. */
  readonly limits: () => ConcurrencyLimits
  readonly observe: Observe
  /** Whom a request counts for; by default the subject that is known, else the client's prefix. */
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
  inFlight: number
}

const createHook = ({ limits, observe, identityOf = identityOfRequest, onRefused }: ConcurrencyOptions): onRequestHookHandler => {
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
    if (raw.destroyed) {
      onRefused?.(request)
      return
    }
    const { perClient, total } = limits()
    const taken = take(raw, identityOf(request), perClient, total)
    if (taken === 'taken') {
      raw.on('close', release)
      next()
    } else if (taken === 'identity full') next(refuse(request, 'concurrency', tooManyOfOne(perClient)))
    else next(refuse(request, 'concurrency-total', tooManyInAll))
  }
}

/** Holds an entry for each identity with requests in flight and for no other. */
const createSlots = () => {
  // On the response itself, so that one listener serves all: a closure or a map entry for each request costs more.
  const slot = Symbol('concurrency slot')
  interface Holding {
    [slot]?: Holder | undefined
  }
  const holders = new Map<string, Holder>()
  let inFlight = 0

  const take = (raw: ServerResponse & Holding, identity: string, perClient: number, total: number) => {
    let holder = holders.get(identity)
    if ((holder?.inFlight ?? 0) >= perClient) return 'identity full'
    if (inFlight >= total) return 'all full'
    if (holder === undefined) {
      holder = { identity, inFlight: 0 }
      holders.set(identity, holder)
    }
    holder.inFlight++
    inFlight++
    raw[slot] = holder
    return 'taken'
  }

  function release(this: ServerResponse & Holding): void {
    const holder = this[slot]
    if (holder === undefined) return
    this[slot] = undefined
    holder.inFlight--
    inFlight--
    if (holder.inFlight === 0) holders.delete(holder.identity)
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
