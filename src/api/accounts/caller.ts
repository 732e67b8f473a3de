import type { FastifyRequest } from 'fastify'

import { Problem } from '../../core/errors.ts'
import type { Principal } from '../../core/request.ts'
import type { By } from './user-changes.ts'

const sessionsOnly = new Problem('forbidden', {
  detail: 'This needs a login here: an API key, or the token of another issuer, speaks for no account itself.',
})

/** Whoever acts on a guarded route. */
export const principalOf = ({ principal }: FastifyRequest): Principal => {
  if (principal === null) throw new Error('a route without access let nobody in particular through')
  return principal
}

/**
 * The account and the session of somebody who logged in here. Keys are for programs: one that leaked must neither make others that outlive it
 * nor change the account that it was taken from (OWASP ASVS 5.0 7.2.2).
 */
export const sessionOf = (request: FastifyRequest): { readonly accountId: string; readonly sessionId: string } => {
  const { subject, credential } = principalOf(request)
  if (!credential.startsWith('session:')) throw sessionsOnly
  return { accountId: subject, sessionId: credential.slice('session:'.length) }
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
