import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyRequest } from 'fastify'

import type { Permission } from '../../../core/access.ts'
import { Problem } from '../../../core/errors.ts'
import { NoQuery } from '../../films/schema.ts'
import { formatTimestamp } from '../../timestamp.ts'
import { principalOf, sessionOf } from '../caller.ts'
import { createEnd, type EndingOptions } from './logout.ts'
import type { AccountParts } from '../parts.ts'
import { endSessionDescription, endSessionsDescription, listSessionsDescription } from './session-descriptions.ts'
import type { Session } from './session-repository.ts'
import { SessionList, SessionPath, SessionQuery } from './session-schema.ts'

export type SessionRoutesOptions = Pick<AccountParts, 'accounts'> & EndingOptions

const noSuchSession = new Problem('not_found', { detail: 'There is no such session.' })
const noSuchUser = new Problem('not_found', { detail: 'There is no such user.' })
const config = { access: 'authenticated', sessionOnly: true } as const

/** What everybody sees and ends of the own sessions, and an admin of all (OWASP ASVS 5.0 7.4.5, 7.5.2). */
export const sessionRoutes = (server: FastifyInstance, options: SessionRoutesOptions): void => {
  const app = server.withTypeProvider<TypeBoxTypeProvider>()
  const { sessionRows } = options
  const end = createEnd(options)
  const accountOf = createAccountOf(options)

  app.get(
    '/v1/auth/sessions',
    { schema: { ...listSessionsDescription, querystring: SessionQuery, response: { 200: SessionList } }, config },
    async (request) => {
      const { sessionId } = sessionOf(request)
      const accountId = await accountOf(request, request.query.user, 'users:read')
      return { items: (await sessionRows.list(accountId)).map((session) => shown(session, sessionId)) }
    },
  )

  app.delete('/v1/auth/sessions', { schema: { ...endSessionsDescription, querystring: SessionQuery }, config }, async (request, reply) => {
    const own = sessionOf(request)
    const accountId = await accountOf(request, request.query.user, 'users:write')
    // All of somebody else's; of one's own all others, for this one still has to hear of it. It ends by logout.
    const sessions = (await sessionRows.list(accountId)).filter(({ id }) => id !== own.sessionId)
    await end(request, sessions, 'ended_by_user', own.accountId)
    return reply.code(204).send()
  })

  app.delete(
    '/v1/auth/sessions/:id',
    { schema: { ...endSessionDescription, params: SessionPath, querystring: NoQuery }, config },
    async (request, reply) => {
      const own = sessionOf(request)
      const session = await sessionRows.byId(request.params.id)
      // Somebody else's is answered like none: ids of sessions are nobody's to test.
      if (session === undefined || (session.accountId !== own.accountId && !may(request, 'users:write'))) throw noSuchSession
      if ((await end(request, [session], 'ended_by_user', own.accountId)) === 0) throw noSuchSession
      return reply.code(204).send()
    },
  )
}

const may = (request: FastifyRequest, permission: Permission): boolean => principalOf(request).permissions.has(permission)

/** Whose sessions are meant: one's own, or with the permission anybody's. Without it there is no difference between a user and none. */
const createAccountOf =
  ({ accounts }: SessionRoutesOptions) =>
  async (request: FastifyRequest, user: string | undefined, permission: Permission): Promise<string> => {
    const { accountId } = sessionOf(request)
    if (user === undefined || user === accountId) return accountId
    if (!may(request, permission))
      throw new Problem('forbidden', { detail: `These credentials do not carry the permission ${permission}.` })
    if ((await accounts.byId(user)) === undefined) throw noSuchUser
    return user
  }

const shown = (session: Session, current: string): SessionList['items'][number] => ({
  id: session.id,
  current: session.id === current,
  created_at: formatTimestamp(session.createdAt),
  authenticated_at: formatTimestamp(session.authenticatedAt),
  last_used_at: formatTimestamp(session.lastUsedAt),
  expires_at: formatTimestamp(session.expiresAt),
  methods: [...session.amr],
  mfa: session.mfa,
  browser: session.browser,
  client: session.client,
  user_agent: session.userAgent === null ? null : escaped(session.userAgent),
})

/** A client writes there what it likes; what controls a terminal or turns the reading direction is shown as what it is. */
const escaped = (text: string): string =>
  text.replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\\]/gu, (character) =>
    character === '\\' ? '\\\\' : `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  )
