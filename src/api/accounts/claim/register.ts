import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import Type from 'typebox'

import { Problem } from '../../../core/errors.ts'
import { createAccountId } from '../../../credentials/ids.ts'
import { NoQuery } from '../../films/schema.ts'
import { written } from '../../written.ts'
import { factsOf } from '../caller.ts'
import { registerDescription } from './claim-descriptions.ts'
import type { AccountParts } from '../parts.ts'
import { NewPassword, Username } from '../schema.ts'
import { ownUsernameMistake } from '../users/usernames.ts'

export interface RegisterOptions extends Pick<AccountParts, 'statements' | 'trail' | 'passwords' | 'observe'> {
  /** `auth.registration`. */
  readonly isOpen: boolean
}

const Registration = Type.Object(
  { username: Username, password: NewPassword },
  {
    additionalProperties: false,
    description: 'Who somebody is to be.',
    examples: [{ username: 'grace', password: 'a lantern for nine harbours' }],
  },
)

const Registered = Type.Object(
  { id: Type.String({ description: 'The subject of the account.' }), username: Type.String(), role: Type.Literal('viewer') },
  { description: 'The new account.', examples: [{ id: 'u4kq2m7zt5xw3b6rcdyaj', username: 'grace', role: 'viewer' }] },
)

const closed = new Problem('forbidden', { detail: 'Registration is closed: ask an admin of this server for an account.' })

/** People make accounts for themselves. That a name is taken can be learned here and cannot be hidden, so each client may ask only seldom. */
export const registerRoute = (server: FastifyInstance, { isOpen, statements, trail, passwords, observe }: RegisterOptions): void => {
  server.withTypeProvider<TypeBoxTypeProvider>().post(
    '/v1/auth/register',
    {
      schema: { ...registerDescription, querystring: NoQuery, body: Registration, response: { 201: Registered } },
      config: { access: 'public', limits: { only: '5 per hour' } },
    },
    async (request, reply) => {
      if (!isOpen) throw closed
      const { username, password } = request.body
      const name = ownUsernameMistake(username)
      const mistake =
        name === undefined ? await passwords.mistake(password, '/password', { username }) : { pointer: '/username', detail: name }
      if (mistake !== undefined) throw new Problem('validation_failed', { detail: 'Choose something else.', errors: [mistake] })
      const passwordHash = await passwords.hash(password, request)
      const id = createAccountId()
      const facts = factsOf(request)
      const entry = { actor: id, ...facts, action: 'user.register', target: id, details: { username, role: 'viewer' } }
      const outcome = await trail.commit([statements.add({ id, username, role: 'viewer', passwordHash })], [entry])
      if (outcome.result === 'conflict') throw new Problem('conflict', { detail: 'That name is taken. Choose another one.' })
      written(outcome)
      observe({ event: 'user_created', ...facts, subject: id, by: id })
      return reply.code(201).send({ id, username, role: 'viewer' as const })
    },
  )
}
