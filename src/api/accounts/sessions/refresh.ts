import type { FastifyReply, FastifyRequest } from 'fastify'

import { Problem } from '../../../core/errors.ts'
import type { Observe } from '../../../core/events.ts'
import { createOpaqueToken, hashOpaqueToken } from '../../../credentials/opaque-token.ts'
import type { Database } from '../../../db/open.ts'
import { written } from '../../written.ts'
import { clearing, type Given } from './browser-mode.ts'
import { factsOf } from '../caller.ts'
import type { AccountChanges } from '../changes.ts'
import { sessionCookie } from './cookies.ts'
import type { TokenAnswer, TokenIssuer } from '../parts.ts'
import { uncached } from './session-answers.ts'
import type { KnownToken, SessionRepository, SessionTimes } from './session-repository.ts'
import type { SessionStatements } from './session-statements.ts'
import { endEntry } from './sessions.ts'

export interface RefreshOptions extends SessionTimes {
  readonly database: Pick<Database, 'commit'>
  readonly observe: Observe
  readonly changes: AccountChanges
  readonly sessionRows: SessionRepository
  readonly sessionStatements: SessionStatements
  readonly tokens: TokenIssuer
}

/** Without a token it is refused like any that is not good. */
export type Refresh = (request: FastifyRequest, reply: FastifyReply, given: Given | undefined) => Promise<TokenAnswer>

const none: Given = { token: '', byCookie: false }

/** The same words whatever was wrong: whether a token was ever good is not for the asker to learn. */
const refused = (byCookie: boolean): Problem =>
  new Problem('unauthenticated', {
    detail: 'The refresh token is not valid, or not any more. Log in again.',
    ...(byCookie ? { headers: clearing } : {}),
  })

/**
 * Each refresh token is good once, for new tokens of its session (RFC 9700 section 4.14.2). All of it is one unit of compare-and-swaps: of
 * any number who come with one token at once, also to other instances, at most one gets an answer.
 */
export const createRefresh = (options: RefreshOptions): Refresh => {
  const { database, observe, sessionRows, sessionStatements } = options
  const issue = createIssue(options)
  const endReused = createEndReused(options)

  return async (request, reply, { token, byCookie } = none) => {
    const refuse = (reason: string, subject: string | null = null): Problem => {
      observe({ event: 'authn_login_fail', ...factsOf(request), reason, subject })
      return refused(byCookie)
    }
    const hash = hashOpaqueToken('fgr', token)
    const known = hash === undefined ? undefined : await sessionRows.byToken(hash)
    if (hash === undefined || known === undefined) throw refuse('unknown refresh token')
    const { session, isUsed, isEnded, isExpired } = known
    const { accountId: subject } = session
    if (isUsed) {
      // Once: whoever sends it again and again must not make all credentials be asked about anew, nor the audit trail wait.
      if (!isEnded) await endReused(request, known)
      throw refuse('used refresh token', subject)
    }
    if (isEnded) throw refuse('refresh token of an ended session', subject)
    if (isExpired) {
      observe({ event: 'session_expired', ...factsOf(request), subject, session: session.id })
      throw refuse('refresh token of an expired session', subject)
    }
    // Out of the cookie and into a body, or the other way round: a browser's token was stolen, or somebody else's was planted in a browser.
    if (session.browser !== byCookie) throw refuse('refresh token in the wrong place', subject)
    const { answer, next } = await issue(known)
    const unit = [sessionStatements.useToken(hash), sessionStatements.touch(session.id), sessionStatements.addToken(next.hash, session.id)]
    const outcome = await database.commit(unit)
    if (outcome.result === 'conflict' && outcome.statement === 0) {
      await endReused(request, known)
      throw refuse('used refresh token', subject)
    }
    if (outcome.result === 'conflict' && outcome.statement === 1) throw refuse('refresh token of an ended session', subject)
    written(outcome)
    observe({ event: 'authn_token_created', ...factsOf(request), subject, credential: `session:${session.id}` })
    void reply.headers(uncached)
    if (!byCookie) return { ...answer, refresh_token: next.token }
    void reply.header('set-cookie', sessionCookie(next.token, (notAfter(options, session.expiresAt) - options.epochMs()) / 1000))
    return answer
  }
}

/** When a session that is used now ends at the latest, unless it is used again. */
const notAfter = ({ epochMs, idleMs }: SessionTimes, expiresAt: number): number => Math.min(expiresAt, epochMs() + idleMs)

/** Before the unit: where no token can be signed, the old one must stay good. */
const createIssue =
  (options: RefreshOptions) =>
  async ({ session, epoch, role }: KnownToken) => {
    const { token, expiresInSeconds } = await options.tokens.issue({
      subject: session.accountId,
      sessionId: session.id,
      epoch,
      authenticatedAt: session.authenticatedAt,
      notAfter: notAfter(options, session.expiresAt),
      amr: session.amr,
      role,
    })
    const answer = { access_token: token, token_type: 'Bearer', expires_in: expiresInSeconds } as const
    return { answer, next: createOpaqueToken('fgr') }
  }

/**
 * A token that comes a second time is in two hands, and which of them is the owner's nobody knows: the session ends, with whatever the first
 * of them got for it (RFC 9700 section 4.14.2).
 */
const createEndReused =
  ({ changes, observe, sessionStatements }: RefreshOptions) =>
  async (request: FastifyRequest, { session }: KnownToken): Promise<void> => {
    const facts = factsOf(request)
    // Whose hand this is nobody knows.
    const entry = endEntry({ id: session.id, actor: 'system', reason: 'token_reuse', ...facts })
    const outcome = await changes.commit([sessionStatements.end(session.id)], [entry])
    // It had ended before.
    if (outcome.result === 'conflict') return
    written(outcome)
    observe({ event: 'authn_token_reuse', ...facts, subject: session.accountId, session: session.id })
    observe({ event: 'authn_token_revoked', ...facts, subject: session.accountId, credential: `session:${session.id}` })
  }
