import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyRequest } from 'fastify'

import { Problem } from '../../../core/errors.ts'
import { sessionIdOf } from '../../../core/request.ts'
import type { Cursors } from '../../../credentials/cursor.ts'
import { NoQuery } from '../../films/schema.ts'
import { finishPage, readPage } from '../../pages.ts'
import { formatNullable, formatTimestamp } from '../../timestamp.ts'
import type { Account } from '../accounts.ts'
import { byOf, factsOf, principalOf } from '../caller.ts'
import type { AccountParts } from '../parts.ts'
import type { By, Refused, UserAction, UserChanges } from './user-changes.ts'
import { usernameMistake } from './usernames.ts'
import {
  addUserDescription,
  changeUserDescription,
  listUsersDescription,
  removeUserDescription,
  userByIdDescription,
} from './users-descriptions.ts'
import { type ListedUser, NewUser, User, UserList, UserPatch, UserPath, UserQuery } from './users-schema.ts'

export type UserRoutesOptions = Pick<AccountParts, 'accounts' | 'passwords' | 'factors' | 'sessions' | 'observe'> & {
  readonly users: UserChanges
  readonly cursors: Cursors
}

const noSuchUser = new Problem('not_found', { detail: 'There is no such user.' })

const refusals: Readonly<Record<Refused, Problem>> = {
  gone: noSuchUser,
  last_admin: new Problem('conflict', { detail: 'This is the last admin, and nobody could administer any more: make another one first.' }),
  stale: new Problem('conflict', { detail: 'Somebody else changed it at this moment: look at it again.' }),
}

/** For those who administer. What somebody does to the own account stands in me-routes.ts. */
export const userRoutes = (server: FastifyInstance, options: UserRoutesOptions): void => {
  addReads(server, options)
  const app = server.withTypeProvider<TypeBoxTypeProvider>()
  const { accounts, users, observe } = options
  const newHash = createNewHash(options)
  const detailed = createDetailed(options)
  const change = createChange(options)
  const config = { access: 'users:write', freshLogin: true } as const

  app.post(
    '/v1/users',
    { schema: { ...addUserDescription, querystring: NoQuery, body: NewUser, response: { 201: User } }, config },
    async (request, reply) => {
      const { username, role, password } = request.body
      const mistake = usernameMistake(username)
      if (mistake !== undefined)
        throw new Problem('validation_failed', { detail: 'Take another name.', errors: [{ pointer: '/username', detail: mistake }] })
      const passwordHash = await newHash(request, password, username)
      const id = await users.add(adminOf(request, options), { username, role, passwordHash })
      if (id === undefined) throw new Problem('conflict', { detail: 'Somebody has that name already: take another one.' })
      observe({ event: 'user_created', ...factsOf(request), subject: id, by: byOf(request).actor })
      const added = await detailed(await byIdOrGone(accounts, id))
      return reply.code(201).header('location', `/v1/users/${id}`).send(added)
    },
  )

  app.patch(
    '/v1/users/:id',
    { schema: { ...changeUserDescription, params: UserPath, querystring: NoQuery, body: UserPatch, response: { 200: User } }, config },
    async (request) => {
      const { id } = request.params
      await change(request, id, request.body)
      return detailed(await byIdOrGone(accounts, id))
    },
  )

  app.delete(
    '/v1/users/:id',
    { schema: { ...removeUserDescription, params: UserPath, querystring: NoQuery }, config },
    async (request, reply) => {
      const account = await otherAccount(request, accounts, request.params.id)
      const result = await users.remove(adminOf(request, options), account)
      if (result !== 'removed') throw refusals[result]
      observe({ event: 'authz_change', ...factsOf(request), subject: account.id, by: byOf(request).actor, change: 'removed' })
      return reply.code(204).send()
    },
  )
}

/** Of an admin of another issuer it is known how long the token lives, and no more. */
const adminOf = (request: FastifyRequest, { sessions }: UserRoutesOptions): By => {
  const sessionId = sessionIdOf(request.principal)
  return sessionId === undefined ? byOf(request) : { ...byOf(request), hold: sessions.hold(sessionId, 'users:write') }
}

const addReads = (server: FastifyInstance, options: UserRoutesOptions): void => {
  const app = server.withTypeProvider<TypeBoxTypeProvider>()
  const { accounts, cursors } = options
  const detailed = createDetailed(options)

  app.get(
    '/v1/users',
    { schema: { ...listUsersDescription, querystring: UserQuery, response: { 200: UserList } }, config: { access: 'users:read' } },
    async (request, reply) => {
      const { limit, after = '' } = readPage(request.query, cursors, 'users')
      const rows = await accounts.list(after, limit + 1)
      const page = finishPage(request, reply, { rows, limit, seal: ({ username }) => cursors.seal(username, 'users') })
      return { items: page.items.map(shown), next: page.next }
    },
  )

  app.get(
    '/v1/users/:id',
    {
      schema: { ...userByIdDescription, params: UserPath, querystring: NoQuery, response: { 200: User } },
      config: { access: 'users:read' },
    },
    async (request) => detailed(await byIdOrGone(accounts, request.params.id)),
  )
}

const byIdOrGone = async (accounts: AccountParts['accounts'], id: string): Promise<Account> => {
  const account = await accounts.byId(id)
  if (account === undefined) throw noSuchUser
  return account
}

/**
 * Nobody uses this power on the own account: no role is given to oneself, no password is set without the current one (OWASP ASVS 5.0 6.2.3),
 * and a stolen session cannot take the second factor away.
 */
const otherAccount = async (request: FastifyRequest, accounts: AccountParts['accounts'], id: string): Promise<Account> => {
  if (principalOf(request).subject === id)
    throw new Problem('forbidden', { detail: 'Your own account you change under /v1/me. Your role only another admin changes.' })
  return byIdOrGone(accounts, id)
}

/** The hash of a password that may be one; throws validation_failed for any other. */
const createNewHash =
  ({ passwords }: UserRoutesOptions) =>
  async (request: FastifyRequest, password: string, username: string): Promise<string> => {
    const mistake = await passwords.mistake(password, '/password', { username })
    if (mistake !== undefined) throw new Problem('validation_failed', { detail: 'Choose another password.', errors: [mistake] })
    return passwords.hash(password, request)
  }

const createChange = (options: UserRoutesOptions) => {
  const { accounts, users } = options
  const newHash = createNewHash(options)
  return async (request: FastifyRequest, id: string, patch: UserPatch): Promise<void> => {
    const account = await otherAccount(request, accounts, id)
    const { role, disabled, password, remove_factors: removeFactors } = patch
    const passwordHash = password === undefined ? undefined : await newHash(request, password, account.username)
    const result = await users.change(adminOf(request, options), account, {
      ...(role === undefined ? {} : { role }),
      ...(disabled === undefined ? {} : { disabled }),
      ...(passwordHash === undefined ? {} : { passwordHash }),
      ...(removeFactors === undefined ? {} : { removeFactors }),
    })
    if (typeof result === 'string') throw refusals[result]
    for (const action of result) tell(options, request, id, action, patch)
  }
}

const tell = ({ observe }: UserRoutesOptions, request: FastifyRequest, subject: string, action: UserAction, { role }: UserPatch): void => {
  const facts = { ...factsOf(request), subject, by: byOf(request).actor }
  if (action === 'user.role' && role !== undefined) observe({ event: 'privilege_permissions_changed', ...facts, role })
  else if (action === 'user.disable' || action === 'user.enable')
    observe({ event: 'authz_change', ...facts, change: action === 'user.disable' ? 'disabled' : 'enabled' })
  else if (action === 'user.password') observe({ event: 'authn_password_change', ...facts })
  observe({ event: 'user_updated', ...facts })
}

const shown = ({ id, username, role, disabledAt, createdAt, lastLoginAt }: Account): ListedUser => ({
  id,
  username,
  role,
  disabled: disabledAt !== null,
  created_at: formatTimestamp(createdAt),
  last_login_at: formatNullable(lastLoginAt),
})

const createDetailed =
  ({ factors }: UserRoutesOptions) =>
  async (account: Account): Promise<User> => ({ ...shown(account), second_factor: [...(await factors.methods(account.id))] })
