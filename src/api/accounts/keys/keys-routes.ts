import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyRequest } from 'fastify'

import type { Permission } from '../../../core/access.ts'
import { Problem } from '../../../core/errors.ts'
import { sessionIdOf } from '../../../core/request.ts'
import { createApiKey, formatApiKey, hashSecret } from '../../../credentials/api-key.ts'
import { NoQuery } from '../../films/schema.ts'
import { formatNullable, formatTimestamp, parseTimestamp } from '../../timestamp.ts'
import { written } from '../../written.ts'
import { type ApiKeyStatements, maxKeys, type NewKey, type StoredKey } from './api-keys.ts'
import { byOf, factsOf, principalOf, sessionOf } from '../caller.ts'
import { keyByIdDescription, listKeysDescription, makeKeyDescription, revokeKeyDescription } from './keys-descriptions.ts'
import { Key, KeyList, KeyPath, MadeKey, NewKeyBody } from './keys-schema.ts'
import type { AccountParts } from '../parts.ts'

export type KeyRoutesOptions = Pick<AccountParts, 'keys' | 'changes' | 'observe' | 'epochMs'> & {
  readonly keyStatements: ApiKeyStatements
}

const noSuchKey = new Problem('not_found', { detail: 'You have no such key.' })

/** People make keys for programs; programs see and revoke no other than their own. */
export const keyRoutes = (server: FastifyInstance, options: KeyRoutesOptions): void => {
  const app = server.withTypeProvider<TypeBoxTypeProvider>()
  const { keys, keyStatements, changes, observe } = options
  const makeKey = createKeyMaking(options)

  app.get(
    '/v1/keys',
    {
      schema: { ...listKeysDescription, querystring: NoQuery, response: { 200: KeyList } },
      config: { access: 'authenticated', sessionOnly: true },
    },
    async (request) => {
      const { accountId } = sessionOf(request)
      return { items: (await keys.listOf(accountId)).map(shown), next: null }
    },
  )

  app.post(
    '/v1/keys',
    {
      schema: { ...makeKeyDescription, querystring: NoQuery, body: NewKeyBody, response: { 201: MadeKey } },
      config: { access: 'authenticated', sessionOnly: true, freshLogin: true, limits: { add: '20 per hour' } },
    },
    async (request, reply) => {
      const made = await makeKey(request, request.body)
      return reply.code(201).header('location', `/v1/keys/${made.id}`).send(made)
    },
  )

  /** The same answer for a key of somebody else's as for none (OWASP ASVS 5.0 8.2.2). */
  const own = async (request: FastifyRequest<{ Params: { id: string } }>): Promise<StoredKey> => {
    const principal = principalOf(request)
    const { id } = request.params
    const mayAsk = sessionIdOf(principal) !== undefined || principal.credential === `key:${id}`
    const key = mayAsk ? await keys.byId(id) : undefined
    if (key?.subject !== principal.subject) throw noSuchKey
    return key
  }
  const schema = { params: KeyPath, querystring: NoQuery }

  app.get(
    '/v1/keys/:id',
    { schema: { ...keyByIdDescription, ...schema, response: { 200: Key } }, config: { access: 'authenticated' } },
    async (request) => shown(await own(request)),
  )

  app.delete(
    '/v1/keys/:id',
    { schema: { ...revokeKeyDescription, ...schema }, config: { access: 'authenticated' } },
    async (request, reply) => {
      const { id, subject, name } = await own(request)
      const entry = { ...byOf(request), action: 'key.revoke', target: `key:${id}`, details: { owner: subject, name } }
      const outcome = await changes.commit([keyStatements.revoke(id, subject)], [entry])
      if (outcome.result === 'conflict') throw noSuchKey
      written(outcome)
      observe({ event: 'authn_token_revoked', ...factsOf(request), subject, credential: `key:${id}` })
      return reply.code(204).send()
    },
  )
}

const createKeyMaking =
  ({ keyStatements, changes, observe, epochMs }: KeyRoutesOptions) =>
  async (request: FastifyRequest, { name, scopes, expires_at: expires }: NewKeyBody): Promise<MadeKey> => {
    const { accountId: subject } = sessionOf(request)
    const permissions = heldScopes(scopes, principalOf(request).permissions)
    const createdAt = epochMs()
    const expiresAt = readExpiry(expires, createdAt)
    const { id, secret } = createApiKey()
    const key: NewKey = { id, subject, name, permissions, secretHash: hashSecret(secret), expiresAt }
    const details = { owner: subject, name, scopes: scopes.join(' '), expires_at: formatNullable(expiresAt) }
    const outcome = await changes.commit(keyStatements.add(key, createdAt), [
      { ...byOf(request), action: 'key.create', target: `key:${id}`, details },
    ])
    if (outcome.result === 'conflict') throw tooMany
    written(outcome)
    observe({ event: 'authn_token_created', ...factsOf(request), subject, credential: `key:${id}` })
    return { ...shown({ ...key, expiresAt, createdAt, lastUsedAt: null }), key: formatApiKey({ id, secret }) }
  }

const tooMany = new Problem('conflict', { detail: `An account has at most ${maxKeys} keys: revoke one that nobody uses.` })

/** A key cannot be more than its maker, or a viewer would have an editor's key waiting for the day of a promotion. */
const heldScopes = (scopes: readonly Permission[], held: ReadonlySet<Permission>): ReadonlySet<Permission> => {
  const lacking = scopes.filter((scope) => !held.has(scope))
  if (lacking.length > 0) throw new Problem('forbidden', { detail: `You cannot give away what you do not have: ${lacking.join(', ')}.` })
  return new Set(scopes)
}

const readExpiry = (text: string | undefined, now: number): number | null => {
  if (text === undefined) return null
  const epochMs = parseTimestamp(text)
  if (epochMs !== undefined && epochMs > now) return epochMs
  throw new Problem('validation_failed', {
    detail: 'A key cannot end before it begins.',
    errors: [{ pointer: '/expires_at', detail: epochMs === undefined ? 'must be a date and time of RFC 3339' : 'must be in the future' }],
  })
}

const shown = ({ id, name, permissions, createdAt, expiresAt, lastUsedAt }: Omit<StoredKey, 'secretHash' | 'subject'>): Key => ({
  id,
  name,
  scopes: [...permissions],
  created_at: formatTimestamp(createdAt),
  expires_at: formatNullable(expiresAt),
  last_used_at: formatNullable(lastUsedAt),
})
