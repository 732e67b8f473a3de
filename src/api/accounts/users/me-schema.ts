import Type, { type Static } from 'typebox'

import { Timestamp } from '../../timestamp.ts'
import { GivenPassword, NewPassword, Username } from '../schema.ts'
import { SecondFactor } from './users-schema.ts'

export const Me = Type.Object(
  {
    id: Type.String(),
    username: Type.String(),
    role: Type.String(),
    permissions: Type.Array(Type.String(), { description: 'What you may do with this session.' }),
    created_at: Timestamp('When your account was made.'),
    second_factor: SecondFactor,
    session: Type.String({ description: 'The id of the session that you ask with.' }),
    authenticated_at: Timestamp('When you last proved who you are. Some calls want that to be at most five minutes ago.'),
  },
  {
    additionalProperties: false,
    description: 'Your own account, and the session that you ask with.',
    examples: [
      {
        id: 'u7h2kq5zt3m4wxyabcde6',
        username: 'grace',
        role: 'viewer',
        permissions: ['films:read', 'votes:write'],
        created_at: '2027-01-31T12:00:00.000Z',
        second_factor: ['totp', 'recovery_code'],
        session: 'pJ0xkV9dXo2mB8y1Qw3r5A',
        authenticated_at: '2027-02-01T08:30:00.000Z',
      },
    ],
  },
)
export type Me = Static<typeof Me>

export const MePatch = Type.Object({ username: Username }, { additionalProperties: false, examples: [{ username: 'grace' }] })

export const PasswordChange = Type.Object(
  { current_password: GivenPassword, new_password: NewPassword },
  {
    additionalProperties: false,
    examples: [{ current_password: 'seven kestrels over the marsh', new_password: 'eleven herons by the old weir' }],
  },
)
