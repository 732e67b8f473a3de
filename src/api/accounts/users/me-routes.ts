import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyRequest } from 'fastify'

import { Problem } from '../../../core/errors.ts'
import { NoQuery } from '../../films/schema.ts'
import { formatTimestamp } from '../../timestamp.ts'
import { written } from '../../written.ts'
import type { Account } from '../accounts.ts'
import { byOf, factsOf, principalOf, sessionOf } from '../caller.ts'
import { guarded } from '../sessions/login-failures.ts'
import { accountChanged } from '../sessions/session-answers.ts'
import { changePasswordDescription, meDescription, removeMeDescription, renameMeDescription } from './me-descriptions.ts'
import { Me, MePatch, PasswordChange } from './me-schema.ts'
import type { AccountParts } from '../parts.ts'
import type { UserChanges } from './user-changes.ts'
import { ownUsernameMistake } from './usernames.ts'

export type MeRoutesOptions = AccountParts & {
  readonly users: UserChanges
}

const stale = new Problem('conflict', { detail: 'Your account was changed at this moment: look at it again.' })

/** What people do to their own account, in a session: who it is comes from there, never from what is sent. */
export const meRoutes = (server: FastifyInstance, options: MeRoutesOptions): void => {
  const app = server.withTypeProvider<TypeBoxTypeProvider>()
  const { users, observe } = options
  const shown = createShown(options)
  const rename = createRename(options)
  const changePassword = createPasswordChange(options)

  app.get(
    '/v1/me',
    { schema: { ...meDescription, querystring: NoQuery, response: { 200: Me } }, config: { access: 'authenticated', sessionOnly: true } },
    async (request) => shown(request, await ownAccount(request, options)),
  )

  app.patch(
    '/v1/me',
    {
      schema: { ...renameMeDescription, querystring: NoQuery, body: MePatch, response: { 200: Me } },
      // Each try says whether somebody has the name.
      config: { access: 'authenticated', sessionOnly: true, limits: { add: '20 per hour' } },
    },
    async (request) => shown(request, await rename(request, request.body.username)),
  )

  app.delete(
    '/v1/me',
    { schema: { ...removeMeDescription, querystring: NoQuery }, config: { access: 'authenticated', sessionOnly: true, freshLogin: true } },
    async (request, reply) => {
      const account = await ownAccount(request, options)
      const result = await users.remove(byOf(request), account)
      if (result === 'last_admin') throw lastAdmin
      if (result !== 'removed') throw stale
      observe({ event: 'authz_change', ...factsOf(request), subject: account.id, by: account.id, change: 'removed' })
      return reply.code(204).send()
    },
  )

  app.put(
    '/v1/me/password',
    {
      schema: { ...changePasswordDescription, querystring: NoQuery, body: PasswordChange },
      config: { access: 'authenticated', sessionOnly: true, freshLogin: true },
    },
    async (request, reply) => {
      await changePassword(request, request.body.current_password, request.body.new_password)
      return reply.code(204).send()
    },
  )
}

const nameTaken = new Problem('conflict', { detail: 'Somebody has that name already: take another one.' })

const lastAdmin = new Problem('conflict', {
  detail: 'You are the last admin, and nobody could administer any more: make another one first.',
})

const ownAccount = async (request: FastifyRequest, { accounts }: MeRoutesOptions): Promise<Account> => {
  const account = await accounts.byId(sessionOf(request).accountId)
  // It went between the check of the token and now.
  if (account === undefined) throw stale
  return account
}

const createShown =
  ({ factors }: MeRoutesOptions) =>
  async (request: FastifyRequest, { id, username, role, createdAt }: Account): Promise<Me> => {
    const { permissions, authenticatedAt = 0 } = principalOf(request)
    return {
      id,
      username,
      role,
      permissions: [...permissions],
      created_at: formatTimestamp(createdAt),
      second_factor: [...(await factors.methods(id))],
      session: sessionOf(request).sessionId,
      authenticated_at: formatTimestamp(authenticatedAt),
    }
  }

const createRename = (options: MeRoutesOptions) => {
  const { trail, statements, observe } = options
  return async (request: FastifyRequest, username: string): Promise<Account> => {
    const account = await ownAccount(request, options)
    const { id, username: from } = account
    if (username === from) return account
    const mistake = ownUsernameMistake(username)
    if (mistake !== undefined)
      throw new Problem('validation_failed', { detail: 'Take another name.', errors: [{ pointer: '/username', detail: mistake }] })
    const entry = { ...byOf(request), action: 'user.rename', target: id, details: { from, to: username } }
    const outcome = await trail.commit([statements.rename(id, username)], [entry])
    if (outcome.result === 'conflict') throw nameTaken
    written(outcome)
    observe({ event: 'user_updated', ...factsOf(request), subject: id, by: id })
    return { ...account, username }
  }
}

/** With the current password (OWASP ASVS 5.0 6.2.3), guessed at no faster than at a login: an open browser is not enough to keep an account. */
const createPasswordChange = (options: MeRoutesOptions) => {
  const { passwords, failures, statements, changes, observe, sessions } = options
  return async (request: FastifyRequest, current: string, next: string): Promise<void> => {
    const { sessionId } = sessionOf(request)
    const account = await ownAccount(request, options)
    const { id, username, passwordHash } = account
    const mistake = await passwords.mistake(next, '/new_password', { username })
    if (mistake !== undefined) throw notThatPassword([mistake])
    const { ok } = await guarded(failures, request, { username, account }, () => passwords.verify(current, passwordHash, request))
    if (!ok) {
      observe({ event: 'authn_login_fail', ...factsOf(request), reason: 'wrong current password', subject: id })
      throw new Problem('forbidden', { detail: 'The current password is not that one.' })
    }
    if (current === next) throw notThatPassword([{ pointer: '/new_password', detail: 'must not be the current one' }])
    const hash = await passwords.hash(next, request)
    const unit = [sessions.hold(sessionId), statements.setPassword(id, passwordHash, hash), ...sessions.endAll(id, sessionId)]
    const outcome = await changes.commit(unit, [{ ...byOf(request), action: 'user.password', target: id }])
    if (outcome.result === 'conflict') throw outcome.statement === 0 ? accountChanged : stale
    written(outcome)
    observe({ event: 'authn_password_change', ...factsOf(request), subject: id })
  }
}

const notThatPassword = (errors: { pointer: string; detail: string }[]): Problem =>
  new Problem('validation_failed', { detail: 'Choose another password.', errors })
