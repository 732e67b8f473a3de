import type { FastifyRequest } from 'fastify'

import { Problem } from '../../../core/errors.ts'
import type { Observe } from '../../../core/events.ts'
import { sessionIdOf } from '../../../core/request.ts'
import { hashOpaqueToken } from '../../../credentials/opaque-token.ts'
import { written } from '../../written.ts'
import type { Given } from './browser-mode.ts'
import { factsOf } from '../caller.ts'
import type { AccountChanges } from '../changes.ts'
import type { Session, SessionRepository } from './session-repository.ts'
import type { SessionStatements } from './session-statements.ts'
import { endEntry } from './sessions.ts'

export interface EndingOptions {
  readonly observe: Observe
  readonly changes: AccountChanges
  readonly sessionRows: SessionRepository
  readonly sessionStatements: SessionStatements
}

type Ended = Pick<Session, 'id' | 'accountId'>

/** Ends these sessions at once, with all their tokens; those that had ended meanwhile are no mistake. Resolves with how many it ended. */
export const createEnd =
  ({ observe, changes, sessionStatements }: EndingOptions) =>
  async (request: FastifyRequest, sessions: readonly Ended[], reason: string, actor?: string): Promise<number> => {
    const facts = factsOf(request)
    let ended = 0
    for (const { id, accountId } of sessions) {
      const entry = endEntry({ id, actor: actor ?? accountId, reason, ...facts })
      // One by one: another request that ends one of them undoes no more than that.
      const outcome = await changes.commit([sessionStatements.end(id)], [entry])
      if (outcome.result === 'conflict') continue
      written(outcome)
      ended++
      observe({ event: 'authn_token_revoked', ...facts, subject: accountId, credential: `session:${id}` })
    }
    return ended
  }

const nothingToEnd = new Problem('unauthenticated', {
  detail: 'Send what shall end: the refresh token in the body, the cookie, or the access token.',
})

/**
 * Ends every session that the request shows a token of: whoever holds one may end it (RFC 7009). A token that is good for nothing is no
 * mistake either: what was to be reached is (section 2.2).
 */
export const createLogout = (options: EndingOptions) => {
  const end = createEnd(options)
  return async (request: FastifyRequest, given: Given | undefined): Promise<void> => {
    const { principal } = request
    const sid = sessionIdOf(principal)
    if (given === undefined && sid === undefined) throw nothingToEnd
    const hash = given && hashOpaqueToken('fgr', given.token)
    const byToken = hash === undefined ? undefined : (await options.sessionRows.byToken(hash))?.session
    const byPrincipal = sid === undefined || principal === null ? [] : [{ id: sid, accountId: principal.subject }]
    const others = byPrincipal.filter(({ id }) => id !== byToken?.id)
    await end(request, [...(byToken === undefined ? [] : [byToken]), ...others], 'logout')
  }
}
