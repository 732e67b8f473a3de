import type { FastifyRequest } from 'fastify'

import { type Principal, sessionIdOf } from '../../core/request.ts'
import type { By } from './users/user-changes.ts'

/** Whoever acts on a guarded route. */
export const principalOf = ({ principal }: FastifyRequest): Principal => {
  if (principal === null) throw new Error('a route without access let nobody in particular through')
  return principal
}

/** The account and the session of somebody who logged in here, on a route that is `sessionOnly`. */
export const sessionOf = (request: FastifyRequest): { readonly accountId: string; readonly sessionId: string } => {
  const principal = principalOf(request)
  const sessionId = sessionIdOf(principal)
  if (sessionId === undefined) throw new Error('a route without sessionOnly asked for the session')
  return { accountId: principal.subject, sessionId }
}

export const byOf = (request: FastifyRequest): By => ({
  actor: principalOf(request).subject,
  requestId: request.id,
  client: request.client.prefix,
})

/** What an event says of the request that it is about. */
export const factsOf = (request: FastifyRequest): { readonly requestId: string; readonly client: string } => ({
  requestId: request.id,
  client: request.client.prefix,
})
