import Type, { type Static } from 'typebox'

import { roles } from '../../../core/access.ts'
import { Next, pageQuery } from '../../pages.ts'
import { NullableTimestamp, Timestamp } from '../../timestamp.ts'
import { NewPassword, Username } from '../schema.ts'

const UserId = Type.String({ pattern: '^u[a-z2-7]{20}$', description: 'The id of an account.', examples: ['u7h2kq5zt3m4wxyabcde6'] })

export const UserPath = Type.Object({ id: UserId }, { additionalProperties: false })

export const UserQuery = Type.Object(pageQuery, { additionalProperties: false })

const RoleName = Type.Enum([...roles], { description: 'Each may do what those before it may, and more.', examples: ['editor'] })

const FactorName = Type.Enum(['totp', 'recovery_code', 'passkey'])

/** What finishes a login, never the secrets behind it. */
export const SecondFactor = Type.Array(FactorName, { description: 'What can finish a login; empty: the password is enough.' })

const members = {
  id: UserId,
  username: Type.String({ description: 'What they log in with.' }),
  role: RoleName,
  disabled: Type.Boolean({ description: 'Nobody can log in to it.' }),
  created_at: Timestamp('When it was made.'),
  last_login_at: NullableTimestamp('When somebody last logged in to it; null: nobody yet.'),
}

const example = {
  id: 'u7h2kq5zt3m4wxyabcde6',
  username: 'grace',
  role: 'editor',
  disabled: false,
  created_at: '2027-01-31T12:00:00.000Z',
  last_login_at: null,
}

export const ListedUser = Type.Object(members, { additionalProperties: false, description: 'An account, in a list.' })
export type ListedUser = Static<typeof ListedUser>

export const UserList = Type.Object(
  { items: Type.Array(ListedUser), next: Next },
  { additionalProperties: false, examples: [{ items: [example], next: null }] },
)

export const User = Type.Object(
  { ...members, second_factor: SecondFactor },
  { additionalProperties: false, description: 'An account.', examples: [{ ...example, second_factor: [] }] },
)
export type User = Static<typeof User>

export const NewUser = Type.Object(
  { username: Username, role: RoleName, password: NewPassword },
  {
    additionalProperties: false,
    description: 'Whoever it is for should change the password at once.',
    examples: [{ username: 'grace', role: 'editor', password: 'seven kestrels over the marsh' }],
  },
)

export const UserPatch = Type.Object(
  {
    role: Type.Optional(RoleName),
    disabled: Type.Optional(Type.Boolean({ description: 'true ends its sessions and revokes its keys; false lets them log in again.' })),
    password: Type.Optional(NewPassword),
    remove_factors: Type.Optional(
      Type.Literal(true, { description: 'Takes away its second factors and passkeys, for somebody who lost them.' }),
    ),
  },
  { additionalProperties: false, minProperties: 1, examples: [{ role: 'moderator' }] },
)
export type UserPatch = Static<typeof UserPatch>
