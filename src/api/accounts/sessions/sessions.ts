import type { FastifyRequest } from 'fastify'

import type { Observe } from '../../../core/events.ts'
import { sessionIdOf } from '../../../core/request.ts'
import { createSessionId } from '../../../credentials/ids.ts'
import { createOpaqueToken } from '../../../credentials/opaque-token.ts'
import type { Database } from '../../../db/open.ts'
import type { Unit } from '../../../db/unit.ts'
import type { AuditEntry, AuditTrail } from '../../audit/trail.ts'
import { written } from '../../written.ts'
import type { Account, AccountStatements } from '../accounts.ts'
import { demandOwnPage, replacedHash } from './browser-mode.ts'
import { factsOf } from '../caller.ts'
import type { AccountChanges } from '../changes.ts'
import { sessionCookie } from './cookies.ts'
import type { KnownPlaces } from './known-places.ts'
import type { Also, Factors, Proof, Sessions, TokenIssuer } from '../parts.ts'
import { accountChanged, uncached } from './session-answers.ts'
import type { SessionRepository, SessionTimes } from './session-repository.ts'
import { maxSessions, type SessionStatements } from './session-statements.ts'
import { createSuspend } from './suspended-login.ts'

export interface SessionsOptions extends SessionTimes {
  readonly database: Pick<Database, 'commit'>
  readonly observe: Observe
  readonly changes: AccountChanges
  readonly trail: AuditTrail
  readonly factors: Factors
  readonly statements: AccountStatements
  readonly sessionRows: SessionRepository
  readonly sessionStatements: SessionStatements
  readonly places: KnownPlaces
  readonly tokens: TokenIssuer
  readonly publicOrigin: string
}

const maxUserAgentLength = 200

export const createSessions = (options: SessionsOptions): Sessions => {
  const open = createOpen(options)
  const suspend = createSuspend(options)
  return {
    open,
    proceed: async (request, reply, account, proof, also) => {
      const methods = proof.mfa ? [] : await options.factors.methods(account.id)
      return methods.length === 0 ? open(request, reply, account, proof, also) : suspend({ request, reply, account, proof, also }, methods)
    },
    hold: (sessionId, permission) => options.sessionStatements.hold(sessionId, permission),
    endAll: (accountId, except) => options.sessionStatements.endAll(accountId, except),
  }
}

/** Which session comes to be, and what goes for it. */
interface Opening {
  readonly request: FastifyRequest
  readonly account: Account
  readonly unit: Unit
  readonly entries: readonly AuditEntry[]
  /** Whether what was known of credentials may not hold any more. */
  readonly changesOthers: boolean
}

const createOpen = (options: SessionsOptions): Sessions['open'] => {
  const { maxAgeMs, idleMs, tokens, sessionStatements, statements, places } = options
  const commit = createCommit(options)
  const replaced = createReplaced(options)
  return async (request, reply, account, proof, also = nothing) => {
    if (proof.browser) demandOwnPage(request, options.publicOrigin)
    const sessionId = createSessionId()
    const refresh = createOpaqueToken('fgr')
    const former = await replaced(request, account)
    // Before the unit: a session whose tokens nobody gets would only be in its owner's way.
    const access = await tokens.issue({
      subject: account.id,
      sessionId,
      epoch: account.epoch,
      authenticatedAt: options.epochMs(),
      notAfter: options.epochMs() + Math.min(maxAgeMs, idleMs),
      amr: proof.amr,
      role: account.role,
    })
    const facts = factsOf(request)
    const unit = [
      ...also.unit,
      sessionStatements.open({ id: sessionId, accountId: account.id, epoch: account.epoch, ...described(request, proof) }),
      sessionStatements.addToken(refresh.hash, sessionId),
      statements.noteLogin(account.id),
      ...places.note(account.id, request.client),
      ...former.flatMap(({ unit: ending }) => ending),
      sessionStatements.endSurplus(account.id, sessionId),
    ]
    const entry = { actor: account.id, action: 'session.create', target: sessionId, details: { methods: proof.amr.join(' ') }, ...facts }
    const entries = [...also.entries, entry, ...former.flatMap((one) => one.entries)]
    // Where the unit may end a session that nobody named, others must hear of it with that unit; logins at once are as few as hashes.
    const isCrowded = (await options.sessionRows.list(account.id)).length >= maxSessions - 10
    const changesOthers = also.unit.length > 0 || former.length > 0 || isCrowded
    const conflict = await commit({ request, account, unit, entries, changesOthers })
    if (conflict !== undefined && conflict < also.unit.length) return undefined
    if (conflict !== undefined) throw accountChanged
    const about = { ...facts, subject: account.id }
    const gone = former.flatMap((one) => one.entries.map(({ target }) => target))
    tellEnded(options.observe, about, gone)
    tell(options.observe, about, sessionId, proof.amr)
    void reply.headers(uncached)
    const answer = { access_token: access.token, token_type: 'Bearer', expires_in: access.expiresInSeconds } as const
    if (!proof.browser) return { ...answer, refresh_token: refresh.token }
    void reply.header('set-cookie', sessionCookie(refresh.token, Math.min(maxAgeMs, idleMs) / 1000))
    return answer
  }
}

const nothing: Also = { unit: [], entries: [] }

const described = (request: FastifyRequest, { amr, mfa, browser }: Proof) => ({
  amr: amr.join(' '),
  mfa,
  browser,
  client: request.client.prefix,
  userAgent: request.headers['user-agent']?.slice(0, maxUserAgentLength) ?? null,
})

/** Commits; resolves with the index of the unit's statement that conflicted. */
const createCommit =
  ({ changes, trail, observe }: SessionsOptions) =>
  async ({ request, account, unit, entries, changesOthers }: Opening): Promise<number | undefined> => {
    // A new session takes nothing from what is known of others, so nobody need hear of it.
    const outcome = await (changesOthers ? changes : trail).commit(unit, entries)
    if (outcome.result === 'conflict') return outcome.statement
    const ended = (written(outcome)[unit.length - 1] ?? []).map(({ id }) => String(id))
    if (ended.length === 0) return undefined
    const facts = factsOf(request)
    const told = ended.map((id) => endEntry({ id, actor: account.id, reason: 'too_many', ...facts }))
    written(await changes.commit([], told))
    tellEnded(observe, { ...facts, subject: account.id }, ended)
    return undefined
  }

interface Ending {
  readonly id: string
  readonly actor: string
  readonly reason: string
  readonly requestId: string | null
  readonly client: string | null
}

export const endEntry = ({ id, actor, reason, requestId, client }: Ending): AuditEntry => ({
  actor,
  action: 'session.end',
  target: id,
  details: { reason },
  requestId,
  client,
})

/**
 * Who proves anew who it is gets a new session in place of the one it came with, in the cookie or by its access token (ASVS 7.2.4): what
 * somebody may have planted or seen of the old one is worth nothing afterwards.
 */
const createReplaced =
  ({ sessionRows, sessionStatements }: SessionsOptions) =>
  async (request: FastifyRequest, account: Account): Promise<readonly Also[]> => {
    const hash = replacedHash(request)
    const byCookie = hash === undefined ? undefined : (await sessionRows.byToken(hash))?.session.id
    const byToken = request.principal?.subject === account.id ? sessionIdOf(request.principal) : undefined
    const former = [...new Set([byCookie, byToken])].filter((id) => id !== undefined)
    const live = (await Promise.all(former.map((id) => sessionRows.byId(id)))).filter((session) => session !== undefined)
    return live.map(({ id }) => ({
      unit: [sessionStatements.replace(id)],
      entries: [endEntry({ id, actor: account.id, reason: 'replaced', ...factsOf(request) })],
    }))
  }

interface About {
  readonly requestId: string
  readonly client: string
  readonly subject: string
}

const tellEnded = (observe: Observe, about: About, sessions: readonly string[]): void => {
  for (const id of sessions) observe({ event: 'authn_token_revoked', ...about, credential: `session:${id}` })
}

const tell = (observe: Observe, facts: About, session: string, methods: readonly string[]): void => {
  observe({ event: 'authn_login_success', ...facts, methods })
  observe({ event: 'session_created', ...facts, session })
  observe({ event: 'authn_token_created', ...facts, credential: `session:${session}` })
}
